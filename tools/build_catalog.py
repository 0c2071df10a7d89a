"""Build the bundled catalog from a folder of price facts: one file per cloud, the same each time.

    python -m tools.build_catalog FOLDER [--out clouds/catalog/data]

The facts are CSV files that are not part of the repository; ``tools/catalog_sources.py`` says where
each is from, how sure it is and what is left out.  A row that breaks a rule stops the build.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from stix.clouds.catalog.rows import ANYWHERE, CONFIDENCE, MACHINE, Row
from stix.clouds.catalog.tables import SUFFIX, write
from tools.catalog_facts import Facts
from tools.catalog_sources import COUNTRIES, LEFT_OUT

OUT = Path(__file__).resolve().parent.parent / "clouds" / "catalog" / "data"


def problems(rows: Iterable[Row]) -> list[str]:
    """What is wrong with them, each in a line."""
    found, seen = [], Counter[tuple[object, ...]]()
    for row in rows:
        kind = row.kind
        name = f"{kind.cloud} {kind.instance_type} {kind.accelerator} {row.region} {row.zone}"
        seen[kind.cloud, kind.instance_type, kind.accelerator, kind.accelerator_count,
             kind.cpus, kind.memory_gib, row.region, row.zone] += 1  # fmt: skip
        prices = [price for price in (row.on_demand, row.spot) if price is not None]
        if not prices or min(prices) <= 0:
            found.append(f"{name}: no price above 0")
        if row.on_demand is not None and row.spot is not None and row.spot > row.on_demand:
            found.append(f"{name}: spot is dearer than on demand")
        if kind.scope == MACHINE and not (kind.cpus > 0 and kind.memory_gib > 0):
            found.append(f"{name}: no vCPUs or no memory")
        if kind.accelerator and kind.accelerator_count <= 0:
            found.append(f"{name}: accelerators without a count")
    found += [f"twice: {key}" for key, count in seen.items() if count > 1]
    return found


def placed(rows: Iterable[Row], countries: dict[tuple[str, str], str]) -> dict[str, dict[str, str]]:
    """Cloud to its regions, each with its country.

    Raises:
        SystemExit: a region is not known.
    """
    known: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        cloud, region = row.kind.cloud, row.region
        if region != ANYWHERE:
            country = COUNTRIES.get(cloud, {}).get(region) or countries.get((cloud, region))
            if not country:
                raise SystemExit(f"unknown region: {cloud}/{region}")
            known[cloud][region] = country
    return known


def build(folder: Path, out: Path) -> dict[str, list[Row]]:
    """Write the files; gives the rows of each cloud."""
    facts = Facts(folder)
    rows = list(facts.rows())
    wrong = problems(rows)
    if wrong:
        raise SystemExit("\n".join(wrong))
    countries = placed(rows, facts.countries())
    clouds: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        clouds[row.kind.cloud].append(row)
    out.mkdir(parents=True, exist_ok=True)
    for cloud, own in sorted(clouds.items()):
        (out / f"{cloud}{SUFFIX}").write_bytes(write(cloud, own, countries[cloud]))
    for why, count in sorted(facts.dropped.items()):
        print(f"left out {count:5}  {why}")
    for cloud, why in LEFT_OUT.items():
        print(f"left out         {cloud}: {why}")
    return dict(sorted(clouds.items()))


def report(clouds: dict[str, list[Row]], out: Path) -> None:
    """Counts for people."""
    heads = ("cloud", "rows", "kinds", "regions", "spot", *CONFIDENCE, "bytes")
    print(" ".join(f"{head:>10}" for head in heads))
    for cloud, rows in clouds.items():
        sure = Counter(origin.confidence for row in rows if (origin := row.source))
        numbers = (
            len(rows),
            len({row.kind for row in rows}),
            len({row.region for row in rows}),
            sum(row.spot is not None for row in rows),
            *(sure[word] for word in CONFIDENCE),
            (out / f"{cloud}{SUFFIX}").stat().st_size,
        )
        print(f"{cloud:>10} " + " ".join(f"{number:10}" for number in numbers))
    total = sum((out / f"{cloud}{SUFFIX}").stat().st_size for cloud in clouds)
    print(f"{len(clouds)} clouds, {sum(map(len, clouds.values()))} rows, {total} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    report(build(chosen.folder, chosen.out), chosen.out)


if __name__ == "__main__":
    main()
