"""One entry of ``file_mounts``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from stix.spec import values
from stix.spec.base import Accepts, bad
from stix.spec.exact import Flag
from stix.spec.mountconfig import StorageConfig
from stix.spec.problems import choose
from stix.spec.python.objects import StorageApi
from stix.spec.short import Short
from stix.spec.variables import exact

STORES = (
    "S3",
    "GCS",
    "AZURE",
    "R2",
    "IBM",
    "OCI",
    "NEBIUS",
    "COREWEAVE",
    "VASTDATA",
    "HF",
    "VOLUME",
)
MODES = ("MOUNT", "COPY", "MOUNT_CACHED", "STREAM")
TYPES = ("MODEL_CHECKPOINT_RO", "MODEL_CHECKPOINT_RW", "DATASET_RO", "DATASET_RW")
DISK = "volume"
"""The store of a disk. SkyPilot knows it in lower case only."""
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_url(text: str) -> bool:
    return bool(_URL.match(text))


def _words(*known: str) -> dict[str, Any]:
    """The JSON Schema of one of several words, in upper or lower case."""
    return {"type": "string", "enum": [*known, *(word.lower() for word in known)]}


class StorageMount(StorageApi, Short):
    """What lies at one path of a node: a copy of a local path or URL, or a mounted bucket.

    A plain text in a file means a copy. A map means ``mode: MOUNT`` unless it says otherwise,
    as in SkyPilot.

    Attributes:
        source: A local path (relative to the file), a URL, or several local paths.
        name: Name of a bucket that is ours to make.
        store: Kind of the bucket; ``volume`` is a disk.
        mode: ``COPY``, ``MOUNT``, ``MOUNT_CACHED``, or STIX's own ``STREAM``: to read files from
            their start without a copy on the node's disk.
        persistent: Whether the bucket outlives the run; true, but for a disk false.
        type: What ``MOUNT_CACHED`` is tuned for: checkpoints or datasets, read or written.
        config: Options of the mount or of the disk.
    """

    internal: ClassVar[frozenset[str]] = frozenset(
        {"_is_sky_managed", "_bucket_sub_path", "_force_delete"}
    )

    source: str | Annotated[list[str], Field(min_length=1)] | None = None
    name: str | None = None
    store: Annotated[str | None, Accepts(_words(*STORES))] = None
    mode: Annotated[Literal["MOUNT", "COPY", "MOUNT_CACHED", "STREAM"], Accepts(_words(*MODES))] = (
        "MOUNT"
    )
    persistent: Annotated[bool, Flag()] = True
    type: Annotated[str | None, Accepts(_words(*TYPES))] = None
    config: StorageConfig | None = None
    is_sky_managed: bool | None = Field(None, alias="_is_sky_managed", strict=True)
    bucket_sub_path: str | None = Field(None, alias="_bucket_sub_path")
    force_delete: bool | None = Field(None, alias="_force_delete", strict=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            name: str | None = None,
            source: str | list[str] | None = None,
            **fields: Any,
        ) -> None: ...

    @classmethod
    def of_text(cls, text: str) -> dict[str, Any]:
        """A plain text is copied."""
        return {"source": text, "mode": "COPY"}

    def written(self) -> str | None:
        """The text of a plain copy."""
        plain = self._was_text and self.mode == "COPY" and self.name is None
        return self.source if plain and isinstance(self.source, str) else None

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, data: Any) -> Any:
        if isinstance(data, dict):
            # SkyPilot keeps a bucket, and deletes a disk, unless it is told otherwise.
            if data.get("store") == DISK and data.get("persistent") is None:
                return {**data, "persistent": False}
        elif not isinstance(data, StorageMount):
            fix = "write a path, a URL, or a map with source and mode"
            raise bad(f"a mount must be text or a map, not {values.kind(data)}", fix)
        return data

    @field_validator("mode", mode="before")
    @classmethod
    def _mode(cls, value: Any) -> Any:
        return _upper(value, MODES, "storage mode")

    @field_validator("type", mode="before")
    @classmethod
    def _type(cls, value: Any) -> Any:
        return value if value is None else _upper(value, TYPES, "type of a mount")

    @field_validator("store", mode="before")
    @classmethod
    def _store(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None or value == DISK:
            return value
        # A name such as $STORE is replaced by a variable's value later.
        if isinstance(value, str) and "$" in value and not exact(info.context):
            return value
        return _upper(value, STORES, "store of buckets")

    @model_validator(mode="after")
    def _agree(self) -> StorageMount:
        if self.store == DISK:
            self._disk()
        if self.type is not None and self.mode != "MOUNT_CACHED":
            fix = "write mode: MOUNT_CACHED, or remove type"
            raise bad("type needs mode: MOUNT_CACHED", fix, "type")
        for word, mode in (("mount_cached", "MOUNT_CACHED"), ("mount", "MOUNT")):
            asked = self.config is not None and getattr(self.config, word) is not None
            if asked and self.mode != mode:
                fix = f"write mode: {mode}, or remove {word}"
                raise bad(f"config.{word} needs mode: {mode}", fix, "config")
        return self

    def _disk(self) -> None:
        """A disk of the network is known by its name; one of the instance has none."""
        if isinstance(self.source, list):
            fix = "name one source, or copy the others with entries of their own"
            raise bad("a disk takes one source", fix, "source")
        more = (self.config.model_extra or {}) if self.config is not None else {}
        local = self.config is not None and (self.config.storage_type or "").lower() == "instance"
        if not self.name and "name" not in more and not local:
            fix = "add name, or write config: {storage_type: instance}"
            raise bad("a disk of the network needs a name", fix)

    @property
    def copies(self) -> str | None:
        """The one source to copy, or None where this is no plain copy."""
        plain = self.mode == "COPY" and isinstance(self.source, str)
        return self.source if plain and isinstance(self.source, str) else None

    @property
    def address(self) -> str | None:
        """The source where it is a URL, as SkyPilot tells: it names a host or a bucket."""
        plain = self.source if isinstance(self.source, str) and "//" in self.source else None
        return plain if plain is not None and split_url(plain) else None


def split_url(text: str) -> str | None:
    """The host of a URL, empty where it has none; None where it cannot be read."""
    try:
        return urlsplit(text).netloc
    except ValueError:
        return None


def _upper(value: Any, known: tuple[str, ...], word: str) -> str:
    text = value.upper() if isinstance(value, str) else ""
    if text not in known:
        shown = repr(value) if isinstance(value, str) else values.kind(value)
        raise bad(f"{shown} is not a {word}", choose(text, known))
    return text
