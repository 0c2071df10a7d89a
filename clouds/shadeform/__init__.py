"""Shadeform: a broker of GPU machines of many clouds. See ``cloud.ShadeformCloud``."""

from stix.clouds.shadeform.cloud import ShadeformCloud

__all__ = ["ShadeformCloud"]
