"""``stix gpus`` and ``stix catalog``: tables, JSON, near misses; no server, nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.catalog import Catalog
from stix.clouds.catalog.catalog import BUNDLED
from tests.cli.test_imports import loaded


class Cli:
    """The command with an empty home: a server that it started would be left there."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("STIX_", "PREFECT_"))}
        done = subprocess.run(
            [sys.executable, "-m", "stix.cli.main", *arguments],
            capture_output=True,
            text=True,
            env={**keep, "STIX_HOME": str(self.home), "NO_COLOR": "1"},
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert list(self.home.iterdir()) == []
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json").stdout)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    home = tmp_path / "home"
    home.mkdir()
    return Cli(home)


def lines(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The cells of a table, without its head and what stands below it."""
    table = done.stdout.partition("\n\n")[0].splitlines()[1:]
    return [[cell for cell in line.split("  ") if cell] for line in table]


def test_all_accelerators(cli: Cli) -> None:
    done = cli("gpus")
    rows = {cells[0].strip(): cells for cells in lines(done)}
    assert {"H100", "A100-80GB", "L4", "T4", "MI300X", "Trainium2"} <= set(rows)
    assert not [name for name in rows if name.startswith("tpu")]
    assert "see `stix gpus tpu`" in done.stdout
    assert "~ is an estimate" in done.stdout
    assert done.stderr == ""


def test_one_accelerator_has_a_line_per_machine(cli: Cli) -> None:
    done = cli("gpus", "h100 sxm")
    assert {cells[0].partition(":")[0] for cells in lines(done)} == {"H100-SXM"}
    assert len(lines(done)) == len(Catalog.load().gpus("H100-SXM"))


def test_machines_come_cheapest_first(cli: Cli) -> None:
    found = cli.json("gpus", "H100")
    each = [gpu["on_demand"]["usd_per_hour_each"] for gpu in found if gpu["on_demand"]]
    assert each == sorted(each)
    assert {gpu["accelerator"] for gpu in found} == {"H100", "H100-MEGA", "H100-NVL", "H100-SXM"}
    assert all(
        gpu["on_demand"]["source"] and gpu["on_demand"]["as_of"]
        for gpu in found
        if gpu["on_demand"]
    )


def test_a_place(cli: Cli) -> None:
    found = cli.json("gpus", "A100:8", "--infra", "gcp/us-central1")
    assert {(gpu["cloud"], gpu["accelerator_count"]) for gpu in found} == {("gcp", 8)}
    assert {gpu["on_demand"]["region"] for gpu in found} == {"us-central1"}
    each = cli.json("gpus", "A100:8", "--infra", "gcp", "--all-regions")
    assert len({gpu["on_demand"]["region"] for gpu in each}) > 3


def test_estimates_can_be_left_out(cli: Cli) -> None:
    found = cli.json("gpus", "--no-estimates")
    sure = [deal["confidence"] for gpu in found for deal in (gpu["on_demand"], gpu["spot"]) if deal]
    assert "estimate" not in sure
    assert {"listed", "market", "computed"} == set(sure)
    assert "seeweb" not in {gpu["cloud"] for gpu in found}
    assert "~" not in cli("gpus", "L4", "--no-estimates").stdout


@pytest.mark.parametrize(
    "arguments, fix",
    [
        (["gpus", "H1000"], "did you mean H100"),
        (["gpus", "--infra", "awz"], "did you mean 'aws'"),
        (["gpus", "T4", "--infra", "aws/us-est-1"], "did you mean 'us-east-1'"),
        (["catalog", "show", "verdi"], "did you mean 'verda'"),
        (["catalog", "show", "aws", "p5.48"], "did you mean p5.48xlarge"),
    ],
)
def test_near_misses(cli: Cli, arguments: list[str], fix: str) -> None:
    done = cli(*arguments, code=2)
    assert fix in done.stderr
    assert done.stdout == ""


def test_a_cloud_by_another_name(cli: Cli) -> None:
    found = cli.json("gpus", "--infra", "DigitalOcean/tor1")
    assert {(gpu["cloud"], gpu["accelerator"]) for gpu in found} == {("do", "H100")}


def test_nothing_there(cli: Cli) -> None:
    done = cli("gpus", "T4", "--infra", "ibm")
    assert "Nothing there" in done.stderr
    assert cli.json("gpus", "T4", "--infra", "ibm") == []


def test_catalog_ls_counts_what_is_there(cli: Cli) -> None:
    clouds = {cloud["cloud"]: cloud for cloud in cli.json("catalog", "ls")}
    bundled = Catalog.load()
    assert set(clouds) == set(bundled.clouds)
    assert clouds["ibm"]["prices"] == 54
    assert clouds["ovh"]["confidence"] == {"estimate": 42}
    assert f"{len(clouds)} clouds" in cli("catalog", "ls").stdout


def test_catalog_show(cli: Cli) -> None:
    assert len(lines(cli("catalog", "show", "verda"))) == len(Catalog.load().table("verda").kinds)
    done = cli("catalog", "show", "aws", "p5.48xlarge", "--region", "us-east-1")
    (row,) = lines(done)
    assert "$55.0400" in [cell.strip() for cell in row]
    assert "[1] 2026-07, listed, USD: " in done.stdout
    rows = cli.json("catalog", "show", "aws", "p5.48xlarge")
    assert {row["instance_type"] for row in rows} == {"p5.48xlarge"}
    assert {row["currency"] for row in rows} == {"USD"}


def test_catalog_diff(cli: Cli, tmp_path: Path) -> None:
    assert cli("catalog", "diff", str(BUNDLED)).stdout == "No difference.\n"
    one = BUNDLED / "yotta.cat"
    empty = tmp_path / "empty"
    empty.mkdir()
    done = cli("catalog", "diff", str(empty), str(one))
    assert "8 added" in done.stdout
    assert {change["what"] for change in cli.json("catalog", "diff", str(one), str(empty))} == {
        "removed"
    }
    assert "(" in cli("catalog", "diff", str(empty)).stdout  # all of the bundled one: cut


@pytest.mark.parametrize("command", ["gpus", "gpus H100 -o json", "catalog ls", "catalog show ibm"])
def test_they_load_nothing_heavy(command: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, *command.split()) == (0, "")
