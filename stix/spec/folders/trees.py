"""Rules for the names and links of a tree that leaves its machine; standard library only."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping

TAR_END = b"\0" * (2 * tarfile.BLOCKSIZE)
MAX_EXPANSIONS = 40
"""Linux gives up (ELOOP) after as many links; beyond that a link leads nowhere."""


def bad_name(path: str) -> str | None:
    """Why ``path`` cannot be the name of an entry (relative, parts split by ``/``), or None."""
    if not path:
        return "the name is empty"
    if "\0" in path:
        return "the name holds a NUL"
    if path.startswith("/"):
        return "the name is absolute"
    if any(part in {"", ".", ".."} for part in path.split("/")):
        return "the name holds an empty, '.' or '..' part"
    return None


def bad_link(path: str, links: Mapping[str, str]) -> str | None:
    """Why the link at ``path`` may not travel, or None where it stays inside the tree.

    A target is followed part by part through the other links, as the kernel does: the plain
    text of ``up/../x`` stays inside, while ``up`` may lead to the root and ``..`` out of it.

    Args:
        path: The link, relative to the root of the tree.
        links: Every link of the tree, by path, with its target.
    """
    target = links[path]
    if target.startswith("/"):
        return f"it points to the absolute path {target}"
    here = path.split("/")[:-1]
    todo = target.split("/")[::-1]
    expansions = 0
    while todo:
        part = todo.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not here:
                return f"its target {target} leaves the tree"
            here.pop()
            continue
        onward = links.get("/".join([*here, part]))
        if onward is None:
            here.append(part)
            continue
        expansions += 1
        if onward.startswith("/"):
            return f"its target {target} passes an absolute link"
        if expansions > MAX_EXPANSIONS:
            return None
        todo.extend(onward.split("/")[::-1])
    return None


def tar_header(
    path: str, kind: str, *, mode: int = 0o755, size: int = 0, target: str = ""
) -> bytes:
    """A member's header: the same bytes for the same content (time 0, owner 0).

    Args:
        kind: ``file``, ``dir`` or ``link``.
        size: Bytes of the file, which must follow, and then `tar_padding`.
    """
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = mode
    if kind == "dir":
        info.type = tarfile.DIRTYPE
    elif kind == "link":
        info.type, info.linkname = tarfile.SYMTYPE, target
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def tar_padding(size: int) -> bytes:
    """What fills the last block of a member of ``size`` bytes."""
    return b"\0" * (-size % tarfile.BLOCKSIZE)
