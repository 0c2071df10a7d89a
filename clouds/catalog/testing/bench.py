"""What the suite needs of a refresher, and the desk it is tested at."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from stix.clouds.catalog.refresh import Bounds, Clock, Outcome, Refresher, Settings, Wish, refresh
from stix.clouds.catalog.rows import Row
from stix.clouds.catalog.tables import read, write
from stix.clouds.catalog.testing.server import Provider
from stix.clouds.catalog.testing.world import Asked, Double, row

Price = tuple[float | None, float | None]
DAY = 86_400.0
BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
BOUNDS = Bounds(attempts=3, first_wait=0.25, idle_seconds=5.0, answer_seconds=10.0)


class Broken(AssertionError):
    """The refresher does not do what it must."""


@dataclass(frozen=True)
class Bench:
    """A refresher and its double.

    Attributes:
        refresher: What is tested.
        double: What its provider answers. It sells at least three machines.
        expect: (Machine, region) to its price on demand and spot in USD, of some of them.
        field: A field without which prices cannot be read; it is renamed.
        pages: How many pages there are, at least.
        before: Rows of the catalog that was in use before.
    """

    refresher: type[Refresher]
    double: Double
    expect: Mapping[tuple[str, str], Price]
    field: str
    pages: int = 1
    before: Sequence[Row] = ()


@dataclass
class Desk:
    """A bench with a running double, an empty home and its own time."""

    bench: Bench
    provider: Provider
    home: Path
    last: Asked
    now: float = BEGIN
    waits: list[float] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """The catalog of the cloud."""
        return self.home / "catalog" / f"{self.bench.refresher.cloud}.cat"

    def is_last(self, asked: Asked) -> bool:
        """Whether it is the last page."""
        return asked.identity == self.last.identity

    def settings(self, bounds: Mapping[str, float]) -> Settings:
        """Those of this desk."""
        kind = self.bench.refresher
        return Settings(
            self.home,
            urls=addresses(kind, self.url),
            environment=self.secrets,
            bounds=replace(BOUNDS, **bounds),  # type: ignore[arg-type]
            clock=Clock(self.waits.append, time.monotonic, lambda: self.now),
        )

    @property
    def url(self) -> str:
        return self.provider.url

    @property
    def secrets(self) -> dict[str, str]:
        """A value for every secret that the refresher can use."""
        kind = self.bench.refresher
        return {name: f"hidden-{name.lower()}" for name in (*kind.secrets, *kind.optional)}

    def refresh(
        self,
        *,
        good: bool = True,
        wish: Wish = Wish(),  # noqa: B008
        bounds: Mapping[str, float] = MappingProxyType({}),
    ) -> Outcome:
        """Refresh once; ``good`` says what has to come of it.

        Raises:
            Broken: something else came of it.
        """
        outcome = refresh(self.bench.refresher, self.settings(bounds), wish)
        demand((outcome.state != "failed") == good, f"{outcome.state}: {outcome.error}")
        return outcome

    def prices(self) -> dict[tuple[str, str, str | None], Price]:
        """What the catalog says now."""
        table = read(self.file)
        rows = [table.row(number) for number in range(table.size)]
        return {(r.kind.instance_type, r.region, r.zone): (r.on_demand, r.spot) for r in rows}

    def seed(self) -> bytes:
        """Put the catalog of before in its place; gives its bytes."""
        cloud = self.bench.refresher.cloud
        rows = self.bench.before or [row(cloud, "of-before", "nowhere", 1.0)]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(write(cloud, rows, {}))
        return self.file.read_bytes()


def demand(holds: bool, otherwise: str) -> None:
    """Raises:
    Broken: it does not hold.
    """
    if not holds:
        raise Broken(otherwise)


@contextmanager
def desk(bench: Bench, folder: Path) -> Iterator[Desk]:
    """A desk; its home has the catalog of before. The double was rehearsed once, elsewhere."""
    with Provider(bench.double).running() as provider:
        nobody = Asked("", "", {}, {}, b"")
        rehearsal = Desk(bench, provider, folder / "rehearsal", nobody)
        rehearsal.seed()
        rehearsal.refresh()
        last = provider.asked[-1]
        shutil.rmtree(rehearsal.home)
        provider.asked.clear()
        found = Desk(bench, provider, folder / "home", last)
        found.seed()
        yield found


def addresses(kind: type[Refresher], url: str) -> dict[str, str]:
    """All hosts of a refresher, at one double."""
    return {kind.cloud: url} | {f"{kind.cloud}-{h}": f"{url}/{h}/{{about}}" for h in kind.hosts}


def environment(at: Desk) -> dict[str, str]:
    """For a process that refreshes at this desk."""
    return {**os.environ, **at.secrets, "STIX_HOME": str(at.home)}
