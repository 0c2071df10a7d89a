"""CUDO Compute: virtual machines made to measure. See ``cloud.CudoCloud``."""

from stix.clouds.cudo.cloud import CudoCloud

__all__ = ["CudoCloud"]
