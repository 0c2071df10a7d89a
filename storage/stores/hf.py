"""Models, datasets and spaces of the Hugging Face Hub, to read from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from stix.storage.base import Signed, StorageError
from stix.storage.stores.common import PerProcess
from stix.storage.stores.https import HttpsStore

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_FIX = "Write hf://owner/name[@revision]/path, or hf://datasets/owner/name/path."
_KINDS = ("models", "datasets", "spaces")


class HfStore(HttpsStore):
    """Repositories, addressed as ``hf://[datasets/|spaces/]owner/name[@revision]/path``.

    The token is ``HF_TOKEN``, or the one that ``hf auth login`` has kept; public ones need none.

    Args:
        endpoint: The Hub; by default ``HF_ENDPOINT`` or the public one.
        token: In place of those.
    """

    scheme: ClassVar[str] = "hf"
    denied_fix: ClassVar[str] = (
        "Check the name; for a private or gated repository set HF_TOKEN to a token that reads it."
    )

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self._endpoint = endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        self._token = token or os.environ.get("HF_TOKEN") or _kept()
        self._filesystems = PerProcess(self._make)

    def __repr__(self) -> str:
        return f"HfStore({self._endpoint})"

    def _make(self) -> AbstractFileSystem:
        from stix.storage.stores.hf_fs import HubFileSystem

        return HubFileSystem(self._endpoint, self._token, skip_instance_cache=True)

    def path(self, url: str) -> str:
        scheme, separator, path = url.partition("://")
        parts = path.split("/")
        if parts[0] == "buckets":
            raise StorageError("Buckets of the Hub are not read.", fix="Use a dataset, or s3://.")
        if parts[0] not in _KINDS:
            parts = ["models", *parts]
        named = len(parts) >= 3 and parts[1] and parts[2]
        if scheme.lower() != "hf" or not separator or not named or "@" in parts[1]:
            raise StorageError("This is not the URL of a repository of the Hub.", fix=_FIX)
        return "/".join(parts)

    def version(self, url: str) -> str:
        """The digest that the Hub has for the file."""
        with self.errors(url):
            return str(self.filesystem().info(self.path(url)).get("ETag", ""))

    def sign(self, url: str, *, seconds: int) -> Signed | None:
        """A plain GET; with a token, the place to which the Hub sends whoever has one.

        None where the Hub gives the file itself, which it does with small ones.
        """
        filesystem: Any = self.filesystem()
        place = str(filesystem.url_of(self.path(url)))
        if not self._token:
            return Signed(place)
        with self.errors(url):
            onward = filesystem.onward(place)
        return Signed(onward) if onward else None


def _kept() -> str:
    from pathlib import Path

    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    try:
        return (Path(home).expanduser() / "token").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
