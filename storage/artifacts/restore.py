"""Write an artifact to a path of this machine: complete, or not there at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stix.storage.artifacts.chunks import WORKERS
from stix.storage.base import Corrupt, StorageError

if TYPE_CHECKING:
    from stix.storage.artifacts.chunks import Readable
    from stix.storage.artifacts.manifest import Entry, Manifest


def restore(manifest: Manifest, target: Path, chunks: Readable, *, replace: bool = False) -> None:
    """Write ``manifest`` under a temporary name beside ``target``, then rename it.

    Raises:
        StorageError: ``target`` exists (an empty folder may) and ``replace`` is false, or the
            disk refuses.
        Corrupt: A chunk is missing or damaged; ``target`` is untouched.
    """
    if not replace and os.path.lexists(target) and not _empty_folder(target):
        raise StorageError(f"{target} exists.", fix="Choose another path or remove it.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(target) as temporary:
            if manifest.kind == "tree":
                temporary.mkdir()
                _write_tree(manifest, temporary, chunks)
            else:
                _write_files([(temporary, manifest.entries[0])], manifest.chunk_size, chunks)
            _into_place(temporary, target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StorageError(
            f"{target} cannot be written: {reason}.", fix="Check the disk's space and the rights."
        ) from error


def _write_tree(manifest: Manifest, root: Path, chunks: Readable) -> None:
    files = []
    links = []
    for entry in manifest.entries:
        path = root / entry.path
        if entry.type == "dir":
            path.mkdir()
        elif entry.type == "link":
            links.append((path, entry.target))
        else:
            files.append((path, entry))
    _write_files(files, manifest.chunk_size, chunks)
    # Links come last, so that nothing is ever written through one.
    for path, destination in links:
        path.symlink_to(destination)


def _write_files(files: list[tuple[Path, Entry]], chunk_size: int, chunks: Readable) -> None:
    def piece(path: Path, entry: Entry, index: int) -> None:
        with chunks.get_slots:
            data = chunks.get(entry.chunks[index])
            offset = index * chunk_size
            if len(data) != min(chunk_size, entry.size - offset):
                raise Corrupt(
                    f"A chunk of {entry.path!r} has the wrong size.", fix="Make the artifact again."
                )
            _write(path, data, offset)

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="stix-get") as pool:
        futures = []
        for path, entry in files:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, entry.mode | 0o200))
            futures += [
                pool.submit(piece, path, entry, index) for index in range(len(entry.chunks))
            ]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write(path: Path, data: bytes, offset: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
    finally:
        os.close(descriptor)


def _empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and next(path.iterdir(), None) is None


def _into_place(temporary: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        if temporary.is_dir() and _empty_folder(target):
            temporary.rename(target)
            return
        with _temporary(target) as old:
            target.rename(old)
            temporary.rename(target)
        return
    if os.path.lexists(target) and temporary.is_dir():
        target.unlink()
    temporary.replace(target)


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A free name beside ``target``; what lies there in the end is removed."""
    temporary = target.with_name(f".stix-{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
    finally:
        if temporary.is_dir() and not temporary.is_symlink():
            shutil.rmtree(temporary)
        elif os.path.lexists(temporary):
            temporary.unlink()
