"""The interface of a store: an fsspec filesystem plus what fsspec lacks.

Optional abilities are protocols of their own, so that ``isinstance`` says what a store can do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from stix.errors import StixError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Mode = Literal["COPY", "MOUNT", "MOUNT_CACHED", "STREAM"]


class StorageError(StixError):
    """A store failed or refused. Never holds a credential."""


class NotInStore(StorageError):
    """There is no such object or bucket."""


class Corrupt(StorageError):
    """What was read is not what its digest says."""


class Denied(StorageError):
    """Credentials are missing, wrong or expired, or lack a right."""


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


@dataclass(frozen=True)
class Location:
    """Where a bucket lies, in the words of the planner (``stix.plan.regions.Place``)."""

    cloud: str
    region: str


@dataclass(frozen=True)
class StorePrice:
    """What keeping and touching objects costs, USD; ``source`` and ``as_of`` as in the catalog."""

    gib_month: float
    put_1000: float
    get_1000: float
    source: str
    as_of: str


@dataclass(frozen=True)
class Bucket:
    """A bucket of the account. ``created``: Unix time in seconds; None where not told."""

    url: str
    region: str = ""
    created: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Access:
    """Credentials for a node.

    Attributes:
        env: Variables that clients on the node read; values are secret.
        options: What ``open_store`` takes there; values are secret.
        expires: Unix time in seconds; None where they last.
        scope: In words: what they allow.
    """

    env: Mapping[str, str] = field(repr=False)
    options: Mapping[str, str] = field(repr=False)
    expires: float | None
    scope: str


@dataclass(frozen=True)
class Signed:
    """A request that whoever has it may send; both parts are secret."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class MountPlan:
    """How a node mounts a prefix; the first tool that the node has is taken.

    Attributes:
        rclone: Name and fields of an rclone remote (``type``, ``provider``, ``endpoint`` ...),
            without secrets; None where rclone does not know the store.
        path: What follows the remote's colon.
        tools: Other mounters by name, such as ``s3fs``, with their arguments.
    """

    rclone: Mapping[str, str] | None
    path: str
    tools: Mapping[str, Sequence[str]] = field(default_factory=dict)


@runtime_checkable
class HasLocation(Protocol):
    """Where a bucket lies can be told."""

    def location(self, url: str) -> Location: ...


@runtime_checkable
class HasPrice(Protocol):
    """What it costs is known."""

    def price(self, url: str) -> StorePrice: ...


@runtime_checkable
class CanPutIfMatch(Protocol):
    """An object can be replaced only if nobody else did so meanwhile."""

    def version(self, url: str) -> str:
        """A word for the present content (an ETag, a generation)."""

    def put_if_match(self, url: str, data: bytes, version: str) -> bool:
        """Replace the object; False where its version is another one by now."""


@runtime_checkable
class CanManageBuckets(Protocol):
    """Buckets can be made and removed."""

    def buckets(self) -> Sequence[Bucket]: ...

    def create_bucket(self, name: str, region: str, labels: Mapping[str, str]) -> Bucket:
        """Idempotent for a bucket of ours in that region."""

    def delete_bucket(self, name: str, *, force: bool = False) -> None:
        """Remove it, with what is in it where ``force``. Silent where it is missing."""


@runtime_checkable
class HasNameRules(Protocol):
    """Names of buckets follow rules."""

    def name_problem(self, name: str) -> str:
        """Why the name is not legal; empty where it is."""


@runtime_checkable
class CanLend(Protocol):
    """Credentials for one prefix can be given to a node."""

    def lend(self, url: str, *, write: bool, seconds: int) -> Access: ...


@runtime_checkable
class HasOwnAccess(Protocol):
    """The credentials that the store itself uses can be told, where none are lent."""

    def own_access(self, url: str) -> Access:
        """As they are now.

        Raises:
            Denied: There are none that could be given away.
        """


@runtime_checkable
class CanSign(Protocol):
    """A node without credentials can read an object."""

    def sign(self, url: str, *, seconds: int) -> Signed | None:
        """A GET of the object; None where this store, as it was opened, can sign none."""


@runtime_checkable
class CanSignPut(Protocol):
    """A node without credentials can write an object whose digest is known."""

    def sign_put(self, url: str, *, sha256: str) -> Signed | None:
        """A PUT of nothing but the bytes with this SHA-256 (hexadecimal), good for some minutes.

        None where the server would take other bytes as well.
        """


@runtime_checkable
class CanMount(Protocol):
    """A prefix can be mounted on a node."""

    def mount_plan(self, url: str, *, write: bool) -> MountPlan: ...


@runtime_checkable
class CanCopyInside(Protocol):
    """Objects can be copied without passing through us."""

    def copy(self, source: str, target: str) -> bool:
        """False where the store cannot do it between these two."""


@runtime_checkable
class HasBulk(Protocol):
    """A client made for many objects and for large ones serves it."""

    def bulk(self, url: str) -> tuple[Any, str] | None:
        """``obstore``'s store for the bucket of ``url``, and the key; None where it cannot."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a large object that the server has. ``tag``: its word for the part's content."""

    size: int
    tag: str


@runtime_checkable
class HasParts(Store, Protocol):
    """Large objects are written by parts, which the server keeps until they become the object."""

    def begin_parts(self, url: str, identity: str) -> str:
        """Begin an upload; its name. ``identity``: a word for what will be written."""

    def list_parts(self, url: str, upload: str) -> Mapping[int, Part]:
        """The parts that are there, by number from 0.

        Raises:
            NotInStore: There is no such upload.
        """

    def put_part(self, url: str, upload: str, number: int, data: bytes) -> Part:
        """Write a part. The server checks it against a digest that is sent with it."""

    def finish_parts(self, url: str, upload: str, parts: Sequence[Part]) -> None:
        """Make all parts, in order, the object, in one step."""

    def abort_parts(self, url: str, upload: str) -> None:
        """Drop the parts. Silent where there is no such upload."""
