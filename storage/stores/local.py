"""Objects as files of this machine."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from stix.storage.base import Denied, Location, NotInStore, StorageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_URL = re.compile(r"file://(?:localhost)?(/.*)", re.IGNORECASE | re.DOTALL)
_FIXES = {
    errno.EACCES: "Give this user the right to it, or choose another folder.",
    errno.EPERM: "Give this user the right to it, or choose another folder.",
    errno.ENOSPC: "Free space on the disk, or choose another folder.",
    errno.EDQUOT: "Free space in your quota, or choose another folder.",
    errno.EROFS: "The disk is read-only: choose another folder.",
    errno.ENOTDIR: "A file lies where a folder should be: choose another folder.",
}


class LocalStore:
    """Files below absolute paths. ``file`` URLs are percent-decoded (RFC 8089).

    Args:
        fsync: Flush each object to the disk before it gets its name, so that a power cut cannot
            leave a named object without its content.
    """

    scheme = "file"

    def __init__(self, fsync: bool = True) -> None:
        self._fsync = fsync

    @cached_property
    def _filesystem(self) -> AbstractFileSystem:
        from fsspec.implementations.local import LocalFileSystem

        return LocalFileSystem(auto_mkdir=True, skip_instance_cache=True)

    def filesystem(self) -> AbstractFileSystem:
        return self._filesystem

    def path(self, url: str) -> str:
        if url.startswith("/"):
            return url
        match = _URL.fullmatch(url)
        if match is None:
            raise StorageError(
                f"{url} is not the URL of a local file.", fix="Write file:///absolute/path."
            )
        return os.fsdecode(unquote_to_bytes(match[1]))

    def put(self, url: str, data: bytes) -> None:
        with self.errors(url), self._temporary(Path(self.path(url)), data) as temporary:
            temporary.replace(self.path(url))

    def put_if_absent(self, url: str, data: bytes) -> bool:
        path = Path(self.path(url))
        with self.errors(url):
            if os.path.lexists(path):
                return False
            with self._temporary(path, data) as temporary:
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    return False
        return True

    def version(self, url: str) -> str:
        """The digest of the content, which is read for it."""
        with self.errors(url):
            return hashlib.sha256(Path(self.path(url)).read_bytes()).hexdigest()

    def put_if_match(self, url: str, data: bytes, version: str) -> bool:
        """Replace the file; sure among writers that use this same call on one machine."""
        path = Path(self.path(url))
        with self.errors(url), _locked(path.parent):
            try:
                if self.version(url) != version:
                    return False
            except NotInStore:
                return False
            with self._temporary(path, data) as temporary:
                temporary.replace(path)
        return True

    def copy(self, source: str, target: str) -> bool:
        try:
            original, path = Path(self.path(source)), Path(self.path(target))
        except StorageError:
            return False
        with self.errors(source), self._temporary(path, b"") as temporary:
            shutil.copyfile(original, temporary)
            temporary.replace(path)
        return True

    def location(self, url: str) -> Location:
        """This machine: where it stands is not known."""
        self.path(url)
        return Location("local", "")

    @contextmanager
    def _temporary(self, path: Path, data: bytes) -> Iterator[Path]:
        """A complete file beside ``path``, gone in the end unless it was renamed."""
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(temporary, flags, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(temporary, flags, 0o666)
        try:
            with contextlib.closing(os.fdopen(descriptor, "wb", buffering=0)) as file:
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
                if self._fsync:
                    os.fsync(file.fileno())
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()

    @contextmanager
    def errors(self, url: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise NotInStore(f"{url} does not exist.", fix="Check the path.") from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            fix = _FIXES.get(error.errno or 0, "Check the disk and the path.")
            kind = Denied if isinstance(error, PermissionError) else StorageError
            raise kind(f"{url}: {reason}.", fix=fix) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
