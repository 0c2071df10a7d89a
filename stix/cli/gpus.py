"""``stix gpus``: which accelerators there are, where, and for how much. Asks no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stix.cli.options import output_option
from stix.cli.output import message, show, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stix.clouds.catalog.catalog import Catalog
    from stix.clouds.catalog.gpus import Deal, Gpu, Place

ESTIMATE = "~"
NOTE = f"\n{ESTIMATE} is an estimate: derived, converted from another currency, or second-hand"
TPU = "tpu-"
OTHER_NAMES = {
    "datacrunch": "verda",
    "digitalocean": "do",
    "google": "gcp",
    "lambdalabs": "lambda",
    "ovhcloud": "ovh",
    "vastai": "vast",
}
"""What people call clouds, to our name of them."""


@click.command()
@click.argument("name", required=False)
@click.option("--infra", metavar="CLOUD[/REGION[/ZONE]]", help="Look only there.")
@click.option("--all-regions", is_flag=True, help="Every region, not the cheapest alone.")
@click.option("--no-estimates", is_flag=True, help="Leave out prices that are estimates.")
@output_option
def gpus(
    name: str | None, infra: str | None, all_regions: bool, no_estimates: bool, output: str
) -> None:
    """Show accelerators and what they cost, the cheapest first.

    \b
    stix gpus            every accelerator, with its cheapest place
    stix gpus H100       every machine with H100, H100-SXM, ...
    stix gpus A100:8     machines with eight of them

    Prices are list prices of the day shown, in USD per hour.
    """
    from stix.clouds.catalog import Catalog
    from stix.clouds.catalog.gpus import find

    catalog = Catalog.load()
    place = where(catalog, infra, all_regions=all_regions, estimates=not no_estimates)
    found = find(catalog, name, place)
    if not found and output == "table":
        message("Nothing there has accelerators at a known price.")
    if name is None and not all_regions:
        show(output, [gpu.to_dict() for gpu in found], lambda: _summary(found))
    else:
        show(output, [gpu.to_dict() for gpu in found], lambda: _machines(found))


def where(catalog: Catalog, infra: str | None, *, all_regions: bool, estimates: bool) -> Place:
    """What ``--infra`` means.

    Raises:
        UsageError: the catalog has no such cloud or region; it says which are near.
    """
    from stix.clouds.catalog.gpus import Place
    from stix.clouds.catalog.rows import ANYWHERE

    parts = [None if part in ("", "*") else part for part in (infra or "").split("/")]
    cloud, region, zone = (*parts, None, None, None)[:3]
    if cloud is not None:
        cloud = OTHER_NAMES.get(cloud.lower(), cloud.lower())
        cloud = _one_of("cloud", cloud, catalog.clouds)
        regions = catalog.regions(cloud)
        if region is not None and ANYWHERE not in regions:
            region = _one_of(f"region of {cloud}", region, regions)
    return Place(cloud, region, zone, all_regions, estimates)


def _one_of(what: str, name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    from stix.errors import UsageError

    if name in names:
        return name
    near = get_close_matches(name, names, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    raise UsageError(f"the catalog has no {what} {name!r}", fix=fix)


def price(deal: Deal | None, count: float = 1.0) -> str:
    """``$1.29``, or ``~$1.29`` where it is an estimate."""
    if deal is None:
        return "-"
    amount = deal.usd_per_hour / count
    text = f"${amount:,.2f}" if amount >= 0.1 else f"${amount:.4f}"
    return (ESTIMATE if deal.source.is_estimate else "") + text


def _place(deal: Deal | None, cloud: str) -> str:
    if deal is None:
        return "-"
    parts = [cloud, deal.region, deal.zone]
    return "/".join(part for part in parts if part and part != "*")


def _number(value: float) -> str:
    return f"{value:g}" if value else "-"


def _machines(found: list[Gpu]) -> str:
    """One line per machine, or per machine and region."""
    if not found:
        return ""
    rows = []
    for gpu in found:
        kind, deal = gpu.kind, gpu.on_demand or gpu.spot
        count = kind.accelerator_count
        rows.append(
            (
                f"{kind.accelerator}:{count:g}",
                _number(kind.accelerator_memory_gib),
                _place(deal, kind.cloud),
                kind.instance_type,
                _number(kind.cpus),
                _number(kind.memory_gib),
                price(gpu.on_demand, count),
                price(gpu.spot, count),
                price(gpu.on_demand),
                price(gpu.spot),
                deal.source.as_of if deal else "-",
            )
        )
    heads = ["gpu", "gib each", "where", "machine", "cpus", "gib"]
    prices = ["$/h each", "spot each", "$/h", "spot $/h", "as of"]
    return _noted(table([*heads, *prices], rows))


def _summary(found: list[Gpu]) -> str:
    """One line per accelerator; TPU slices are only counted."""
    named: dict[str, list[Gpu]] = {}
    for gpu in found:
        named.setdefault(gpu.kind.accelerator, []).append(gpu)
    slices = [name for name in named if name.startswith(TPU)]
    rows = [_line(name, gpus) for name, gpus in named.items() if name not in slices]
    heads = ["gpu", "gib", "counts", "clouds", "$/h each", "where", "spot each", "where", "as of"]
    text = _noted(table(heads, rows)) if rows else ""
    if slices:
        text += f"\n{len(slices)} sizes of TPU slices: see `stix gpus tpu`"
    return text.strip("\n")


def _line(name: str, gpus: list[Gpu]) -> tuple[str, ...]:
    cheap = min(gpus, key=lambda gpu: gpu.each(spot=False))
    spot = min(gpus, key=lambda gpu: gpu.each(spot=True))
    deal = cheap.on_demand or spot.spot
    counts = sorted({gpu.kind.accelerator_count for gpu in gpus})
    return (
        name,
        ",".join(f"{gib:g}" for gib in sorted({gpu.kind.accelerator_memory_gib for gpu in gpus})),
        ",".join(f"{count:g}" for count in counts),
        str(len({gpu.kind.cloud for gpu in gpus})),
        price(cheap.on_demand, cheap.kind.accelerator_count),
        _place(cheap.on_demand, cheap.kind.cloud),
        price(spot.spot, spot.kind.accelerator_count),
        _place(spot.spot, spot.kind.cloud),
        deal.source.as_of if deal else "-",
    )


def _noted(text: str) -> str:
    return text + "\n" + NOTE if f" {ESTIMATE}$" in text else text
