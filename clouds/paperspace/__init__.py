"""Paperspace: machines with GPUs; near its end, see ``cloud.PaperspaceCloud``."""

from stix.clouds.paperspace.cloud import PaperspaceCloud

__all__ = ["PaperspaceCloud"]
