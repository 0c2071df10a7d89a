"""``stix plan``: over the catalog without a server, and over the enabled clouds by the server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.catalog import Catalog
from stix.clouds.catalog.rows import Row
from tests.cli.test_imports import SCRIPT
from tests.support.server import ServerHome

BIG = ("aws", "gcp", "azure")
A100_HOURS, BOOT_H = 10, 120 / 3600
DIAMOND = """\
name: diamond
stages:
  prepare:
    resources: {infra: aws, cpus: 16+, memory: 64+}
    estimate: {time: 1h, outputs: {data: 500}}
    outputs: {data: out/}
    run: "true"
  train:
    inputs: {data: prepare.data}
    resources:
      accelerators: A100:8
      any_of: [{infra: aws}, {infra: gcp}, {infra: azure}]
    estimate: {time: 10h, outputs: {model: 1}}
    outputs: {model: out/}
    run: "true"
  tune:
    inputs: {data: prepare.data}
    resources: {accelerators: A100:8, infra: azure, use_spot: true}
    estimate: {time: 2h, outputs: {model: 1}}
    outputs: {model: out/}
    run: "true"
  report:
    inputs: {one: train.model, other: tune.model}
    resources: {infra: gcp, cpus: 2+}
    estimate: {time: 30m}
    run: "true"
"""
PACED = """\
name: paced
resources:
  infra: gcp
  any_of: [{accelerators: L4:1}, {accelerators: A100:1}, {accelerators: H200:8}]
