"""What is special to one provider: names of accelerators, sizes, machines that are left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stix.clouds.catalog.refresh import Known, Refresher, Wish, gpu
from stix.clouds.catalog.refresh.answers import Answer
from stix.clouds.catalog.refresh.base import Found
from stix.clouds.catalog.refresh.errors import BadAnswer, Refused
from stix.clouds.catalog.refresh.providers.aws import Amazon, _disk
from stix.clouds.catalog.refresh.providers.do import DigitalOcean
from stix.clouds.catalog.refresh.providers.gcp import _what
from stix.clouds.catalog.refresh.providers.hetzner import Hetzner
from stix.clouds.catalog.refresh.providers.lambda_ import Lambda
from stix.clouds.catalog.refresh.providers.oci import Oracle
from stix.clouds.catalog.refresh.providers.runpod import RunPod
from stix.clouds.catalog.refresh.providers.scaleway import Scaleway
from stix.clouds.catalog.refresh.providers.vast import Vast
from stix.clouds.catalog.refresh.providers.vultr import Vultr
from stix.clouds.catalog.rows import Row
from stix.clouds.catalog.tables import read
from stix.clouds.catalog.testing.bench import Bench, Broken, desk
from stix.clouds.catalog.testing.suite import CHECKS, run_check
from stix.clouds.catalog.testing.world import Double, row
from tests.support.pricing import big, gpus, small


def listed(kind: type[Refresher], double: Double, folder: Path, *before: Row) -> dict[str, Row]:
    """The catalog that a double's list makes, by machine (of several places the last one)."""
    with desk(Bench(kind, double, {}, "", before=before), folder) as at:
        at.refresh()
        table = read(at.file)
        return {table.row(n).kind.instance_type: table.row(n) for n in range(table.size)}


@pytest.mark.parametrize(
    ("said", "memory", "name"),
    [
        ("A100 SXM4", 40, "A100"),
        ("A100 SXM4", 80, "A100-80GB-SXM"),
        ("A100 PCIE", 80, "A100-80GB"),
        ("A100_80G", 80, "A100-80GB"),
        ("A100-80G-PCIe", None, "A100-80GB"),
        ("H100-PCIe", 80, "H100"),
        ("Tesla V100", 32, "V100-32GB"),
        ("mi300x", 192, "MI300X"),
        ("Something New", 500, "Something-New"),
    ],
)
def test_accelerators_get_their_one_name(said: str, memory: float | None, name: str) -> None:
    assert gpu(said, 2, memory)["accelerator"] == name
    assert gpu(said, 0, memory) == {}


def test_the_memory_of_a_device_is_what_it_is() -> None:
    assert gpu("RTX 4090", 1, 23.98)["accelerator_memory_gib"] == 24
    assert gpu("Something New", 1, 500)["accelerator_memory_gib"] == 500


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("N1 Predefined Instance Core running in Americas", "n1 core"),
        ("Spot Preemptible N2D AMD Instance Ram running in Finland", "n2d ram"),
        ("Compute optimized Core running in Americas", "c2 core"),
        ("Memory-optimized Instance Ram running in Americas", "m1 ram"),
        ("A3Plus Instance Core running in Iowa", "a3-megagpu core"),
        ("Nvidia Tesla A100 GPU running in Americas", "A100"),
        ("Spot Preemptible Nvidia Tesla A100 80GB GPU running in Americas", "A100-80GB"),
        ("Nvidia H100 80GB Plus GPU running in Iowa", "H100-MEGA"),
        ("Nvidia L4 GPU attached to Spot Preemptible VMs running in Iowa", "L4"),
        ("Network Internet Egress from Iowa", None),
    ],
)
def test_what_a_sku_of_gcp_is_the_price_of(text: str, what: str | None) -> None:
    assert _what("Compute", text) == what


@pytest.mark.parametrize(
    ("text", "gib"),
    [("EBS only", 0.0), ("1 x 950 NVMe SSD", 884.8), ("900 GB NVMe SSD", 838.2), ("NA", None)],
)
def test_disks_of_aws(text: str, gib: float | None) -> None:
    assert _disk(text) == gib


def test_aws_takes_what_the_catalog_knows_and_reads_the_rest(tmp_path: Path) -> None:
    known = row("aws", "p5.48xlarge", "us-east-1", 55.0, cpus=192.0, accelerator="H100")
    family = row("aws", "g6.2xlarge", "us-east-1", 1.0, accelerator="L4", accelerator_count=1.0)
    found = listed(Amazon, big.aws, tmp_path, known, family)
    assert found["p5.48xlarge"].kind == known.kind
    kind = found["g6.xlarge"].kind
    assert (kind.accelerator, kind.accelerator_count, kind.local_disk_gib) == ("L4", 1, 232.8)
    assert (kind.cpus, kind.memory_gib, kind.network) == (4, 16, "Up to 12500 Megabit")
    assert found["c7g.large"].kind.arch == "arm64"
    assert "inf9.xlarge" not in found  # it has devices, and the list does not say which


def test_aws_without_credentials_leaves_spot_as_it_was(tmp_path: Path) -> None:
    class NoCredentials(Amazon):
        optional = ()

    before = row("aws", "m7i.xlarge", "us-east-1", 0.2, spot=0.07)
    (source, *_) = [before.spot_source]
    found = listed(NoCredentials, big.aws, tmp_path, before)
    assert (found["m7i.xlarge"].on_demand, found["m7i.xlarge"].spot) == (0.2016, 0.07)
    assert found["m7i.xlarge"].spot_source == source


