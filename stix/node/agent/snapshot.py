"""A copy of a directory as it was at one moment, although a program writes to it.

Programs know nothing of it, so the only proof is that nothing changed: names, sizes and times are
the same before and after the copy, and no file was touched a moment before. A directory that never
rests gives no copy.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time

from . import copying, files
from .errors import AgentError

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

    Seen = Dict[str, Tuple[int, ...]]

PAUSE_S = 0.1
GRAIN_S = 0.05
"""Times of files are coarser than writes: what was touched so recently may be changing still."""


def snapshot(request: dict[str, Any]) -> dict[str, Any]:
    """Copy ``source`` to ``target``, whole or not at all, within about ``seconds``.

    Returns:
        ``state``: ``taken``, ``missing`` (there is no source, or no file in it), ``unchanged``
        (it is as it was when an earlier answer had the ``mark`` of the request), ``restless``, or
        ``busy`` (another copy of it is being made); ``files``, ``bytes``, ``newest`` (Unix time of
        the last change) and ``mark`` of what was taken.
    """
    source, target = request["source"], request["target"]
    deadline = time.monotonic() + float(request.get("seconds", 30.0))
    lock = os.open(target + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _locked(lock):
            if time.monotonic() > deadline:
                return {"state": "busy"}
            time.sleep(PAUSE_S)
        return _at_rest(source, target, deadline, request.get("mark", ""))
    finally:
        os.close(lock)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _at_rest(source: str, target: str, deadline: float, known: str) -> dict[str, Any]:
    draft = target + ".new"
    files.remove_tree(draft)
    while True:
        before = _scan(source)
        sizes = [entry[0] for name, entry in before.items() if not name.endswith("/")]
        if not sizes:
            return {"state": "missing"}
        newest = max(entry[1] for entry in before.values()) / 1e9
        if time.time() - newest >= GRAIN_S:
            mark = files.digest_text(json.dumps(before, sort_keys=True))
            if mark == known:
                return {"state": "unchanged", "mark": mark, "newest": newest}
            if _copied(source, draft, before):
                files.remove_tree(target)
                os.rename(draft, target)
                found = {"files": len(sizes), "bytes": sum(sizes), "newest": newest, "mark": mark}
                return {"state": "taken", **found}
        files.remove_tree(draft)
        if time.monotonic() > deadline:
            return {"state": "restless"}
        time.sleep(PAUSE_S)


def _copied(source: str, draft: str, before: Seen) -> bool:
    """Whether the copy is one of ``before``, and that is still what is there."""
    try:
        for name in sorted(before):
            if name.endswith("/"):
                files.private_dir(os.path.join(draft, name))
            else:
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
        # A link, a pipe or a device may have come in its place: neither followed nor waited for.
        out = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            copying.fill(into, out)
        finally:
            os.close(out)
        os.fchmod(into, stat.S_IMODE(mode))
    finally:
        os.close(into)


def _scan(folder: str) -> Seen:
    """Relative path to size, time of change and identity, of all below; folders end by ``/``."""
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
            size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            facts = (size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            if stat.S_ISDIR(status.st_mode):
                pending.append(name)
                found[name + "/"] = facts
            elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                found[name] = facts
            else:
                raise AgentError("invalid", "{} is neither a file nor a link".format(name))
    return found
