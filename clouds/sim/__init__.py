"""A simulated cloud: with nodes on this machine (``cloud``), or in virtual time (``world``)."""

from stix.clouds.sim.cloud import SimCloud

__all__ = ["SimCloud"]
