"""Refresh the prices of one cloud: ask, check, and only then replace the file."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stix.clouds.catalog.catalog import Catalog
from stix.clouds.catalog.compare import Change, changes
from stix.clouds.catalog.locations import folders
from stix.clouds.catalog.refresh.answers import Answer
from stix.clouds.catalog.refresh.base import Item, Known, Page, Refresher
from stix.clouds.catalog.refresh.checks import (
    Checked,
    Held,
    Origin,
    Policy,
    compared,
    place_of,
    priced,
    with_spot,
)
from stix.clouds.catalog.refresh.errors import ChangedSchema, NoAccess, RefreshError, Refused
from stix.clouds.catalog.refresh.pages import Kept, Pages, alone
from stix.clouds.catalog.refresh.settings import Settings
from stix.clouds.catalog.refresh.transport import Request, Transport
from stix.clouds.catalog.tables import SUFFIX, CatalogError, Table, read, write
from stix.errors import StixError
from stix.files import write_private
from stix.secrets import Redactor

Progress = Callable[[str, int, int], None]
"""Called after each page: cloud, pages done, pages waiting."""
REFRESHED, TRIED, FAILED, SKIPPED = "refreshed", "dry run", "failed", "skipped"


@dataclass
class Outcome:
    """What became of one cloud.

    Attributes:
        cloud: Its name.
        state: ``refreshed``, ``dry run``, ``failed`` (the file of before stays) or ``skipped``.
        rows: In the new file.
        as_of: Its day.
        pages: Asked for in this run.
        reused: Not asked for: finished in a run that was broken off.
        unchanged: Asked for, and the same as the last time.
        changes: What differs from the file of before.
        held: Prices that moved too far; the ones of before stay.
        notes: What was dropped or merged, to how often.
        error: Why it failed or was skipped.
        fix: What to do about it.
    """

    cloud: str
    state: str = FAILED
    rows: int = 0
    as_of: str = ""
    pages: int = 0
    reused: int = 0
    unchanged: int = 0
    changes: list[Change] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    error: str = ""
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        data = dict(vars(self))
        data["changes"] = [{**c._asdict(), "moved": c.moved} for c in self.changes]
        data["held"] = [h._asdict() for h in self.held]
        return data


@dataclass(frozen=True)
class Wish:
    """How to refresh.

    Attributes:
        dry_run: True writes no catalog.
        accept: True takes prices and lists that would be held back.
        progress: Called after each page.
    """

    dry_run: bool = False
    accept: bool = False
    progress: Progress = lambda cloud, done, waiting: None


def refresh(kind: type[Refresher], settings: Settings, wish: Wish = Wish()) -> Outcome:
    """Refresh the prices of one cloud; an error is part of the outcome."""
    outcome = Outcome(kind.cloud)
    hidden: list[str] = []
    try:
        secrets = _secrets(kind, settings, hidden)
        folder = settings.folder / "pages" / kind.cloud
        with alone(folder, kind.cloud):
            _Run(kind, secrets, settings, wish, outcome).refresh(folder)
    except StixError as error:
        # What a provider says can repeat what was sent.
        redactor = Redactor(hidden)
        outcome.state = FAILED
        outcome.error, outcome.fix = redactor.text(error.message), redactor.text(error.fix)
    return outcome


def lacking(kind: type[Refresher], settings: Settings) -> list[str]:
    """The secrets that a refresher needs and that are not set."""
    return [name for name in kind.secrets if settings.secret(name) is None]


def _secrets(kind: type[Refresher], settings: Settings, hidden: list[str]) -> dict[str, str]:
    found = {n: v for n in (*kind.secrets, *kind.optional) if (v := settings.secret(n)) is not None}
    hidden += found.values()
    missing = [name for name in kind.secrets if name not in found]
    if missing:
        raise NoAccess(
            f"{kind.cloud}: {' and '.join(missing)} not set",
            fix="set the environment variable, or catalog.secrets in config.yaml",
        )
    return found


class _Run:
    """One refresh of one cloud."""

    def __init__(
        self,
        kind: type[Refresher],
        secrets: dict[str, str],
        settings: Settings,
        wish: Wish,
        outcome: Outcome,
    ) -> None:
        self.settings = settings
        self.wish = wish
        self.outcome = outcome
        self.cloud = kind.cloud
        self.old_file, self.old = _in_use(settings, kind.cloud)
        self.old_rows = [self.old.row(n) for n in range(self.old.size)] if self.old else []
        known = Known(self.old_rows, self.old.regions if self.old else ())
        self.refresher = kind(known, secrets)

    def refresh(self, folder: Path) -> None:
        """Ask, check, and replace the file.

        Raises:
            StixError: it did not work; the file of before is as it was.
        """
        clock, bounds = self.settings.clock, self.settings.bounds
        pages = Pages(folder, clock.now(), bounds.resume_seconds)
        with Transport(bounds, clock) as transport:
            try:
                items = self._items(transport, pages)
            except Refused:
                if not pages.resumed:
                    raise
                pages.again(clock.now())  # a link of the broken run may be too old by now
                items = self._items(transport, pages)
        found = self._checked(items)
        self._write(found)
        if not self.wish.dry_run:
            pages.done()

    def _items(self, transport: Transport, pages: Pages) -> list[Item]:
        outcome = self.outcome
        outcome.pages = outcome.reused = outcome.unchanged = 0
        items: list[Item] = []
        waiting, asked = deque(self.refresher.first()), set[str]()
        logged_in = False
        while waiting:
            page = waiting.popleft()
            if page.key in asked:
                raise ChangedSchema(f"{self.cloud}: page {page.key} leads to itself")
            asked.add(page.key)
            if len(asked) > self.settings.bounds.pages:
                raise RefreshError(f"{self.cloud}: more than {self.settings.bounds.pages} pages")
            kept = pages.finished(page)
            if kept is not None:
                outcome.reused += 1
            else:
                if not logged_in:
                    self._login(transport, pages)
                    logged_in = True
                kept = self._asked(transport, pages, page)
                pages.keep(page, kept)
            items += kept.found.items
            waiting.extend(kept.found.more)
            self.wish.progress(self.cloud, len(asked), len(waiting))
        return items

    def _login(self, transport: Transport, pages: Pages) -> None:
        page = self.refresher.login()
        if page is None:
            return
        request = self._request(page, {})

        def once() -> None:
            transport.ask(request, pages.scratch, self._most())
            try:
                self.refresher.logged_in(Answer(pages.scratch, request.name))
            finally:
                pages.scratch.unlink(missing_ok=True)  # it holds a token

        transport.trying(once)

    def _asked(self, transport: Transport, pages: Pages, page: Page) -> Kept:
        before = pages.kept(page)
        plain = page.json is None and page.form is None
        request = self._request(page, before.conditions if before and plain else {})

        def once() -> Kept:
            reply = transport.ask(request, pages.scratch, self._most())
            if reply.not_modified:
                if before is None or not request.headers:
                    raise Refused(f"{request.name}: the provider answers 304 to no condition")
                self.outcome.unchanged += 1
                return replace(before, run=pages.run)
            found = self.refresher.read(page, Answer(pages.scratch, request.name))
            return Kept(pages.run, found, reply.etag, reply.last_modified)

        try:
            self.outcome.pages += 1
            return transport.trying(once)
        finally:
            pages.scratch.unlink(missing_ok=True)

    def _request(self, page: Page, conditions: dict[str, str]) -> Request:
        url = self._url(page)
        name = f"{self.cloud} {page.key}"
        bare = Request(name, url, page.query, page.json, page.form, {})
        headers = self.refresher.headers(page, url, bare.content)
        return replace(bare, headers={**headers, **conditions})

    def _url(self, page: Page) -> str:
        kind = self.refresher
        default = kind.hosts[page.host] if page.host else kind.url
        name = f"{self.cloud}-{page.host}" if page.host else self.cloud
        base = self.settings.urls.get(name, default).replace("{about}", page.about).rstrip("/")
        if "://" not in page.path:
            return base + page.path
        # A link in an answer: credentials follow it only to where they were meant for.
        link = urlsplit(page.path)
        if (link.hostname, link.scheme) != (urlsplit(base).hostname, urlsplit(base).scheme):
            raise ChangedSchema(f"{self.cloud}: a link leads to another host: {link.hostname}")
        return page.path

    def _most(self) -> int:
        return self.settings.bounds.page_bytes or self.refresher.page_bytes

    def _checked(self, items: list[Item]) -> Checked:
        refresher = self.refresher
        today = self.settings.clock.today().isoformat()
        policy = Policy(self.settings.bounds, self.settings.rates, self.wish.accept)
        origin = Origin(refresher.source, today, refresher.confidence)
        found = priced(refresher.quotes(items), origin, policy)
        found.notes.update(Counter(refresher.left_out))
        rows = found.rows if refresher.tells_spot else with_spot(found.rows, self.old_rows)
        there = {place_of(row) for row in rows}
        stay = [r for r in self.old_rows if refresher.keeps(r) and place_of(r) not in there]
        if stay:
            found.notes["not in this list: the rows of before stay"] += len(stay)
        return compared(Checked([*rows, *stay], notes=found.notes), self.old_rows, policy)

    def _write(self, found: Checked) -> None:
        settings, outcome = self.settings, self.outcome
        countries = dict(self.refresher.countries)
        if self.old is not None:
            told = zip(self.old.regions, self.old.countries, strict=True)
            countries |= {region: country for region, country in told if country}
        folder = settings.folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = folder / f".{self.cloud}.new"
        target = folder / f"{self.cloud}{SUFFIX}"
        try:
            write_private(draft, write(self.cloud, found.rows, countries))
            read(draft)
            files = {self.cloud: self.old_file} if self.old_file else {}
            old, new = Catalog(files), Catalog({self.cloud: draft})
            outcome.changes = list(changes(old, new))
            if not self.wish.dry_run:
                draft.replace(target)
        except (ValueError, OverflowError) as error:
            raise RefreshError(f"{self.cloud}: the list does not fit the format: {error}") from None
        finally:
            draft.unlink(missing_ok=True)
        outcome.state = TRIED if self.wish.dry_run else REFRESHED
        outcome.rows, outcome.held, outcome.notes = len(found.rows), found.held, dict(found.notes)
        outcome.as_of = settings.clock.today().isoformat()


def _in_use(settings: Settings, cloud: str) -> tuple[Path | None, Table | None]:
    """The file that prices of the cloud are from now; a damaged one counts as none."""
    for folder in reversed(folders(settings.home)):
        path = folder / f"{cloud}{SUFFIX}"
        try:
            return path, read(path)
        except (FileNotFoundError, CatalogError):
            continue
    return None, None
