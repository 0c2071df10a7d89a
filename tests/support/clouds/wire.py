"""See ``stix.clouds.testing.wire``."""

from stix.clouds.testing.wire import Answer, Asked, WireServer

__all__ = ["Answer", "Asked", "WireServer"]
