"""Hetzner Cloud: virtual servers by the hour. See ``cloud.HetznerCloud``."""

from stix.clouds.hetzner.cloud import HetznerCloud

__all__ = ["HetznerCloud"]
