"""``hashed`` and ``push``: what a stage made, from this node to the store.

The engine knows the rules of an artifact: here a path is only read, in the order and with the words
of ``stix.storage.artifacts.scan``, and cut into chunks; and chunks that the store lacks are sent.
"""

from __future__ import annotations

import functools
import os
import stat
from hashlib import sha256

from .web import Web
from .work import Tally, side_by_side

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator

    Row = Dict[str, Any]
    Act = Callable[[], None]

WORKERS = 4  # each holds a chunk in memory


def hashed(request: dict[str, Any]) -> dict[str, Any]:
    """The entries of an artifact of what lies at ``path``, with the digests of its chunks.

    Returns:
        ``state``: ``missing``, ``refused`` (``words`` and ``fix`` say why) or ``read``, with
        ``kind`` and ``entries`` as in a manifest.
    """
    path = os.path.expanduser(request["path"])
    chunk_size = int(request["chunk_size"])
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return {"state": "missing"}
    try:
        if not stat.S_ISDIR(mode):
            row = _file(path, os.path.basename(path), chunk_size)
            return {"state": "read", "kind": "file", "entries": [row]}
        rows: list[Row] = []
        tally = Tally(float("inf"))
        side_by_side(_walk(path, chunk_size, rows), tally, WORKERS)
        return {"state": "read", "kind": "tree", "entries": rows}
    except Refused as error:
        return {"state": "refused", "words": str(error), "fix": error.fix}


class Refused(Exception):
    """A name that cannot be stored."""

    def __init__(self, words: str, fix: str) -> None:
        super().__init__(words)
        self.fix = fix


def _walk(root: str, chunk_size: int, rows: list[Row]) -> Iterator[Act]:
    """Notes folders and links; gives an act for each file, which adds its row."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        folder = os.path.join(root, prefix)
        try:
            with os.scandir(folder) as listing:
                items = list(listing)
        except OSError as error:
            raise _unreadable(folder, error) from error
        for item in items:
            path = prefix + item.name
            if item.is_symlink():
                rows.append({"path": path, "type": "link", "target": os.readlink(item.path)})
            elif item.is_dir(follow_symlinks=False):
                rows.append({"path": path, "type": "dir"})
                pending.append(path + "/")
            else:
                yield functools.partial(_add, item.path, path, chunk_size, rows)


def _add(source: str, path: str, chunk_size: int, rows: list[Row]) -> None:
    rows.append(_file(source, path, chunk_size))


def _file(source: str, path: str, chunk_size: int) -> Row:
    try:
        # O_NONBLOCK: opening a named pipe would wait for its other end.
        fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(source, error) from error
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise Refused(
                "{} is neither a file, a folder nor a link.".format(source),
                "Remove it or leave it out: sockets, pipes and devices cannot be stored.",
            )
        chunks, size = _chunks(fd, source, chunk_size)
        after = os.fstat(fd)
    finally:
        os.close(fd)
    if size != before.st_size or before.st_mtime_ns != after.st_mtime_ns:
        raise _changed(source)
    mode = 0o755 if before.st_mode & 0o111 else 0o644
    return {"path": path, "type": "file", "mode": mode, "size": size, "chunks": chunks}


def _chunks(fd: int, source: str, chunk_size: int) -> tuple[list[str], int]:
    digests: list[str] = []
    size, total, room = 0, sha256(), chunk_size
    while True:
        try:
            data = os.read(fd, min(1 << 20, room))
        except OSError as error:
            raise _unreadable(source, error) from error
        total.update(data)
        size += len(data)
        room -= len(data)
        if room == 0 or (not data and room < chunk_size):
            digests.append(total.hexdigest())
            total, room = sha256(), chunk_size
        if not data:
            return digests, size


def push(request: dict[str, Any]) -> dict[str, Any]:
    """Send ``parts`` (``file`` below ``path``, or empty; ``offset``, ``size``, ``chunk``, ``url``
    and ``headers``) as far as the time goes.

    Returns:
        ``sent``: the chunks that the store took. ``changed``: a file that is not what it was.
    """
    path = os.path.expanduser(request["path"])
    tally = Tally(float(request.get("seconds", 15.0)))
    sent: list[str] = []
    web = Web()

    def send(part: Row) -> None:
        if tally.over:
            return
        data = _piece(os.path.join(path, part["file"]) if part["file"] else path, part)
        web.put(part["url"], part["headers"], data)
        tally.count("pushed", len(data))
        sent.append(part["chunk"])

    try:
        acts = (functools.partial(send, part) for part in request["parts"])
        side_by_side(acts, tally, WORKERS)
    except Refused as error:
        return {"sent": sent, "changed": str(error)}
    answer: dict[str, Any] = {"sent": sent}
    answer.update(tally.report())
    return answer


def _piece(source: str, part: Row) -> bytes:
    """The bytes of a chunk, which are to be what they were."""
    try:
        fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(source, error) from error
    try:
        data = b""
        offset, left = part["offset"], part["size"]
        pieces = []
        while left:
            data = os.pread(fd, left, offset)
            if not data:
                break
            pieces.append(data)
            offset, left = offset + len(data), left - len(data)
    finally:
        os.close(fd)
    whole = b"".join(pieces)
    if sha256(whole).hexdigest() != part["chunk"]:
        raise _changed(source)
    return whole


def _changed(source: str) -> Refused:
    return Refused(
        "{} changed while it was read.".format(source), "Try again when nothing writes to it."
    )


def _unreadable(path: str, error: OSError) -> Refused:
    reason = error.strerror or type(error).__name__
    return Refused(
        "{} cannot be read: {}.".format(path, reason), "Check its rights or leave it out."
    )
