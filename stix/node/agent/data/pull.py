"""``pull``: an artifact onto this host, and to a place on it.

The engine calls it again and again: each call works for some seconds with the URLs that it was
given, and says what is missing still. So signatures can be short-lived, an engine that died is no
harm, and what came stays.
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from hashlib import sha256

from .. import files
from ..errors import AgentError
from .cache import Cache, key_of, lock_part
from .part import Part, Piece, copy_piece
from .place import Place, Vanished
from .web import Web, WebError
from .work import Tally, side_by_side

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator

    Entry = Dict[str, Any]
    Act = Callable[[], None]

TOLD = 2048
"""So many missing chunks are named at most."""
WAIT_S = 0.2


def pull(request: dict[str, Any]) -> dict[str, Any]:
    """Fetch what the host lacks of an artifact, then put it to ``target`` if ``place`` says so.

    Returns:
        ``state``: ``manifest`` (the host does not know it: call again with it), ``more`` (see
        ``missing``) or ``done``. ``busy``: another process fetches a part of it. ``incoming``:
        where to put chunks that the host cannot fetch.
    """
    kept = Cache(request["base"])
    kept.open()
    manifest = _manifest(kept, request)
    if manifest is None:
        return {"state": "manifest"}
    fetcher = Fetcher(kept, manifest, request)
    answer = fetcher.run()
    if answer["state"] == "done" and request.get("place", True):
        try:
            answer["placed"] = Place(kept, manifest, request).run()
        except Vanished:
            answer["state"] = "more"  # cleared away or written to meanwhile
    if answer["state"] == "done":
        kept.trim(int(request.get("limit", 0)))
    return answer


def _manifest(kept: Cache, request: dict[str, Any]) -> dict[str, Any] | None:
    digest, text = request["digest"], request.get("manifest")
    path = kept.manifest(digest)
    if text is None:
        try:
            with open(path, "rb") as file:
                data = file.read()
            os.utime(path)
        except FileNotFoundError:
            return None
        if sha256(data).hexdigest() != digest:
            files.discard(path)
            return None
    else:
        data = text.encode()
        if sha256(data).hexdigest() != digest:
            raise AgentError("invalid", "the manifest does not have its digest")
        files.private_dir(os.path.dirname(path))
        files.write_file(path, data)
    found: dict[str, Any] = json.loads(data)
    return found


class Fetcher:
    """One call's work on one artifact."""

    def __init__(self, kept: Cache, manifest: dict[str, Any], request: dict[str, Any]) -> None:
        self._cache = kept
        self._urls: dict[str, Any] = request.get("urls") or {}
        self._seconds = float(request.get("seconds", 15.0))
        self._tally = Tally(self._seconds)
        self._chunk_size = int(manifest["chunk_size"])
        self._todo = self._distinct(manifest["entries"])
        self._web = Web()
        self._missing: dict[str, None] = {}
        self._lacking = 0
        self._busy = False
        self._turn = threading.Condition()
        self._under_way: set[str] = set()
        self._fetched: dict[str, tuple[str, int]] = {}

    def _distinct(self, entries: list[Entry]) -> dict[str, Entry]:
        """The files with content, each once, by its name in the cache."""
        return {
            key_of(e["chunks"], self._chunk_size, e["mode"] & 0o111 != 0): e
            for e in entries
            if e["type"] == "file" and e["chunks"]
        }

    def run(self) -> dict[str, Any]:
        end = time.monotonic() + self._seconds
        while True:
            self._busy, self._lacking = False, 0
            self._missing.clear()
            side_by_side(self._acts(), self._tally)
            self._todo = {
                key: e for key, e in self._todo.items() if not self._cache.has(key, e["size"])
            }
            if not self._busy or self._lacking or self._tally.over or time.monotonic() > end:
                break
            time.sleep(WAIT_S)
        answer: dict[str, Any] = {
            "state": "more" if self._todo else "done",
            "busy": self._busy,
        }
        answer.update(self._tally.report())
        answer.update(missing=list(self._missing), lacking=self._lacking)
        answer["incoming"] = self._cache.incoming
        return answer

    def _acts(self) -> Iterator[Act]:
        for key, entry in self._todo.items():
            if self._cache.has(key, entry["size"]):
                self._cache.used(key)
                continue
            part = self._open(key, entry)
            if part is None:
                continue
            try:
                yield from self._pieces(key, entry, part)
            finally:
                part.leave()

    def _open(self, key: str, entry: Entry) -> Part | None:
        """The file to be, ours alone; None where it is another's, or whole by now."""
        path = self._cache.path(key)
        files.private_dir(os.path.dirname(path))
        fd = lock_part(path + ".part")
        if fd < 0:
            self._busy = True
            return None
        if self._cache.has(key, entry["size"]):
            files.discard(path + ".part")
            os.close(fd)
            return None
        if os.fstat(fd).st_size == 0:
            files.discard(path + ".done")
        os.ftruncate(fd, entry["size"])
        finish = functools.partial(self._cache.finish, key, path + ".part", entry["chunks"])
        return Part(fd, path + ".done", len(entry["chunks"]), finish)

    def _pieces(self, key: str, entry: Entry, part: Part) -> Iterator[Act]:
        for number, chunk in enumerate(entry["chunks"]):
            if number in part.done:
                continue
            begin = number * self._chunk_size
            size = min(self._chunk_size, entry["size"] - begin)
            if self._local(part, number, chunk, size):
                continue
            if chunk not in self._urls or self._tally.over:
                self._lacks(chunk)
                continue
            part.hold()
            yield functools.partial(self._act, part, number, chunk, size, self._cache.path(key))

    def _lacks(self, chunk: str) -> None:
        self._lacking += 1
        if len(self._missing) < TOLD:
            self._missing[chunk] = None

    def _local(self, part: Part, number: int, chunk: str, size: int) -> bool:
        """Take a chunk from what is on this host already."""
        begin = number * self._chunk_size
        incoming = os.path.join(self._cache.incoming, chunk)
        if os.path.exists(incoming):
            good = copy_piece(incoming, 0, Piece(part.fd, begin, size, chunk), size)
            files.discard(incoming)
            if good:
                return self._got(part, number, "passed", size)
        for path, offset in self._cache.find(chunk, self._chunk_size):
            if copy_piece(path, offset, Piece(part.fd, begin, size, chunk), size):
                return self._got(part, number, "shared", size)
        return False

    def _got(self, part: Part, number: int, how: str, size: int) -> bool:
        part.note(number)
        self._tally.count(how, size)
        return True

    def _act(self, part: Part, number: int, chunk: str, size: int, path: str) -> None:
        try:
            with self._turn:
                while chunk in self._under_way:
                    self._turn.wait()
                known = self._fetched.get(chunk)
                self._under_way.add(chunk)
            try:
                if self._fetch(part, number, chunk, size, known):
                    self._fetched[chunk] = (path, number * self._chunk_size)
                else:
                    self._lacks(chunk)
            except WebError:
                self._lacks(chunk)
                raise
            finally:
                with self._turn:
                    self._under_way.discard(chunk)
                    self._turn.notify_all()
        finally:
            part.leave()

    def _fetch(
        self, part: Part, number: int, chunk: str, size: int, known: tuple[str, int] | None
    ) -> bool:
        """By its URL; a chunk that came in this call already is copied."""
        begin = number * self._chunk_size
        for path in (known[0], known[0] + ".part") if known else ():
            if copy_piece(path, known[1] if known else 0, Piece(part.fd, begin, size, chunk), size):
                return self._got(part, number, "shared", size)
        if self._tally.over:
            return False

        def start() -> tuple[Callable[[bytes], None], Callable[[], None]]:
            piece = Piece(part.fd, begin, size, chunk)
            return piece.take, piece.end

        signed = self._urls[chunk]
        self._web.get(signed["url"], signed["headers"], None, start)
        return self._got(part, number, "fetched", size)
