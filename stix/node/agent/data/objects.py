"""``objects``: what lies at URLs, onto this node, file by file.

Their content has no digest: sizes count, and that each piece is of the same version (ETag).
"""

from __future__ import annotations

import errno
import functools
import os

from .. import files
from .cache import Cache, lock_part
from .part import Part, Piece
from .place import copy
from .web import Web, WebError
from .work import Tally, side_by_side

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator

    File = Dict[str, Any]
    Act = Callable[[], None]

SPAN = 16 << 20


def objects(request: dict[str, Any]) -> dict[str, Any]:
    """Copy ``files`` (``path`` below ``target``, or empty for the target itself; ``url``,
    ``headers``, ``size``, ``mtime``) as far as the time goes; those that are there are kept.

    Returns:
        ``left``: the paths that are not there yet.
    """
    target = os.path.abspath(os.path.expanduser(request["target"]))
    kept = Cache(request["base"])
    kept.open()
    tally = Tally(float(request.get("seconds", 15.0)))
    jobs = []
    for file in request["files"]:
        place = os.path.join(target, file["path"]) if file["path"] else target
        jobs.append(Copying(kept, place, file, tally))
    side_by_side((act for job in jobs for act in job.acts()), tally)
    answer = {"left": [job.file["path"] for job in jobs if not job.there()]}
    answer.update(tally.report())
    return answer


class Copying:
    """One file."""

    _web = Web()

    def __init__(self, kept: Cache, place: str, file: File, tally: Tally) -> None:
        self.file = file
        self._place = place
        # Not beside the target: what is never finished must not lie among the user's files.
        self._part = os.path.join(kept.root, "objects", files.digest_text(place))
        self._journal = self._part + ".done"
        self._tally = tally
        self._tag = ""

    def there(self) -> bool:
        """Whether it lies there already, as far as size and time tell."""
        try:
            info = os.stat(self._place)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (info.st_size, int(info.st_mtime)) == (self.file["size"], self.file["mtime"])

    def acts(self) -> Iterator[Act]:
        if self.there() or self._tally.over:
            return
        os.makedirs(os.path.dirname(self._place), exist_ok=True)
        files.private_dir(os.path.dirname(self._part))
        fd = lock_part(self._part)
        if fd < 0:
            return  # an earlier call is at it still, where the way to its caller broke
        size, count = self.file["size"], max(1, -(-self.file["size"] // SPAN))
        self._same_source(fd)
        os.ftruncate(fd, size)
        part = Part(fd, self._journal, count, self._finish)
        try:
            if size == 0:
                part.note(0)
            for number in range(count if size else 0):
                if number not in part.done:
                    part.hold()
                    yield functools.partial(self._act, part, number)
        finally:
            part.leave()

    def _same_source(self, fd: int) -> None:
        """Begin anew where what is there is of another version of the object."""
        mark = self._part + ".of"
        now = "{} {}".format(self.file["size"], self.file["mtime"]).encode()
        try:
            with open(mark, "rb") as file:
                same = file.read() == now
        except FileNotFoundError:
            same = False
        if not same:
            files.discard(self._journal)
            os.ftruncate(fd, 0)
            files.write_file(mark, now)

    def _act(self, part: Part, number: int) -> None:
        try:
            if not self._tally.over:
                self._fetch(part, number)
        finally:
            part.leave()

    def _fetch(self, part: Part, number: int) -> None:
        begin = number * SPAN
        size = min(SPAN, self.file["size"] - begin)
        whole = size == self.file["size"]

        def start() -> tuple[Callable[[bytes], None], Callable[[], None]]:
            piece = Piece(part.fd, begin, size, "")
            return piece.take, piece.end

        span = None if whole else (begin, size)
        headers = self._web.get(self.file["url"], self.file["headers"], span, start)
        tag = headers.get("etag", "")
        self._tag = self._tag or tag
        if tag != self._tag:
            raise WebError("broken", "the object changes while it is read")
        part.note(number)
        self._tally.count("fetched", size)

    def _finish(self) -> None:
        os.chmod(self._part, 0o644)
        os.utime(self._part, (self.file["mtime"], self.file["mtime"]))
        try:
            os.replace(self._part, self._place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._carry()
        files.discard(self._journal)
        files.discard(self._part + ".of")

    def _carry(self) -> None:
        """To another file system."""
        new = self._place + ".stix-new"
        files.discard(new)
        copy(self._part, new, 0o644)
        os.utime(new, (self.file["mtime"], self.file["mtime"]))
        os.replace(new, self._place)
        files.discard(self._part)
