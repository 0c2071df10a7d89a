"""Copy a file or a prefix from a store to this machine, going on where an earlier copy stopped."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from stix.storage.transfer.engine import copy
from stix.storage.transfer.options import Options


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a copy did.

    Attributes:
        files: Files now at the target.
        bytes: Sum of their sizes.
        new_bytes: What had to be read; the rest was there already.
    """

    files: int
    bytes: int
    new_bytes: int


def fetch(url: str, target: str | os.PathLike[str], **options: object) -> Fetched:
    """Copy what lies at ``url`` to ``target``: a file to a file, a prefix to a folder.

    A file that is there with the source's size and time is kept. Each other file is written under
    a temporary name, which a later call goes on with if the source is still the same, and gets its
    name when complete. Times and, from local files, the x bit are kept. Other files at the target
    stay.

    Args:
        url: Such as ``s3://bucket/prefix``; a ``/`` at its end asks for a prefix.
        options: For the store.

    Raises:
        NotInStore: Nothing is there.
        StorageError: The store or the disk refuses, the source changed meanwhile, or an object's
            name cannot be a file's.
    """
    place = str(Path(target).absolute())
    done = copy(url, place, Options(source=options))
    return Fetched(done.files, done.bytes, done.new_bytes)
