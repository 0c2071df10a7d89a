"""Finished pages on disk: a run that was killed goes on, and unchanged pages are not sent again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stix.clouds.catalog.refresh.base import Found, Page, page_of
from stix.clouds.catalog.refresh.errors import Busy, ChangedSchema
from stix.files import write_private

VERSION = 1


@dataclass(frozen=True)
class Kept:
    """A page that was fetched once.

    Attributes:
        run: By which run.
        found: What it said.
        etag: To ask whether it changed; None where the provider gave none.
        last_modified: Likewise.
    """

    run: str
    found: Found
    etag: str | None
    last_modified: str | None

    @property
    def conditions(self) -> dict[str, str]:
        """Headers that ask whether it changed."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified else {}


class Pages:
    """The pages of one cloud.

    Args:
        folder: Theirs alone.
        now: Seconds since 1970.
        good_for: Seconds for which a run that was broken off can go on.
    """

    def __init__(self, folder: Path, now: float, good_for: float) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._file = folder / "run"
        begun = self._read(self._file)
        fresh = isinstance(begun, dict) and 0 <= now - float(begun.get("begun", 0)) < good_for
        self.resumed = bool(fresh and begun and begun.get("version") == VERSION)
        self.run: str = str(begun["run"]) if self.resumed and begun else ""
        if not self.resumed:
            self._begin(now)

    @property
    def scratch(self) -> Path:
        """Where an answer may lie until it is read."""
        return self._folder / "answer"

    def finished(self, page: Page) -> Kept | None:
        """A page that this run has, so that it need not be asked for again."""
        kept = self.kept(page)
        return kept if kept and kept.run == self.run else None

    def kept(self, page: Page) -> Kept | None:
        """A page that some run had."""
        data = self._read(self._path(page))
        if not isinstance(data, dict) or data.get("page") != page.to_dict():
            return None
        try:
            found = Found(data["items"], [page_of(more) for more in data["more"]])
            return Kept(data["run"], found, data["etag"], data["last_modified"])
        except (KeyError, TypeError, ChangedSchema):
            return None

    def keep(self, page: Page, kept: Kept) -> None:
        """Note that this run has a page."""
        data = {
            "page": page.to_dict(),
            "run": self.run,
            "items": kept.found.items,
            "more": [more.to_dict() for more in kept.found.more],
            "etag": kept.etag,
            "last_modified": kept.last_modified,
        }
        write_private(self._path(page), json.dumps(data, separators=(",", ":")))

    def again(self, now: float) -> None:
        """Forget that anything is finished: links of a run that was broken off can be too old."""
        self.resumed = False
        self._begin(now)

    def done(self) -> None:
        """The run is over: pages that cannot be asked about are of no more use."""
        self._file.unlink(missing_ok=True)
        self.scratch.unlink(missing_ok=True)
        for path in self._folder.glob("*.json"):
            data = self._read(path)
            useful = isinstance(data, dict) and data.get("run") == self.run
            if not useful or not (data and (data.get("etag") or data.get("last_modified"))):
                path.unlink(missing_ok=True)

    def _begin(self, now: float) -> None:
        self.run = secrets.token_hex(6)
        note = {"version": VERSION, "run": self.run, "begun": now}
        write_private(self._file, json.dumps(note))

    def _path(self, page: Page) -> Path:
        return self._folder / f"{hashlib.sha256(page.key.encode()).hexdigest()[:24]}.json"

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        try:
            data = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) else None


@contextmanager
def alone(folder: Path, cloud: str) -> Iterator[None]:
    """One refresh of a cloud at a time; the lock goes with the process.

    Raises:
        Busy: another one is under way.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another refresh of {cloud} is under way", fix="wait for it") from None
        yield
    finally:
        with suppress(OSError):
            os.close(descriptor)
