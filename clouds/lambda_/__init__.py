"""Lambda Cloud: machines with GPUs, on demand. See ``cloud.LambdaCloud``."""

from stix.clouds.lambda_.cloud import LambdaCloud

__all__ = ["LambdaCloud"]
