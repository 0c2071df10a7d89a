"""adlfs's file system, with names taken as they are. Imported when first used: it is heavy."""

from __future__ import annotations

from typing import Any

from adlfs import AzureBlobFileSystem


class PlainNames(AzureBlobFileSystem):  # type: ignore[misc]  # adlfs has no types
    """Paths are ``container/key``: a ``?`` in a key begins no query, and is not lost at its end."""

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        for scheme in ("abfs://", "az://"):
            path = path.removeprefix(scheme)
        return path.lstrip("/")
