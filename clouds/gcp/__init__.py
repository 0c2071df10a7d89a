"""Google Cloud: machines of Compute Engine and TPU VMs. See ``cloud.GcpCloud``."""

from stix.clouds.gcp.cloud import GcpCloud

__all__ = ["GcpCloud"]
