"""Walk a path of this machine and send it to a store."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stix.storage.artifacts.manifest import EXECUTABLE_MODE, FILE_MODE, Entry, Manifest, build
from stix.storage.base import NotInStore, StorageError

if TYPE_CHECKING:
    from stix.storage.artifacts.chunks import Upload


@dataclass(frozen=True, slots=True)
class Pending:
    """A file whose chunks are under way."""

    path: str
    mode: int
    size: int
    chunks: list[Future[str]] = field(default_factory=list)

    def entry(self) -> Entry:
        digests = tuple(chunk.result() for chunk in self.chunks)
        return Entry(self.path, "file", self.mode, self.size, digests)


def scan(root: Path, upload: Upload) -> Manifest:
    """Store everything below ``root``, or ``root`` itself where it is a file.

    Raises:
        StorageError: With the name of a file that cannot be stored.
    """
    try:
        mode = root.stat().st_mode
    except FileNotFoundError as error:
        raise NotInStore(f"{root} does not exist.", fix="Check the path.") from error
    except OSError as error:
        raise _unreadable(root, error) from error
    if not stat.S_ISDIR(mode):
        return build("file", [_file(root, root.name, upload).entry()])
    found = list(_walk(root, "", upload))
    return build("tree", (one.entry() if isinstance(one, Pending) else one for one in found))


def _walk(folder: Path, prefix: str, upload: Upload) -> Iterator[Entry | Pending]:
    folders = [(folder, prefix)]
    while folders:
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as listing:
                items = list(listing)
        except OSError as error:
            raise _unreadable(folder, error) from error
        for item in items:
            path = prefix + item.name
            if item.is_symlink():
                yield Entry(path, "link", target=os.readlink(item.path))
            elif item.is_dir(follow_symlinks=False):
                yield Entry(path, "dir")
                folders.append((Path(item.path), f"{path}/"))
            else:
                yield _file(Path(item.path), path, upload)


def _file(source: Path, path: str, upload: Upload) -> Pending:
    try:
        # O_NONBLOCK: opening a named pipe would wait for its other end.
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(source, error) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise StorageError(
                f"{source} is neither a file, a folder nor a link.",
                fix="Remove it or leave it out: sockets, pipes and devices cannot be stored.",
            )
        try:
            size, chunks = upload.file(file)
        except OSError as error:
            raise _unreadable(source, error) from error
        after = os.fstat(descriptor)
    if size != before.st_size or before.st_mtime_ns != after.st_mtime_ns:
        raise StorageError(
            f"{source} changed while it was read.", fix="Try again when nothing writes to it."
        )
    mode = EXECUTABLE_MODE if before.st_mode & 0o111 else FILE_MODE
    return Pending(path, mode, size, chunks)


def _unreadable(path: Path, error: OSError) -> StorageError:
    reason = error.strerror or type(error).__name__
    return StorageError(
        f"{path} cannot be read: {reason}.", fix="Check its rights or leave it out."
    )
