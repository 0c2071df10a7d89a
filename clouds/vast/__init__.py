"""Vast.ai: machines of many hosts, on demand and by bid. See ``cloud.VastCloud``."""

from stix.clouds.vast.cloud import VastCloud

__all__ = ["VastCloud"]
