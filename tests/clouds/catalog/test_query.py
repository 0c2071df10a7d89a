"""Queries over the catalog give what fits and nothing else, on the bundled facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.catalog import Catalog, Row
from stix.clouds.catalog.catalog import BUNDLED
from stix.clouds.catalog.rows import Kind, Source
from stix.clouds.catalog.tables import write
from stix.plan.offers import Offer

CATALOG = Catalog.load()
LIST = Source("price list", "2026-08-03")


def everything() -> list[Row]:
    return [table.row(i) for table in CATALOG.tables() for i in range(table.size)]


def test_offers_of_an_accelerator_are_the_rows_that_have_it() -> None:
    """Against a plain filter over all rows."""
    found = CATALOG.offers(accelerator="a100:80gb", accelerator_count=8, spot=False)
    expected = [
        (row.on_demand, row.kind.cloud, row.kind.instance_type, row.region, row.zone)
        for row in everything()
        if row.kind.accelerator == "A100-80GB"
        and row.kind.accelerator_count == 8
        and row.kind.scope == "machine"
        and row.on_demand is not None
    ]
    assert len(found) > 10
    got = [(o.price, o.cloud, o.instance_type, o.region, o.zone) for o in found]
    assert sorted(got, key=repr) == sorted(expected, key=repr)
    assert [offer.price for offer in found] == sorted(offer.price for offer in found)


@pytest.mark.parametrize(
    "wanted, holds",
    [
        ({"cloud": "aws", "region": "us-east-1"}, lambda o: o.infra == "aws/us-east-1"),
        ({"cpus_at_least": 64}, lambda o: o.cpus >= 64),
        ({"memory_at_least": 1000}, lambda o: o.memory_gib >= 1000),
        ({"arch": "arm64"}, lambda o: o.arch == "arm64"),
        ({"price_at_most": 0.05}, lambda o: o.price <= 0.05),
        ({"spot": True, "cloud": "gcp"}, lambda o: o.spot),
        ({"estimates": False}, lambda o: not o.price_is_estimate),
        ({"instance_type": "p4d.24xlarge"}, lambda o: o.instance_type == "p4d.24xlarge"),
        ({"accelerator_memory_at_least": 141}, lambda o: o.accelerator_memory_gib >= 141),
        ({"zone": "us-central1-a", "cloud": "gcp"}, lambda o: o.zone in (None, "us-central1-a")),
    ],
)
def test_a_condition_keeps_what_fits_and_all_of_it(wanted: dict, holds) -> None:  # type: ignore
    found = CATALOG.offers(**wanted)
    assert found
    assert all(holds(offer) for offer in found)
    place = {key: value for key, value in wanted.items() if key == "cloud"}
    assert len(found) == sum(holds(offer) for offer in CATALOG.offers(**place))


def test_an_offer_says_where_its_price_is_from() -> None:
    (offer, *_) = CATALOG.offers(cloud="aws", region="us-east-1", instance_type="c6i.large")
    assert offer.spot
    assert offer.price_is_estimate  # no spot price of this machine was read
    assert (offer.cpus, offer.memory_gib, offer.arch) == (2, 4, "x86_64")
    assert offer.local_disk_gib == 0
    assert offer.source
    assert offer.as_of.startswith("2025")


def test_an_offer_survives_the_ledger() -> None:
    for offer in CATALOG.offers(accelerator="H100", cloud="azure")[:5]:
        assert Offer.from_dict(json.loads(json.dumps(offer.to_dict()))) == offer


def test_an_offer_of_an_older_ledger_is_read() -> None:
    old: dict[str, Any] = {
        "cloud": "local",
        "region": "-",
        "zone": None,
        "instance_type": "this-machine",
        "cpus": 8,
        "memory_gib": 32,
        "accelerators": {},
        "price": 0.0,
        "spot": False,
        "capacity": 1,
        "shared": True,
    }
    offer = Offer.from_dict(old)
    assert (offer.arch, offer.local_disk_gib, offer.price_is_estimate) == ("", None, False)


def test_slices_are_found_by_name_alone() -> None:
    assert {o.instance_type for o in CATALOG.offers(accelerator="v5e-8")} == {"TPU-VM"}
    assert not [o for o in CATALOG.offers(cloud="gcp") if o.instance_type == "TPU-VM"]


def test_attached_accelerators_are_sold_with_their_machine() -> None:
    """An N1 machine with a T4 costs both parts, and its bare machine is another one."""
    place = {"cloud": "gcp", "region": "us-central1", "instance_type": "n1-highmem-4"}
    bare = CATALOG.offers(**place, spot=False, accelerator_count=0)  # type: ignore[arg-type]
    with_t4 = CATALOG.offers(**place, spot=False, accelerator="T4")  # type: ignore[arg-type]
    part = CATALOG.offers(cloud="gcp", accelerator="T4", scopes=("accelerator",), spot=False)
    assert len(bare) == 1
    assert len({offer.zone for offer in with_t4}) == len(with_t4) > 1
    assert with_t4[0].price > bare[0].price
    assert part
    assert {offer.cpus for offer in part} == {0}
    assert not {o.region for o in part} & {o.region for o in with_t4}
    kind = CATALOG.instance("gcp", "n1-highmem-4")
    assert kind is not None
    assert kind.accelerator == ""


def test_a_price_for_all_regions_holds_in_each(tmp_path: Path) -> None:
    kind = Kind("moon", "t", "x86_64", 2, 4, "", 0, 0, None, "", "machine")
    rows = [Row(kind, "*", None, 1.0, None, LIST, None)]
    (tmp_path / "moon.cat").write_bytes(write("moon", rows, {}))
    moon = Catalog.load(folders=[tmp_path])
    (offer,) = moon.offers(cloud="moon", region="anywhere", zone="here")
    assert (offer.region, offer.infra) == ("*", "moon")


def test_machines_by_name() -> None:
    kind = CATALOG.instance("aws", "p5.48xlarge")
    assert kind is not None
    assert (kind.accelerator, kind.accelerator_count, kind.cpus) == ("H100", 8, 192)
    assert kind.local_disk_gib == pytest.approx(30400 * 1e9 / 2**30, abs=0.1)
    assert CATALOG.memory("aws", "p5.48xlarge") == 2048
    assert CATALOG.memory("aws", "t3.nano") == 0.5  # has no price here
    assert CATALOG.instance("aws", "nothing") is None
    assert CATALOG.memory("aws", "nothing") is None
    assert CATALOG.instance("nowhere", "p5.48xlarge") is None


def test_only_the_files_that_are_asked_for_are_read(tmp_path: Path) -> None:
    kind = Kind("moon", "t", "x86_64", 2, 4, "", 0, 0, None, "", "machine")
    rows = [Row(kind, "sea", None, 1.0, 0.5, LIST, LIST)]
    (tmp_path / "moon.cat").write_bytes(write("moon", rows, {}))
    (tmp_path / "mars.cat").write_text("broken")
    found = Catalog.load(folders=[tmp_path])
    assert found.clouds == ("mars", "moon")
    assert [offer.price for offer in found.offers(cloud="moon")] == [0.5, 1.0]
    assert Catalog.load(["moon", "venus"], [tmp_path]).clouds == ("moon",)


def test_a_later_folder_has_precedence(tmp_path: Path) -> None:
    kind = Kind("ibm", "new", "x86_64", 2, 4, "", 0, 0, None, "", "machine")
    rows = [Row(kind, "us-south", None, 1.0, None, LIST, None)]
    (tmp_path / "ibm.cat").write_bytes(write("ibm", rows, {}))
    both = Catalog.load(folders=[BUNDLED, tmp_path])
    assert [offer.instance_type for offer in both.offers(cloud="ibm")] == ["new"]
    assert set(both.clouds) == set(CATALOG.clouds)