estimate: {time: 10h, accelerators: A100:8}
run: "true"
"""


class Cli:
    """The command in a folder of its own, with an empty home unless another is given."""

    def __init__(self, folder: Path, home: Path | None = None) -> None:
        self.folder = folder
        self.home = home or folder / "home"
        self.home.mkdir(exist_ok=True)
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("STIX_", "PREFECT_"))}
        self.env = {**keep, "STIX_HOME": str(self.home), "NO_COLOR": "1"}

    def __call__(self, text: str, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        (self.folder / "p.yaml").write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "stix.cli.main", "plan", "p.yaml", *options],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.env,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def json(self, text: str, *options: str) -> Any:
        return json.loads(self(text, *options, "-o", "json").stdout)


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Cli]:
    """A server that it started, or anything else that it wrote, would be left in its home."""
    cli = Cli(tmp_path)
    yield cli
    assert list(cli.home.iterdir()) == []


def stages(answer: Any) -> dict[str, Any]:
    return {stage["stage"]: stage for stage in answer["stages"]}


def offer(stage: Any) -> tuple[Any, ...]:
    chosen = stage["chosen"]["offer"]
    return tuple(chosen[k] for k in ("cloud", "region", "zone", "instance_type", "spot", "price"))


def a100(cloud: str) -> list[Row]:
    return list(Catalog.load().rows(cloud=cloud, accelerator="A100", accelerator_count=8))


def test_a_diamond_over_three_clouds_by_hand(offline: Cli) -> None:
    """Prepared and trained in one region, whose data then costs nothing to move."""
    answer = offline.json(DIAMOND, "--catalog")
    found = stages(answer)
    # What each could cost by itself, of the rows of the catalog.
    first = {
        row.region: min(
            other.on_demand or 9e9
            for other in Catalog.load().rows(
                cloud="aws", region=row.region, cpus_at_least=16, memory_at_least=64, arch="x86_64"
            )
        )
        for row in a100("aws")
    }
    trains = [row for cloud in BIG for row in a100(cloud) if row.on_demand]
    dear = 0.09 * (1002 - 100) / 1002  # USD per GB out of AWS; 100 GB of the month are free

    def both(row: Row, start: str) -> float:
        moved = 0.0 if (row.kind.cloud, row.region) == ("aws", start) else 500 * dear
        if row.kind.cloud == "aws" and moved:
            moved = 500 * 0.01  # between two regions it is less, and not less than this
        return (row.on_demand or 0) * (A100_HOURS + BOOT_H) + first[start] * (1 + BOOT_H) + moved

    ranked = sorted((both(row, start), row.region, start) for row in trains for start in first)
    _, region, start = ranked[0]
    assert region == start
    assert offer(found["train"])[:2] == ("aws", region)
    assert offer(found["prepare"])[:2] == ("aws", region)
    assert found["prepare"]["usd_per_hour"] == first[region]
    price = next(row.on_demand or 0.0 for row in a100("aws") if row.region == region)
    parts = found["train"]["cost"]["parts"]
    assert parts["compute_usd"] == pytest.approx(price * A100_HOURS)
    assert parts["boot_usd"] == pytest.approx(price * BOOT_H)
    edges = {(edge["source"], edge["target"]): edge for edge in answer["edges"]}
    assert edges["prepare", "train"]["usd"]["value"] == 0
    assert edges["prepare", "tune"]["usd"]["value"] == pytest.approx(500 * dear)
    assert found["tune"]["egress_usd"] == pytest.approx(500 * dear)
    # The whole is the sum of its parts.
    costs = sum(stage["cost"]["usd"]["value"] for stage in found.values())
    moved = sum(edge["usd"]["value"] for edge in answer["edges"])
    assert answer["usd"]["value"] == pytest.approx(costs + moved)
    assert answer["usd"]["low"] < answer["usd"]["value"] < answer["usd"]["high"]


def test_spot_is_the_least_spot_price_with_what_is_done_over(offline: Cli) -> None:
    tune = stages(offline.json(DIAMOND, "--catalog"))["tune"]
    least = min(row.spot for row in a100("azure") if row.spot)
    assert offer(tune)[0] == "azure" and offer(tune)[4:] == (True, least)
    parts = tune["cost"]["parts"]
    assert parts["compute_usd"] == pytest.approx(least * 2)
    assert parts["preemption_usd"] > 0 and parts["preemptions"] > 0


def test_the_times_are_those_of_the_longest_way(offline: Cli) -> None:
    answer = offline.json(DIAMOND, "--catalog")
    found = stages(answer)
    assert answer["seconds"]["value"] == found["report"]["end"]
    for edge in answer["edges"]:
        arrives = found[edge["source"]]["end"] + edge["seconds"]["value"]
        assert found[edge["target"]]["start"] >= arrives - 1e-6
    assert found["train"]["cost"]["parts"]["run_s"] == 36000


def test_the_table_says_all_that_counts(offline: Cli) -> None:
    said = offline(DIAMOND, "--catalog").stdout
    head, *rows = said.partition("\n\n")[0].splitlines()
    assert re.split(r"  +", head) == [
        *("STAGE", "WHERE", "NODES", "EACH", "PRICE", "TIME", "COST"),
        *("EGRESS IN", "NEXT BEST", "THAN THIS"),
    ]
    cells = {row.split()[0]: re.split(r"  +", row) for row in rows}
    assert list(cells) == ["prepare", "train", "tune", "report"]
    assert cells["train"][1].startswith("aws/us-") and cells["train"][1].endswith("p4d.24xlarge")
    assert cells["train"][3:6] == ["A100:8", "$21.96/h", "10h02m"]
    assert cells["tune"][7].startswith("500 GB $40.5")
    assert cells["train"][8].startswith("aws/us-") and cells["train"][9].startswith("+$")
    assert re.search(r"^cost +~?\$\d+\.\d\d \(\$\d+\.\d\d to \$", said, re.M)
    assert re.search(r"^time +\d+h\d\dm \(", said, re.M)
    assert "├─╮" in said and "├─╯" in said
    assert "not enabled here" not in said  # whether it is is known where the clouds are asked
    assert "days old: `stix catalog refresh aws`" in said


def test_unknown_sizes_and_guessed_times_are_told(offline: Cli) -> None:
    said = offline(DIAMOND.replace("outputs: {data: 500}", ""), "--catalog").stdout
    assert "note: the size of prepare.data is not known; counted as 0" in said
    said = offline("name: x\nrun: 'true'\n", "--catalog").stdout
    assert "time assumed, for want of `estimate:` and earlier runs: " in said


def test_estimates_are_marked(offline: Cli) -> None:
    rows = [r for r in Catalog.load().rows() if r.source and r.source.is_estimate and r.kind.cpus]
    row = min(rows, key=lambda r: (r.kind.cloud, r.kind.instance_type))
    text = "name: x\nrun: 'true'\n"
    machine = ("--infra", row.kind.cloud, "--instance-type", row.kind.instance_type)
    said = offline(text, "--catalog", *machine).stdout
    assert "~$" in said and "~ the price is an estimate" in said
    told = offline.json(text, "--catalog", *machine)
    assert told["stages"][0]["chosen"]["offer"]["price_is_estimate"] is True


def test_explain_says_why_each_lost_and_what_excludes(offline: Cli) -> None:
    text = DIAMOND.replace("infra: azure, use_spot: true", "max_hourly_cost: 20")
    said = offline(text, "--catalog", "--explain", "tune").stdout
    found = stages(offline.json(text, "--catalog"))["tune"]
    assert re.search(r"^chosen +\S+", said, re.M)
    for loser in found["losers"]:
        assert loser["why"] in said and loser["choice"]["offer"]["instance_type"] in said
    for code, words in (("spot", "other market"), ("accelerators", "have not the accelerators")):
        assert re.search(rf"^  {found['excluded'][code]} .*{words}", said, re.M)
    assert found["excluded"]["price"] == len(
        [
            row
            for row in Catalog.load().rows(accelerator="A100", accelerator_count=8)
            if row.on_demand and row.on_demand > 20
        ]
    )
    assert "NEAREST MISSES" in said and "the limit is 20" in said
    assert "= compute " in said


def test_explain_names_a_stage_that_is_there(offline: Cli) -> None:
    said = offline(DIAMOND, "--catalog", "--explain", "trian", code=2).stderr
    assert "Did you mean 'train'?" in said and "prepare, train, tune, report" in said


def test_the_front_and_the_plan_that_bounds_choose(offline: Cli) -> None:
    front = offline.json(PACED, "--catalog", "--pareto")["front"]
    plans = front["plans"]
    assert len(plans) > 2 and front["chosen"] == 0 and front["proven"]
    assert [p["usd"] for p in plans] == sorted(p["usd"] for p in plans)
    assert [p["seconds"] for p in plans] == sorted((p["seconds"] for p in plans), reverse=True)
    fast = offline.json(PACED, "--catalog", "--pareto", "--minimize", "time")
    assert fast["front"]["chosen"] == len(plans) - 1
    assert fast["seconds"]["value"] == pytest.approx(plans[-1]["seconds"])
    # The cheapest in time, and the fastest for the money, lie between.
    middle = plans[1]
    deadline = f"{middle['seconds'] + 1:.0f}"
    bound = offline.json(PACED, "--catalog", "--pareto", "--deadline", deadline)
    assert bound["front"]["chosen"] == 1
    assert bound["usd"]["value"] == pytest.approx(middle["usd"], abs=1e-3)
    budget = f"{middle['usd'] + 0.01:.2f}"
    said = offline(PACED, "--catalog", "--pareto", "--minimize", "time", "--budget", budget).stdout
    rows = re.findall(r"^\$(\S+) +\S+ +(chosen|out of bounds|\S+:)?", said, re.M)
    assert [mark for _, mark in rows].count("chosen") == 1
    assert dict(rows)[f"{middle['usd']:.2f}"] == "chosen"
    assert dict(rows)[f"{plans[-1]['usd']:.2f}"] == "out of bounds"


def test_bounds_that_nothing_meets_name_the_least_that_would_do(offline: Cli) -> None:
    done = offline(PACED, "--catalog", "--deadline", "1h", code=1)
    assert done.stdout == ""
    assert "no plan ends within 1h00m: the fastest takes" in done.stderr
    [least] = re.findall(r"--deadline (\S+)`", done.stderr)
    assert stages(offline.json(PACED, "--catalog", "--deadline", least))
    done = offline(DIAMOND, "--catalog", "--budget", "10", code=1)
    [usd] = re.findall(r"--budget (\S+)`", done.stderr)
    answer = offline.json(DIAMOND, "--catalog", "--budget", usd)
    assert answer["usd"]["value"] == pytest.approx(float(usd), abs=0.02)
    done = offline(PACED, "--catalog", "--deadline", least, "--budget", "1", code=1)
    assert "no plan costs at most $1.00: the cheapest costs" in done.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--deadline", "soon"), ("--deadline", "0"), ("--budget", "-1")]
)
def test_wrong_bounds_are_refused(offline: Cli, option: str, value: str) -> None:
    assert option in offline(DIAMOND, "--catalog", option, value, code=2).stderr


def test_the_picture_is_written(offline: Cli) -> None:
    done = offline(DIAMOND, "--catalog", "--picture", "plan.svg")
    assert "picture: plan.svg" in done.stderr
    root = ET.parse(offline.folder / "plan.svg").getroot()
    said = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"prepare", "train", "tune", "report", "diamond"} <= set(said)
    assert any(text and text.startswith("500 GB, $40.5") for text in said)
    assert "plan.svg" in offline(DIAMOND, "--catalog", "--picture", "plan.png", code=2).stderr
    said_of = offline(DIAMOND, "--catalog", "--picture", "no/folder/plan.svg", code=2).stderr
    assert "cannot be written" in said_of


def test_overrides_hold(offline: Cli) -> None:
    answer = offline.json(DIAMOND, "--catalog", "--set", "tune.resources.use_spot=false")
    assert offer(stages(answer)["tune"])[4] is False
    least = min(row.on_demand for row in a100("azure") if row.on_demand)
    assert offer(stages(answer)["tune"])[5] == least


def test_what_fits_nowhere_is_an_error_with_what_is_near(offline: Cli) -> None:
    text = DIAMOND.replace("A100:8, infra: azure", "A100:7, infra: azure")
    done = offline(text, "--catalog", code=1)
    assert "'tune' cannot be placed" in done.stderr and "nearest:" in done.stderr


def test_it_loads_no_server_and_opens_no_connection(offline: Cli) -> None:
    (offline.folder / "p.yaml").write_text(DIAMOND)
    unwanted = ["prefect", "httpx", "fastapi", "sqlalchemy", "asyncssh", "boto3", "asyncio"]
    deaf = "import sys\nsys.addaudithook(lambda e, _: e.startswith('socket.') and sys.exit(9))\n"
    script = deaf + SCRIPT.format(heavy=unwanted)
    done = subprocess.run(
        [sys.executable, "-c", script, "plan", "p.yaml", "--catalog"],
        capture_output=True,
        text=True,
        cwd=offline.folder,
        env=offline.env,
        timeout=60,
        check=True,
    )
    assert done.stderr.rpartition("heavy=")[2] == ""


@pytest.mark.server
class TestWithAServer:
    """Over the clouds that are enabled."""

    @pytest.fixture
    def cli(self, stix_server: ServerHome, tmp_path: Path) -> Cli:
        return Cli(tmp_path, stix_server.home)

    def test_what_scripts_read_is_there(self, cli: Cli) -> None:
        text = (
            "name: two\nstages:\n  a: {run: 'true'}\n  b: {run: 'true', needs: [a], num_nodes: 2}\n"
        )
        answer = cli.json(text)
        assert [stage["stage"] for stage in answer["stages"]] == ["a", "b"]
        for stage in answer["stages"]:
            assert stage["chosen"]["offer"]["cloud"] == "local"
            assert stage["usd_per_hour"] == 0.0
            assert isinstance(stage["alternatives"], list)
            assert stage["enabled"] is True
        assert answer["stages"][1]["num_nodes"] == 2
        assert [(e["source"], e["target"]) for e in answer["edges"]] == [("a", "b")]
        said = cli(text).stdout
        assert re.search(r"^a +local", said, re.M) and "all at once  $0.00/h" in said
        assert "not enabled here" not in said

    def test_all_clouds_price_what_is_not_enabled_too(self, cli: Cli) -> None:
        assert "A100" in cli(DIAMOND, code=1).stderr
        answer = cli.json(DIAMOND, "--all-clouds")
        assert stages(answer)["train"]["enabled"] is False
        assert {"aws", "gcp", "azure"} <= answer["elsewhere"].keys()
        assert "local" not in answer["elsewhere"]
        mixed = DIAMOND.replace("{infra: aws, cpus: 16+, memory: 64+}", "{infra: local}")
        answer = stages(cli.json(mixed, "--all-clouds"))
        assert answer["prepare"]["enabled"] is True and answer["train"]["enabled"] is False

    def test_bounds_reach_the_server(self, cli: Cli) -> None:
        text = "name: x\nrun: 'true'\nestimate: 2h\n"
        done = cli(text, "--deadline", "1h", code=1)
        assert "no plan ends within 1h00m: the fastest takes 2h00m" in done.stderr
        assert "--deadline 2h" in done.stderr
        front = cli.json(text, "--pareto", "--minimize", "time")["front"]
        assert front["chosen"] == 0 and front["plans"][0]["usd"] == 0.0
