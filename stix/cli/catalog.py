"""``stix catalog``: what the catalog holds, where each price is from, and what changed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stix.cli.lazy import Entry, LazyGroup
from stix.cli.options import output_option
from stix.cli.output import message, show, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stix.clouds.catalog.compare import Change
    from stix.clouds.catalog.refresh import Held, Outcome
    from stix.clouds.catalog.rows import Kind, Row, Source
    from stix.clouds.catalog.tables import Table

SHOWN = 40

ENTRIES = {
    "ls": Entry("stix.cli.catalog:ls", "What there is of each cloud, and how old it is."),
    "show": Entry("stix.cli.catalog:show_", "The machines of a cloud, or one machine's prices."),
    "refresh": Entry("stix.cli.catalog:refresh", "Fetch prices anew from the providers."),
    "diff": Entry("stix.cli.catalog:diff", "What differs between two catalogs."),
}


@click.group(cls=LazyGroup, entries=ENTRIES)
def catalog() -> None:
    """Look at the catalog of machines and prices."""


@click.command("ls")
@output_option
def ls(output: str) -> None:
    """What there is of each cloud: machines, regions, accelerators, and the days of the prices."""
    from stix.clouds.catalog import Catalog

    clouds = [_about(table) for table in Catalog.load().tables()]
    show(output, clouds, lambda: _clouds(clouds))


def _about(found: Table) -> dict[str, Any]:
    origins = list(_origins(map(found.row, range(found.size))))
    days = sorted(source.as_of for source in origins)
    return {
        "cloud": found.cloud,
        "prices": len(origins),
        "machines": len(found.kinds),
        "regions": len(found.regions),
        "accelerators": sorted({kind.accelerator for kind in found.kinds if kind.accelerator}),
        "oldest": days[0],
        "newest": days[-1],
        "confidence": dict(sorted(Counter(source.confidence for source in origins).items())),
    }


def _origins(rows: Iterable[Row]) -> Iterator[Source]:
    for row in rows:
        yield from (source for source in (row.source, row.spot_source) if source)


def _clouds(clouds: list[dict[str, Any]]) -> str:
    rows = [
        (
            cloud["cloud"],
            cloud["machines"],
            cloud["regions"],
            cloud["prices"],
            cloud["confidence"].get("estimate", 0),
            len(cloud["accelerators"]),
            cloud["oldest"],
            cloud["newest"],
        )
        for cloud in clouds
    ]
    heads = ["cloud", "machines", "regions", "prices", "estimates", "gpus", "oldest", "newest"]
    total = sum(cloud["prices"] for cloud in clouds)
    return f"{table(heads, rows)}\n\n{len(clouds)} clouds, {total} prices"


@click.command("show")
@click.argument("cloud")
@click.argument("machine", required=False)
@click.option("--region", help="Only there.")
@output_option
def show_(cloud: str, machine: str | None, region: str | None, output: str) -> None:
    """The machines of CLOUD, or every price of one MACHINE and where it is from."""
    from stix.cli.gpus import where
    from stix.clouds.catalog import Catalog

    loaded = Catalog.load()
    infra = f"{cloud}/{region}" if region else cloud
    place = where(loaded, infra, all_regions=True, estimates=True)
    assert place.cloud is not None
    scopes = ("machine", "slice", "accelerator")
    found = list(
        loaded.rows(cloud=place.cloud, region=place.region, instance_type=machine, scopes=scopes)
    )
    if machine and not found:
        _unknown(place.cloud, machine, loaded.table(place.cloud))
    rows = [row.to_dict() for row in found]
    show(output, rows, lambda: _prices(found) if machine else _kinds(found))


def _unknown(cloud: str, machine: str, found: Table) -> None:
    from difflib import get_close_matches

    from stix.errors import UsageError

    names = sorted({kind.instance_type for kind in found.kinds})
    near = get_close_matches(machine, names, n=3)
    fix = f"did you mean {' or '.join(near)}?" if near else f"see `stix catalog show {cloud}`"
    raise UsageError(f"{cloud} has no machine {machine!r} in the catalog", fix=fix)


def _kinds(rows: list[Row]) -> str:
    """One line per machine: its cheapest prices."""
    kinds: dict[Kind, list[Row]] = {}
    for row in rows:
        kinds.setdefault(row.kind, []).append(row)
    lines = [
        (
            *_machine(kind),
            _least(row.on_demand for row in own),
            _least(row.spot for row in own),
            len({row.region for row in own}),
        )
        for kind, own in kinds.items()
    ]
    return table([*_MACHINE, "$/h from", "spot from", "regions"], lines)


def _prices(rows: list[Row]) -> str:
    """One line per place, and below it where the prices are from."""
    sources = list(dict.fromkeys(_origins(rows)))
    numbers = {source: str(number) for number, source in enumerate(sources, 1)}
    lines = [
        (
            *_machine(row.kind),
            row.region,
            row.zone,
            _usd(row.on_demand, row.source),
            _usd(row.spot, row.spot_source),
            ",".join(dict.fromkeys(numbers[s] for s in (row.source, row.spot_source) if s)),
        )
        for row in rows
    ]
    notes = [f"[{numbers[s]}] {s.as_of}, {s.confidence}, {s.currency}: {s.name}" for s in sources]
    heads = [*_MACHINE, "region", "zone", "$/h", "spot $/h", "from"]
    return table(heads, lines) + "\n\n" + "\n".join(notes)


_MACHINE = ("machine", "cpus", "gib", "gpu", "arch")


def _machine(kind: Kind) -> tuple[str, ...]:
    gpu = f"{kind.accelerator}:{kind.accelerator_count:g}" if kind.accelerator else "-"
    sizes = (f"{kind.cpus:g}" if kind.cpus else "-", f"{kind.memory_gib:g}")
    return kind.instance_type or "-", *sizes, gpu, kind.arch or "-"


def _usd(price: float | None, source: Source | None) -> str:
    if price is None or source is None:
        return "-"
    return ("~" if source.is_estimate else "") + f"${price:,.4f}"


def _least(prices: Iterable[float | None]) -> str:
    known = [price for price in prices if price is not None]
    return f"${min(known):,.4f}" if known else "-"


@click.command("diff")
@click.argument("old", type=click.Path(exists=True, path_type=Path))
@click.argument("new", type=click.Path(exists=True, path_type=Path), required=False)
@output_option
def diff(old: Path, new: Path | None, output: str) -> None:
    """What differs between the catalog OLD and NEW (the bundled one), files or folders."""
    from stix.clouds.catalog.compare import changes

    found = list(changes(_opened(old), _opened(new)))
    rows = [{**change._asdict(), "moved": change.moved} for change in found]
    show(output, rows, lambda: _changes(found))


def _opened(path: Path | None) -> Any:
    from stix.clouds.catalog import Catalog

    if path is None:
        return Catalog.load()
    if path.is_dir():
        return Catalog.load(folders=(path,))
    return Catalog({path.stem: path})


def _changes(found: list[Change]) -> str:
    if not found:
        return "No difference."
    lines = [
        (
            change.what,
            "/".join(p for p in (change.cloud, change.region, change.zone) if p and p != "*"),
            change.instance_type,
            f"{change.accelerator}:{change.accelerator_count:g}" if change.accelerator else "-",
            "-" if change.before is None else f"${change.before:,.4f}",
            "-" if change.after is None else f"${change.after:,.4f}",
            "-" if change.moved is None else f"{change.moved:+.1%}",
        )
        for change in found[:SHOWN]
    ]
    counts = Counter(change.what for change in found)
    words = ", ".join(f"{counts[what]} {what.replace('_', ' ')}" for what in sorted(counts))
    more = f"\n({len(found) - SHOWN} more: -o json)" if len(found) > SHOWN else ""
    heads = ["what", "where", "machine", "gpu", "before", "after", "moved"]
    return f"{table(heads, lines)}{more}\n\n{words}"


@click.command("refresh")
@click.argument("clouds", nargs=-1, metavar="[CLOUD]...")
@click.option("--dry-run", is_flag=True, help="Ask and compare, and write nothing.")
@click.option("--accept", is_flag=True, help="Take prices that moved far, and lists that shrank.")
@output_option
def refresh(clouds: tuple[str, ...], dry_run: bool, accept: bool, output: str) -> None:
    """Fetch the prices of CLOUD anew; without one, of all whose credentials are there.

    A list that cannot be believed replaces nothing; exit code 1 if one failed.
    """
    from stix.clouds.catalog.refresh import Settings, Wish, refresh_all
    from stix.config import Config

    wish = Wish(dry_run, accept, _progress if output == "table" else _silent)
    outcomes = refresh_all(clouds, Settings.of(Config.load()), wish)
    show(output, [o.to_dict() for o in outcomes], lambda: _refreshed(outcomes))
    if any(outcome.state == "failed" for outcome in outcomes):
        raise SystemExit(1)


def _silent(cloud: str, done: int, waiting: int) -> None:
    """No progress."""


def _progress(cloud: str, done: int, waiting: int) -> None:
    message(f"{cloud}: page {done}" + (f" of {done + waiting}" if waiting else ""))


def _refreshed(outcomes: list[Outcome]) -> str:
    """What became of each cloud; below it what was held back, and what went wrong."""
    lines = []
    for outcome in outcomes:
        counts = Counter(change.what for change in outcome.changes)
        moved = [c.moved for c in outcome.changes if c.moved is not None]
        ups = sum(part > 0 for part in moved)
        numbers = (counts["added"], counts["removed"], ups, len(moved) - ups, len(outcome.held))
        rows = outcome.rows or "-"
        lines.append((outcome.cloud, outcome.state, rows, *numbers))
    heads = ["cloud", "state", "rows", "added", "gone", "up", "down", "held back"]
    held = [price for outcome in outcomes for price in outcome.held]
    parts = [table(heads, lines)]
    if held:
        shown = [_held(price) for price in held[:SHOWN]]
        names = ["held back", "where", "gpu", "kept", "says now", "moved"]
        parts.append(table(names, shown))
        more = f"({len(held) - SHOWN} more: -o json) " if len(held) > SHOWN else ""
        parts.append(f"{more}--accept takes them.")
    for outcome in outcomes:
        if outcome.error:
            fix = f"\n  fix: {outcome.fix}" if outcome.fix else ""
            error = outcome.error.removeprefix(f"{outcome.cloud}: ")
            parts.append(f"{outcome.cloud}: {error}{fix}")
    return "\n\n".join(parts)


def _held(price: Held) -> tuple[str, ...]:
    place = "/".join(p for p in (price.cloud, price.region, price.zone) if p and p != "*")
    gpu = f"{price.accelerator}:{price.accelerator_count:g}" if price.accelerator else "-"
    name = price.instance_type + (" (spot)" if price.market == "spot" else "")
    moved = f"{price.after / price.before - 1:+.1%}"
    return name, place, gpu, f"${price.before:,.4f}", f"${price.after:,.4f}", moved
