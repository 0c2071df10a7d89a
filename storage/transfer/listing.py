"""What a copy of a URL would bring, without copying it."""

from __future__ import annotations

from stix.storage.base import NotInStore, Store
from stix.storage.transfer.ends.opening import open_end
from stix.storage.transfer.entries import Entry, check_names
from stix.storage.transfer.options import Options


def listing(url: str, **options: object) -> tuple[Store, list[Entry]]:
    """The store of ``url``, and its files: one without a name where the URL is a file's.

    Args:
        url: A ``/`` at its end asks for a prefix.
        options: For the store.

    Raises:
        NotInStore: Nothing is there.
        StorageError: The store refuses, or an object's name cannot be a file's.
    """
    end = open_end(url, options, Options(), False)
    single = None if url.endswith("/") else end.one()
    if single is not None:
        return end.store, [single]
    found = end.entries()
    if not found and not end.exists():
        raise NotInStore(f"{url} does not exist.", fix="Check the name.")
    check_names((entry.name for entry in found), url)
    return end.store, found
