"""Small files that appear whole or not at all, and that only we can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_private(path: Path, data: str | bytes, *, replace: bool = True) -> bool:
    """Write a file of mode 0600 under a new name, then give it its name in one step.

    Args:
        path: Target; its folder exists.
        data: Whole content.
        replace: Where False, an existing file stays as it is.

    Returns:
        True if the content is now at ``path``.
    """
    raw = data.encode() if isinstance(data, str) else data
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(raw)
        if replace:
            draft.replace(path)
            return True
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        return True
    finally:
        draft.unlink(missing_ok=True)
