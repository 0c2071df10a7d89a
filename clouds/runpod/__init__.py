"""RunPod: containers with GPUs, on demand and as spot. See ``cloud.RunpodCloud``."""

from stix.clouds.runpod.cloud import RunpodCloud

__all__ = ["RunpodCloud"]
