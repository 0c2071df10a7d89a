"""Scaleway: Instances, with and without GPUs. See ``cloud.ScalewayCloud``."""

from stix.clouds.scaleway.cloud import ScalewayCloud

__all__ = ["ScalewayCloud"]
