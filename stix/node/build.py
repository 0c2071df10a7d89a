"""Pack the node agent as one zipapp, the same bytes for the same source."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parent
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
DIGEST_LENGTH = 12


def sources() -> dict[str, Path]:
    """Name in the archive to file, in the archive's order."""
    top = _ROOT / "agent"
    modules = {f"stix_agent/{p.relative_to(top).as_posix()}": p for p in sorted(top.rglob("*.py"))}
    return {"__main__.py": _ROOT / "bootstrap.py", **modules}


@cache
def zipapp_bytes() -> bytes:
    """The archive. Deterministic: fixed order, times and modes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sources().items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


@cache
def digest() -> str:
    """Names the agent: the digest of its sources (compression may differ between zlib versions)."""
    total = hashlib.sha256()
    for name, path in sources().items():
        total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:DIGEST_LENGTH]