def test_lambda_prices_a_type_that_is_sold_out(tmp_path: Path) -> None:
    found = listed(Lambda, gpus.lambda_cloud, tmp_path)
    assert found["gpu_1x_a100_sxm4"].kind.accelerator == "A100"
    assert found["gpu_8x_h100_sxm5"].kind.accelerator == "H100-SXM"
    assert found["gpu_1x_gh200"].kind.arch == "arm64"
    assert found["cpu_4x_general"].kind.accelerator == ""


def test_vast_gives_an_offer_its_part_of_the_host(tmp_path: Path) -> None:
    found = listed(Vast, gpus.vast, tmp_path)
    kind = found["8x-H100_SXM-16-65536"].kind
    assert (kind.cpus, kind.memory_gib, kind.accelerator_count) == (16, 64, 8)
    assert not any("V100" in name for name in found)  # it says no country


def test_digitalocean_says_the_memory_of_all_gpus_together(tmp_path: Path) -> None:
    kind = listed(DigitalOcean, small.digitalocean, tmp_path)["gpu-h100x8-640gb"].kind
    assert (kind.accelerator, kind.accelerator_count, kind.accelerator_memory_gib) == (
        "H100",
        8,
        80,
    )


def test_vultr_rents_parts_of_a_device(tmp_path: Path) -> None:
    found = listed(Vultr, small.vultr, tmp_path)
    assert found["vcg-a100-6c-60g-40vram"].kind.accelerator_count == 0.5
    assert found["vbm-256c-2048gb-8-mi300x-gpu"].kind.accelerator_count == 8
    assert "vbm-72c-480gb-gpu" not in found  # it does not say which


def test_hetzner_leaves_out_where_a_type_is_deprecated(tmp_path: Path) -> None:
    found = listed(Hetzner, small.hetzner, tmp_path)
    assert found["cax41"].kind.arch == "arm64"
    assert {r.region for r in found.values()} == {"fsn1", "hel1", "ash", "nbg2"}
    assert all(r.source and r.source.confidence == "estimate" for r in found.values())


def test_scaleway_leaves_out_what_is_no_longer_sold(tmp_path: Path) -> None:
    found = listed(Scaleway, small.scaleway, tmp_path)
    assert "GPU-3070-S" not in found
    assert (found["H100-1-80G"].zone, found["H100-1-80G"].region) == ("fr-par-2", "fr-par")


def test_oracle_counts_two_vcpus_per_core_and_of_arm_one(tmp_path: Path) -> None:
    flexible = row("oci", "VM.Standard.E5.Flex$_8_32", "*", 0.184, cpus=8.0)
    found = listed(Oracle, big.oci, tmp_path, flexible)
    assert found["BM.GPU.H100.8"].kind.cpus == 112
    assert found["BM.GPU.H100.8"].kind.accelerator == "H100"
    assert "BM.DenseIO.E5.128" not in found


def test_runpod_says_what_is_wrong_with_status_200(tmp_path: Path) -> None:
    body = tmp_path / "answer"
    body.write_text('{"errors": [{"message": "Cannot query field"}]}')
    with pytest.raises(Refused, match="Cannot query field"):
        RunPod(Known(), {}).read(RunPod(Known(), {}).first()[0], Answer(body, "runpod"))


def test_a_table_that_ends_in_a_line_is_cut(tmp_path: Path) -> None:
    body = tmp_path / "answer"
    body.write_text('"remark","x"\n"SKU","b"\n"1","2"\n"3","4"')
    with pytest.raises(BadAnswer, match="cut short"):
        list(Answer(body, "aws").table("SKU"))
    body.write_text('"remark","x"\n"SKU","b"\n"1","2"\n"3","4"\n')
    assert [line["b"] for line in Answer(body, "aws").table("SKU")] == ["2", "4"]


class NoPaging(DigitalOcean):
    """Stops at the first page."""

    def read(self, page: Any, answer: Answer) -> Found:
        return Found(super().read(page, answer).items)


class Guessing(DigitalOcean):
    """Takes what is missing for 1."""

    def read(self, page: Any, answer: Answer) -> Found:
        data = answer.json()
        usual = {"cpus": 4, "mib": 8192, "disk": 1, "gpu": "", "gpus": 0, "vram": 0}
        items = [
            {**usual, "slug": e["slug"], "price": e.get("price_hourly", 1), "regions": e["regions"]}
            for e in data["sizes"]
        ]
        more = "next" in data["links"].get("pages", {})
        return Found(items, [self._page(int(page.about) + 1)] if more else [])


@pytest.mark.parametrize(
    ("kind", "failing"),
    [
        (NoPaging, {"reads_all_pages", "goes_on_after_a_kill"}),
        (Guessing, {"names_a_field_that_is_gone"}),
    ],
)
def test_the_suite_finds_a_defect(kind: type[Refresher], failing: set[str], tmp_path: Path) -> None:
    expect: dict[tuple[str, str], tuple[float | None, float | None]]
    expect = {("gpu-mi300x1-192gb", "nyc2"): (1.99, None)}
    bench = Bench(kind, small.digitalocean, expect, "price_hourly", 3)
    failed = set()
    for number, check in enumerate(CHECKS):
        if check.__name__ in {*failing, "dates_and_sources_every_price", "tells_no_secret"}:
            try:
                run_check(check, bench, tmp_path / str(number))
            except Broken:
                failed.add(check.__name__)
    assert failed == failing


def test_a_dry_run_is_of_use_to_the_real_one(tmp_path: Path) -> None:
    with desk(Bench(DigitalOcean, small.digitalocean, {}, "", 3), tmp_path) as at:
        at.refresh(wish=Wish(dry_run=True))
        at.provider.asked.clear()
        assert at.refresh().reused == 3
        assert not at.provider.asked
