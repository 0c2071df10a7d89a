"""One entry of ``file_mounts``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator, model_validator

from stix.spec.base import Spec, bad
from stix.spec.problems import choose

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
MODES = ("MOUNT", "COPY", "MOUNT_CACHED")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_url(text: str) -> bool:
    return bool(_URL.match(text))


class StorageMount(Spec):
    """What lies at one path of a node: a copy of a local path or URL, or a mounted bucket.

    A plain text in a file means a copy. A map means ``mode: MOUNT`` unless it says otherwise,
    as in SkyPilot.

    Attributes:
        source: A local path (relative to the file), a URL, or several local paths.
        name: Name of a bucket that is ours to make.
        store: Kind of the bucket.
        mode: ``COPY``, ``MOUNT`` or ``MOUNT_CACHED``.
        persistent: Whether the bucket outlives the run.
    """

    source: str | list[str] | None = None
    name: str | None = None
    store: str | None = None
    mode: Literal["MOUNT", "COPY", "MOUNT_CACHED"] = "MOUNT"
    persistent: bool = True
    type: str | None = None
    config: dict[str, Any] | None = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _text_is_a_copy(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"source": data, "mode": "COPY"}
        if not isinstance(data, dict | StorageMount):
            fix = "write a path, a URL, or a map with source and mode"
            raise bad("a mount must be text or a map", fix)
        return data

    @field_validator("mode", mode="before")
    @classmethod
    def _mode(cls, value: Any) -> Any:
        return _upper(value, MODES, "mode")

    @field_validator("store", mode="before")
    @classmethod
    def _store(cls, value: Any) -> Any:
        # A name such as $STORE is replaced by a variable's value later.
        if isinstance(value, str) and "$" in value:
            return value
        return value if value is None else _upper(value, STORES, "store")

    @property
    def copies(self) -> str | None:
        """The one source to copy, or None where this is no plain copy."""
        plain = self.mode == "COPY" and isinstance(self.source, str)
        return self.source if plain and isinstance(self.source, str) else None


def _upper(value: Any, known: tuple[str, ...], word: str) -> str:
    text = str(value).upper()
    if text not in known:
        raise bad(f"{value!r} is not a storage {word}", choose(text, known))
    return text
