"""Whether the target has a file already, by size and time."""

from __future__ import annotations

from stix.storage.transfer.entries import Entry, same_time


def there_already(ours: Entry, theirs: Entry, near: bool) -> bool:
    """Whether ``theirs`` is a copy of ``ours``.

    A file of this machine got the source's time when it was copied. An object's time is when it
    was written: it is a copy if the source was not changed since.
    """
    if ours.size != theirs.size:
        return False
    if near:
        return same_time(ours.modified, theirs.modified)
    return 0 < ours.modified <= theirs.modified
