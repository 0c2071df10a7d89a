"""Nebius: machines with and without GPUs, also preemptible. See ``cloud.NebiusCloud``."""

from stix.clouds.nebius.cloud import NebiusCloud

__all__ = ["NebiusCloud"]
