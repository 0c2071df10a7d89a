"""This machine as a cloud."""

from stix.clouds.local.cloud import LocalCloud

__all__ = ["LocalCloud"]
