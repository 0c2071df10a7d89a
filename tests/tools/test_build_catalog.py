"""From a folder of facts to files: what each rule keeps, converts, joins and leaves out."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from stix.clouds.catalog import Catalog, Row
from tools.build_catalog import build
from tools.catalog_sources import EUR_IN_USD, SHEETS

SMALL = [
    *("InstanceType", "AcceleratorName", "AcceleratorCount", "vCPUs", "MemoryGiB"),
    *("AcceleratorMemoryGiB", "Price", "SpotPrice", "Region", "AvailabilityZone"),
]
BIG = [
    *("Cloud", *SMALL, "Arch", "PriceScope", "SpotKind", "Currency"),
    *("source", "as_of", "spot_source", "spot_as_of"),
]
GIVEN = {
    "Arch": "x86_64",
    "PriceScope": "machine",
    "SpotKind": "observed_region",
    "Currency": "USD",
    "source": "the list",
    "as_of": "2026-05-20",
    "spot_source": "the spot list",
    "spot_as_of": "2026-H2",
}


class Folder:
    """Facts: empty files of all clouds, and rows to add."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        for sheet in SHEETS:
            if sheet.file:
                self.write(sheet.file, SMALL, [])
        for cloud in ("aws", "azure", "gcp", "runpod"):
            self.write(f"snapshot_{cloud}.csv", BIG, [])
        ec2 = {"InstanceType": "m", "InstanceStorageGB": "1000", "Network": "Up to 5 Gigabit"}
        self.write("aws_moto_instance_types.csv", list(ec2), [ec2])
        regions = [
            {"vendor_id": cloud, "api_reference": region, "country_id": "US"}
            for cloud, region in (("aws", "us-east-1"), ("azure", "eastus"), ("gcp", "us-central1"))
        ]
        self.write("sparecores_regions.csv", list(regions[0]), regions)

    def write(self, name: str, heads: list[str], rows: list[dict[str, str]]) -> None:
        with (self.path / name).open("w", encoding="utf-8", newline="") as file:
            file.write("# a remark\n")
            writer = csv.DictWriter(file, heads, restval="")
            writer.writeheader()
            writer.writerows(rows)

    def small(self, cloud: str, *rows: dict[str, str]) -> None:
        self.write(f"skycat_{cloud}.csv", SMALL, list(rows))

    def big(self, cloud: str, *rows: dict[str, str]) -> None:
        made = [{"Cloud": cloud, **GIVEN, **row} for row in rows]
        self.write(f"snapshot_{cloud}.csv", BIG, made)

    def build(self, out: Path) -> dict[str, list[Row]]:
        return build(self.path, out)


@pytest.fixture
def facts(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "facts")


def machine(name: str, price: str, spot: str = "", region: str = "", **more: str) -> dict[str, str]:
    given = {"InstanceType": name, "vCPUs": "4", "MemoryGiB": "16", "Price": price}
    return {**given, "SpotPrice": spot, "Region": region, **more}


def test_a_listed_price(facts: Folder, tmp_path: Path) -> None:
    facts.big("aws", machine("m", "1.5", "0.5", "us-east-1", AvailabilityZone="use1-az6"))
    (row,) = facts.build(tmp_path)["aws"]
    assert (row.on_demand, row.spot, row.zone) == (1.5, 0.5, None)
    assert row.source is not None
    assert (row.source.confidence, row.source.as_of) == ("listed", "2026-05-20")
    assert row.spot_source is not None
    assert (row.spot_source.name, row.spot_source.as_of) == ("the spot list", "2026-07")
    assert (row.kind.local_disk_gib, row.kind.network) == (931.3, "Up to 5 Gigabit")


@pytest.mark.parametrize(
    "kind, confidence",
    [("observed_min_zone", "market"), ("derived_advisor", "estimate"), ("?", "estimate")],
)
def test_how_sure_a_spot_price_is(
    facts: Folder, tmp_path: Path, kind: str, confidence: str
) -> None:
    facts.big("azure", machine("m", "1.5", "0.5", "eastus", SpotKind=kind))
    (row,) = facts.build(tmp_path)["azure"]
    assert row.spot_source is not None
    assert row.spot_source.confidence == confidence


def test_euros_become_estimates(facts: Folder, tmp_path: Path) -> None:
    facts.small("seeweb", machine("m", "2", region="it-fr2"), machine("gone", "2"))
    (row,) = facts.build(tmp_path)["seeweb"]
    assert row.on_demand == pytest.approx(2 * EUR_IN_USD)
    assert row.source is not None
    assert (row.source.currency, row.source.confidence) == ("EUR", "estimate")


