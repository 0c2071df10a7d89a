"""A copy of a directory as it was at one moment, although a program writes to it.

Programs know nothing of it, so the only proof is that nothing changed: names, sizes and times are
the same before and after the copy, and no file was touched a moment before. A directory that never
rests gives no copy.
"""

from __future__ import annotations

import os
import stat
import time

from . import files
from .errors import AgentError

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

    Seen = Dict[str, Tuple[int, ...]]

PIECE = 1 << 20
PAUSE_S = 0.1
GRAIN_S = 0.05
"""Times of files are coarser than writes: what was touched so recently may be changing still."""


def snapshot(request: dict[str, Any]) -> dict[str, Any]:
    """Copy ``source`` to ``target``, whole or not at all, within about ``seconds``.

    Returns:
        ``state``: ``taken``, ``missing`` (there is no source, or nothing in it) or ``restless``;
        ``files``, ``bytes`` and ``newest`` (Unix time of the last change) of what was taken.
    """
    source, target = request["source"], request["target"]
    deadline = time.monotonic() + float(request.get("seconds", 30.0))
    draft = target + ".new"
    files.remove_tree(draft)
    while True:
        before = _scan(source)
        if not before:
            return {"state": "missing"}
        newest = max(entry[1] for entry in before.values()) / 1e9
        if time.time() - newest >= GRAIN_S and _copied(source, draft, before):
            files.remove_tree(target)
            os.rename(draft, target)
            size = sum(entry[0] for entry in before.values())
            return {"state": "taken", "files": len(before), "bytes": size, "newest": newest}
        files.remove_tree(draft)
        if time.monotonic() > deadline:
            return {"state": "restless"}
        time.sleep(PAUSE_S)


def _copied(source: str, draft: str, before: Seen) -> bool:
    """Whether the copy is one of ``before``, and that is still what is there."""
    try:
        for name in sorted(before):
            _copy(os.path.join(source, name), os.path.join(draft, name))
    except (FileNotFoundError, NotADirectoryError):
        return False  # it went away meanwhile
    return _scan(source) == before


def _copy(path: str, target: str) -> None:
    files.private_dir(os.path.dirname(target))
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(path), target)
        return
    into = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        out = os.open(path, os.O_RDONLY)
        try:
            while True:
                data = os.read(out, PIECE)
                if not data:
                    break
                files.write_all(into, data)
        finally:
            os.close(out)
        os.fchmod(into, stat.S_IMODE(mode))
    finally:
        os.close(into)


def _scan(folder: str) -> Seen:
    """Relative path to size, time of change and identity, of files and links below."""
    found: Seen = {}
    pending = [""]
    while pending:
        inside = pending.pop()
        try:
            entries = list(os.scandir(os.path.join(folder, inside)))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            name = os.path.join(inside, entry.name)
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                pending.append(name)
            elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                size = status.st_size if stat.S_ISREG(status.st_mode) else 0
                found[name] = (size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            else:
                raise AgentError("invalid", "{} is neither a file nor a link".format(name))
    return found
