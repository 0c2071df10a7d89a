"""Oracle Cloud Infrastructure: compute instances. See ``cloud.OciCloud``."""

from stix.clouds.oci.cloud import OciCloud

__all__ = ["OciCloud"]
