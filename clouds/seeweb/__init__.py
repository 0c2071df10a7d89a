"""Seeweb: servers in Italy, Switzerland and Bulgaria, with and without GPUs."""

from stix.clouds.seeweb.cloud import SeewebCloud

__all__ = ["SeewebCloud"]
