"""What is at a path: kind, size, mode, and a digest of the content."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any

CHUNK = 1 << 20


def describe(path: str) -> dict[str, Any]:
    """``type``: file, dir, link, other or missing.  ``size`` in bytes, ``mode`` 12 bits."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {"type": "missing", "size": 0, "mode": 0, "mtime": 0.0}
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
    return {
        "type": kinds.get(stat.S_IFMT(info.st_mode), "other"),
        "size": info.st_size,
        "mode": stat.S_IMODE(info.st_mode),
        "mtime": info.st_mtime,
    }


def digest(path: str) -> dict[str, Any]:
    """SHA-256 of a file's content, or of a tree.

    A tree's digest covers, for each entry in byte order of its path, one line of kind, permission
    bits, path and the digest of the content or the target of a link.  Times do not count.
    """
    from hashlib import sha256

    if not os.path.isdir(path):
        return {"digest": _file_digest(path)}
    total = sha256()
    for kind, mode, name, content in _entries(path):
        total.update(
            "{} {:o} {}\0{}\n".format(kind, mode, name, content).encode("utf-8", "surrogateescape")
        )
    return {"digest": total.hexdigest()}


def _entries(root: str) -> list[tuple[str, int, str, str]]:
    found = []
    for folder, dirs, names in os.walk(root):
        for name in [*dirs, *names]:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            relative = os.path.relpath(path, root)
            mode = stat.S_IMODE(info.st_mode)
            if stat.S_ISLNK(info.st_mode):
                found.append(("l", 0, relative, os.readlink(path)))
            elif stat.S_ISDIR(info.st_mode):
                found.append(("d", mode, relative, ""))
            elif stat.S_ISREG(info.st_mode):
                found.append(("f", mode, relative, _file_digest(path)))
    return sorted(found, key=lambda row: os.fsencode(row[2]))


def _file_digest(path: str) -> str:
    from hashlib import sha256

    total = sha256()
    with open(path, "rb") as file:
        while True:
            part = file.read(CHUNK)
            if not part:
                return total.hexdigest()
            total.update(part)