def test_what_is_left_out(
    facts: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts.big(
        "azure",
        machine("Standard_NC6s_v3", "3.06", region="eastus"),
        machine("placeholder", "700.0", region="eastus"),
        machine("free", "0.0", "0.5", "eastus"),
        machine("no-market", "1.0", "1.0", "eastus"),
    )
    rows = {row.kind.instance_type: row for row in facts.build(tmp_path)["azure"]}
    assert set(rows) == {"free", "no-market"}
    assert (rows["free"].on_demand, rows["free"].spot) == (None, 0.5)
    assert (rows["no-market"].on_demand, rows["no-market"].spot) == (1.0, None)
    said = capsys.readouterr().out
    for why in ("retired family NCv3", "placeholder 700.0", "no price", "spot price not below"):
        assert why in said


def test_names_are_canonical_and_memory_is_possible(facts: Folder, tmp_path: Path) -> None:
    given = {"AcceleratorCount": "8", "Region": "eastus"}
    facts.big(
        "azure",
        machine("a", "9", AcceleratorName="RTXPRO6000", AcceleratorMemoryGiB="", **given),
        machine("b", "9", AcceleratorName="Trainium2", AcceleratorMemoryGiB="512", **given),
        machine("c", "9", AcceleratorName="H100", AcceleratorMemoryGiB="94", **given),
    )
    devices = {
        row.kind.instance_type: (row.kind.accelerator, row.kind.accelerator_memory_gib)
        for row in facts.build(tmp_path)["azure"]
    }
    assert devices == {"a": ("RTX-PRO-6000", 96), "b": ("Trainium2", 96), "c": ("H100", 94)}


def test_accelerators_are_joined_to_machines_or_stay_by_themselves(
    facts: Folder, tmp_path: Path
) -> None:
    part = {"AcceleratorName": "T4", "AcceleratorCount": "1", "PriceScope": "accelerator_only"}
    bare = {"vCPUs": "", "MemoryGiB": "", "Arch": ""}
    facts.big(
        "gcp",
        machine("n1-standard-4", "0.2", "0.1", "us-central1", as_of="2026-08-03"),
        machine("", "0.35", "0.15", "us-central1", AvailabilityZone="z", **part, **bare),
        machine("", "0.40", "", "us-central2", **part, **bare),
        machine(
            "",
            "1.2",
            region="us-central2",
            AcceleratorName="tpu-v4-8",
            AcceleratorCount="1",
            PriceScope="tpu_vm",
            **bare,
        ),
    )
    rows = facts.build(tmp_path)["gcp"]
    found = {(r.kind.instance_type, r.kind.accelerator, r.kind.scope): r for r in rows}
    assert set(found) == {
        ("n1-standard-4", "", "machine"),
        ("n1-standard-4", "T4", "machine"),
        ("", "T4", "accelerator"),
        ("TPU-VM", "tpu-v4-8", "slice"),
    }
    joined = found["n1-standard-4", "T4", "machine"]
    assert (joined.on_demand, joined.spot, joined.zone) == (0.55, 0.25, "z")
    assert (joined.kind.cpus, joined.kind.memory_gib) == (4, 16)
    assert joined.source is not None
    assert (joined.source.confidence, joined.source.as_of) == ("computed", "2026-05-20")


@pytest.mark.parametrize(
    "row, said",
    [
        (machine("m", "-1", region="eastus"), "no price above 0"),
        (machine("m", "1", region="eastus", vCPUs=""), "no vCPUs"),
        (machine("m", "1", region="mars"), "unknown region: azure/mars"),
    ],
)
def test_a_row_that_breaks_a_rule_stops_the_build(
    facts: Folder, tmp_path: Path, row: dict[str, str], said: str
) -> None:
    facts.big("azure", row)
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match=said):
        facts.build(out)
    assert not out.exists()


def test_the_same_row_twice_stops_the_build(facts: Folder, tmp_path: Path) -> None:
    facts.big("azure", *[machine("m", price, region="eastus") for price in ("1", "2")])
    with pytest.raises(SystemExit, match="twice"):
        facts.build(tmp_path / "out")


def test_the_same_facts_give_the_same_bytes(facts: Folder, tmp_path: Path) -> None:
    facts.big("aws", machine("m", "1.5", "0.5", "us-east-1"))
    facts.big("azure", *[machine(f"m{i}", f"{i + 1}", region="eastus") for i in range(9)])
    one, two = tmp_path / "one", tmp_path / "two"
    facts.build(one)
    facts.big("azure", *[machine(f"m{i}", f"{i + 1}", region="eastus") for i in range(8, -1, -1)])
    facts.build(two)
    first = {file.name: file.read_bytes() for file in one.iterdir()}
    assert first == {file.name: file.read_bytes() for file in two.iterdir()}
    assert {"aws.cat", "azure.cat", "crusoe.cat", "yotta.cat"} == set(first)
    assert len(Catalog.load(folders=[one]).offers(cloud="azure")) == 9
