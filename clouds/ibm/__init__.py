"""IBM Cloud: virtual server instances of its VPCs. See ``cloud.IbmCloud``."""

from stix.clouds.ibm.cloud import IbmCloud

__all__ = ["IbmCloud"]
