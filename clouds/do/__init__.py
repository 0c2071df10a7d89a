"""DigitalOcean: droplets, with and without GPUs. See ``cloud.DigitalOceanCloud``."""

from stix.clouds.do.cloud import DigitalOceanCloud

__all__ = ["DigitalOceanCloud"]
