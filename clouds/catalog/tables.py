"""The file of one cloud: a line of JSON with its tables, then one column of numbers after another.

Nothing is compressed (a wheel does that), so that the same rows are the same bytes everywhere, and
a column is read in one step.  Prices are whole millionths of a USD.

    stix-catalog 1
    {"cloud": ..., "kinds": {...}, "regions": [...], "rows": N, "sources": [...], "zones": [...]}
    <kind><region><zone><on demand><spot><source><spot source>     N numbers each, little-endian
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from stix.clouds.catalog.rows import Kind, Row, Source
from stix.errors import StixError

MAGIC = b"stix-catalog 1\n"
SUFFIX = ".cat"
COLUMNS = (
    ("kind", "H"),
    ("region", "H"),
    ("zone", "H"),
    ("on_demand", "Q"),
    ("spot", "Q"),
    ("source", "B"),
    ("spot_source", "B"),
)
MICRO = 1_000_000
_FIX = "delete it: the bundled one is used then"
_FIELDS = Kind._fields[1:]  # the cloud is said once
T = TypeVar("T")


class CatalogError(StixError):
    """A file of the catalog cannot be read."""


class Table(NamedTuple):
    """The catalog of one cloud. In ``zone``, ``source`` and ``spot_source`` 0 stands for none.

    Attributes:
        countries: The country (ISO 3166) of each region; empty for ``*``.
        kinds: Its machines; the rows of one lie side by side, in this order.
        starts: Where the rows of each kind begin, and at the end the number of rows.
        numbers: Column name to one number per row.
    """

    cloud: str
    kinds: Sequence[Kind]
    regions: Sequence[str]
    countries: Sequence[str]
    zones: Sequence[str]
    sources: Sequence[Source]
    starts: Sequence[int]
    numbers: dict[str, array[int]]

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.starts[-1]

    def row(self, index: int) -> Row:
        numbers = self.numbers
        zone, price, spot = (numbers[name][index] for name in ("zone", "on_demand", "spot"))
        return Row(
            kind=self.kinds[numbers["kind"][index]],
            region=self.regions[numbers["region"][index]],
            zone=self.zones[zone - 1] if zone else None,
            on_demand=price / MICRO if price else None,
            spot=spot / MICRO if spot else None,
            source=self.sources[numbers["source"][index] - 1] if price else None,
            spot_source=self.sources[numbers["spot_source"][index] - 1] if spot else None,
        )


def write(cloud: str, rows: Iterable[Row], countries: Mapping[str, str]) -> bytes:
    """The file of ``cloud``; the same rows in any order give the same bytes."""
    ordered = sorted(rows, key=_order)
    kinds = _distinct(row.kind for row in ordered)
    regions = _distinct(sorted(row.region for row in ordered))
    zones = _distinct(sorted(row.zone for row in ordered if row.zone))
    origins = [s for row in ordered for s in (row.source, row.spot_source) if s]
    sources = _distinct(sorted(origins, key=lambda s: (s.name, s.as_of, s.confidence, s.currency)))
    header = {
        "cloud": cloud,
        "countries": [countries.get(region, "") for region in regions],
        "kinds": {name: [getattr(kind, name) for kind in kinds] for name in _FIELDS},
        "regions": list(regions),
        "rows": len(ordered),
        "sources": [[s.name, s.as_of, s.confidence, s.currency] for s in sources],
        "zones": list(zones),
    }
    table = (
        [kinds[row.kind] for row in ordered],
        [regions[row.region] for row in ordered],
        [zones[row.zone] + 1 if row.zone else 0 for row in ordered],
        [round((row.on_demand or 0) * MICRO) for row in ordered],
        [round((row.spot or 0) * MICRO) for row in ordered],
        [sources[row.source] + 1 if row.source else 0 for row in ordered],
        [sources[row.spot_source] + 1 if row.spot_source else 0 for row in ordered],
    )
    packed = (_bytes(code, column) for (_, code), column in zip(COLUMNS, table, strict=True))
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return MAGIC + text.encode() + b"\n" + b"".join(packed)


def read(path: Path) -> Table:
    """The catalog of one cloud.

    Raises:
        CatalogError: the file is not whole, or not of this kind.
    """
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise CatalogError(f"{path} is no catalog", fix=_FIX)
    try:
        return _table(data)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CatalogError(f"{path} is cut short or damaged: {error}", fix=_FIX) from error


def _table(data: bytes) -> Table:
    end = data.index(b"\n", len(MAGIC)) + 1
    header: dict[str, Any] = json.loads(data[len(MAGIC) : end])
    count, cloud = header["rows"], header["cloud"]
    numbers: dict[str, array[int]] = {}
    for name, code in COLUMNS:
        column = array(code)
        stop = end + count * column.itemsize
        column.frombytes(data[end:stop])
        if sys.byteorder == "big":
            column.byteswap()
        numbers[name], end = column, stop
    if end != len(data):
        raise ValueError(f"{end} bytes expected, {len(data)} found")
    columns = zip(*(header["kinds"][name] for name in _FIELDS), strict=True)
    kinds = [Kind(cloud, *values) for values in columns]
    return Table(
        cloud=cloud,
        kinds=kinds,
        regions=header["regions"],
        countries=header["countries"],
        zones=header["zones"],
        sources=[Source(*fields) for fields in header["sources"]],
        starts=_starts(numbers["kind"], len(kinds)),
        numbers=numbers,
    )


def _order(row: Row) -> tuple[Any, ...]:
    kind = row.kind
    machine = (kind.instance_type, kind.accelerator, kind.accelerator_count, kind.scope)
    rest = (kind.arch, kind.cpus, kind.memory_gib, kind.accelerator_memory_gib)
    disk = -1.0 if kind.local_disk_gib is None else kind.local_disk_gib
    return *machine, *rest, disk, kind.network, row.region, row.zone or ""


def _distinct(values: Iterable[T]) -> dict[T, int]:
    """Each value once, with its number, in the order they come."""
    return {value: number for number, value in enumerate(dict.fromkeys(values))}


def _bytes(code: str, column: Sequence[int]) -> bytes:
    packed = array(code, column)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _starts(kinds: array[int], count: int) -> list[int]:
    """Where the rows of each kind begin; rows are sorted by kind."""
    starts, at = [0] * (count + 1), 0
    for number in range(count):
        starts[number] = at
        while at < len(kinds) and kinds[at] == number:
            at += 1
    starts[count] = len(kinds)
    return starts
