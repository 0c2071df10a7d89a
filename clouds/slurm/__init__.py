"""Clusters run by Slurm as a cloud: one job per wish."""

from stix.clouds.slurm.cloud import SlurmCloud

__all__ = ["SlurmCloud"]
