"""What every cloud offers and for how much: a dated snapshot of facts, and queries over it.

Pure and offline: nothing here talks to a cloud. ``Catalog.load()`` reads the snapshot.
"""

from stix.clouds.catalog.catalog import Catalog
from stix.clouds.catalog.rows import Row

__all__ = ["Catalog", "Row"]
