"""Verda, which was DataCrunch: GPUs in Finland and Iceland. See ``cloud.VerdaCloud``."""

from stix.clouds.verda.cloud import VerdaCloud

__all__ = ["VerdaCloud"]
