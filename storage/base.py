"""The interface of a store: an fsspec filesystem plus what fsspec lacks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from stix.errors import StixError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class StorageError(StixError):
    """A store failed or refused. Never holds a credential."""


class NotInStore(StorageError):
    """There is no such object or bucket."""


class Corrupt(StorageError):
    """What was read is not what its digest says."""


class Store(Protocol):
    """One place for objects, addressed by URLs such as ``s3://bucket/key`` or ``file:///path``.

    Methods are blocking: call them in a thread from async code.
    """

    scheme: str

    def filesystem(self) -> AbstractFileSystem:
        """The fsspec filesystem, not cached between processes."""

    def path(self, url: str) -> str:
        """The path that the filesystem takes for ``url``."""

    def put(self, url: str, data: bytes) -> None:
        """Write an object whole: a reader sees what was there before, or all of ``data``."""

    def put_if_absent(self, url: str, data: bytes) -> bool:
        """Write a small object whole, or not at all. False where it exists already."""

    def errors(self, url: str) -> AbstractContextManager[None]:
        """Around calls of the filesystem: what they raise becomes StorageError or NotInStore."""
