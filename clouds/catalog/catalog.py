"""The catalog in memory: one table per cloud, read when it is first needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from stix.clouds.catalog import locations
from stix.clouds.catalog.query import Query, Wanted
from stix.clouds.catalog.rows import MACHINE, Kind, Row
from stix.clouds.catalog.tables import SUFFIX, Table, read

if TYPE_CHECKING:
    from stix.clouds.catalog.gpus import Gpu, Place
    from stix.plan.offers import Offer

BUNDLED = locations.BUNDLED


class Catalog:
    """Queries over the rows of several clouds.

    Args:
        files: Cloud to the file its rows are in.
    """

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = dict(sorted(files.items()))
        self._tables: dict[str, Table] = {}

    @classmethod
    def load(
        cls, clouds: Iterable[str] | None = None, folders: Sequence[Path] | None = None
    ) -> Catalog:
        """The catalog of these clouds (all that there are where none are named).

        Args:
            clouds: Names; those without a file are left out.
            folders: Where to look; a later folder has precedence. Usually the files of this
                package, and before them those that were refreshed.
        """
        places = locations.folders() if folders is None else folders
        found = {path.stem: path for folder in places for path in folder.glob(f"[!.]*{SUFFIX}")}
        kept = set(found) if clouds is None else set(clouds)
        return cls({cloud: path for cloud, path in found.items() if cloud in kept})

    @property
    def clouds(self) -> tuple[str, ...]:
        return tuple(self._files)

    def __len__(self) -> int:
        return sum(self.table(cloud).size for cloud in self._files)

    def table(self, cloud: str) -> Table:
        """The rows of one cloud; ``KeyError`` where it has none."""
        known = self._tables.get(cloud)
        if known is None:
            known = self._tables[cloud] = read(self._files[cloud])
        return known

    def tables(self, cloud: str | None = None) -> Iterator[Table]:
        """Those of all clouds, or of the one named."""
        for name in self._files:
            if cloud in (None, name):
                yield self.table(name)

    def rows(self, **wanted: Unpack[Wanted]) -> Iterator[Row]:
        """The rows for which everything that is wanted holds, by cloud, machine and place."""
        query = Query.of(wanted)
        for table in self.tables(query.cloud):
            for number, kind in enumerate(table.kinds):
                if not query.fits(kind):
                    continue
                for index in range(table.starts[number], table.starts[number + 1]):
                    row = table.row(index)
                    if query.holds(row.region, row.zone) and _sold(query, row):
                        yield row

    def offers(self, **wanted: Unpack[Wanted]) -> list[Offer]:
        """What can be rented, the cheapest first: one offer per row and market."""
        query = Query.of(wanted)
        found = [
            offer
            for row in self.rows(**wanted)
            for spot in query.markets
            if query.pays(row.price(spot=spot), row.origin(spot=spot))
            and (offer := row.offer(spot=spot)) is not None
        ]
        return sorted(found, key=lambda o: (o.price, o.infra, o.instance_type, o.spot))

    def instance(self, cloud: str, instance_type: str) -> Kind | None:
        """A machine by its name; None where it is not known.

        Of a machine to which accelerators can be attached it is the one without them.
        """
        if cloud not in self._files:
            return None
        found = [
            kind
            for kind in self.table(cloud).kinds
            if kind.instance_type == instance_type and kind.scope == MACHINE
        ]
        return min(found, key=lambda kind: kind.accelerator_count, default=None)

    def memory(self, cloud: str, instance_type: str) -> float | None:
        """GiB of memory of a machine, with a price or without; None where it is not known."""
        from stix.spec.words import instances  # its table is larger, and rarely needed

        kind = self.instance(cloud, instance_type)
        return kind.memory_gib if kind else instances.memory_gib(cloud, instance_type)

    def gpus(self, name: str | None = None, place: Place | None = None) -> list[Gpu]:
        """The machines with accelerators, the cheapest first: see ``gpus.find``."""
        from stix.clouds.catalog.gpus import find

        return find(self, name, place)

    def accelerators(self) -> list[str]:
        """All names there are, in their canonical spelling."""
        return sorted({k.accelerator for t in self.tables() for k in t.kinds if k.accelerator})

    def regions(self, cloud: str) -> list[str]:
        """The regions of one cloud; empty where it is not known."""
        return list(self.table(cloud).regions) if cloud in self._files else []


def _sold(query: Query, row: Row) -> bool:
    return any(query.pays(row.price(spot=s), row.origin(spot=s)) for s in query.markets)
