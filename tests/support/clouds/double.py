"""See ``stix.clouds.testing.double``."""

from stix.clouds.testing.double import PAGE, Box, Double, Refused, Thing, route

__all__ = ["PAGE", "Box", "Double", "Refused", "Thing", "route"]
