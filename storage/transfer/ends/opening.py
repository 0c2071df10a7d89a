"""Find the end of a URL."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from stix.storage.base import HasBulk, HasParts
from stix.storage.registry import open_store
from stix.storage.transfer.ends.base import End
from stix.storage.transfer.ends.fs import FsEnd
from stix.storage.transfer.ends.local import LocalEnd
from stix.storage.transfer.options import Options


def open_end(url: str, given: Mapping[str, object], options: Options, bulk: bool = True) -> End:
    """One end of a copy.

    Args:
        given: Options of the store.
        bulk: Use ``obstore`` where it is installed and serves.

    Raises:
        StorageError: No store has this scheme, or it does not know an option.
    """
    store = open_store(url, **given)
    if store.scheme == "file":
        return LocalEnd(url, store, options.ignore_files, options.compare == "time")

    def state() -> Path:
        if options.state is not None:
            return options.state
        from stix.config import Config

        return Config.load().home / "transfers"

    if bulk and isinstance(store, HasBulk) and isinstance(store, HasParts) and _installed():
        from stix.storage.transfer.ends.bulk import BulkEnd

        client = store.bulk(url)
        if client is not None:
            return BulkEnd(url, store, client[0], client[1], state)
    return FsEnd(url, store, state)


def _installed() -> bool:
    return importlib.util.find_spec("obstore") is not None
