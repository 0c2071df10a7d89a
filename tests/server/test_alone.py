"""Sweeping with nothing but credentials and tags, and ``stix sweep`` on top of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.base import CreateRequest
from stix.clouds.config import HOME_TAG, TOKEN_TAG, CloudConfig
from stix.clouds.lambda_ import LambdaCloud
from stix.plan.offers import Demand
from tests.support.clouds.benches import offer_of
from tests.support.clouds.lambda_ import KEY, Lambda

HOME_ID = "0a1b2c3d4e5f"


@pytest.fixture
def double() -> Iterator[Lambda]:
    with Lambda(stock=9).running() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, double: Lambda) -> Path:
    (tmp_path / "config.yaml").write_text(f"lambda: {{endpoint_url: '{double.url}'}}\n")
    (tmp_path / "id").write_text(HOME_ID)
    return tmp_path


def rented(home: Path, double: Lambda, token: str, home_id: str = HOME_ID) -> str:
    """A machine of a run that no ledger knows."""

    async def make() -> str:
        config = CloudConfig(home, home, {"endpoint_url": double.url}, home_id)
        cloud = LambdaCloud(config)
        offer = offer_of("lambda", "us-west-1", "cpu_4x_general")
        tags = {"stix-run": "lost", TOKEN_TAG: token, HOME_TAG: home_id}
        [node] = await cloud.create(CreateRequest(token, offer, Demand(), 1, "x", tags))
        await cloud.close()
        return node.ref.id

    return asyncio.run(make())


def stix(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "STIX_HOME": str(home), "LAMBDA_API_KEY": KEY}
    command = [sys.executable, "-m", "stix.cli.main", "sweep", "--alone", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_what_is_old_goes_and_nothing_else(
    home: Path, double: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDA_API_KEY", KEY)
    mine = rented(home, double, "t1")
    others = rented(home / "other", double, "t2", "ffffffffffff")
    stranger = double.stranger("stix-web")
    kept = stix(home, "--older-than", "1h", "--yes")
    assert (kept.returncode, kept.stdout.strip()) == (0, "Nothing is left over.")
    shown = stix(home, "--older-than", "0s", "--dry-run", "--output", "json")
    things: list[dict[str, Any]] = json.loads(shown.stdout)["things"]
    assert {t["id"] for t in things if t["orphan"] and t["kind"] == "node"} == {mine}
    assert mine in double.boxes
    done = stix(home, "--older-than", "0s", "--yes")
    assert done.returncode == 0 and "removed" in done.stdout, done.stderr
    assert set(double.boxes) == {others, stranger}
    assert KEY not in shown.stdout + shown.stderr + done.stdout + done.stderr


def test_a_question_comes_first(
    home: Path, double: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDA_API_KEY", KEY)
    mine = rented(home, double, "t1")
    refused = stix(home, "--older-than", "0s")  # nobody is there to answer
    assert refused.returncode != 0 and "Remove these" in refused.stderr
    assert mine in double.boxes


def test_a_cloud_that_does_not_answer_is_told(home: Path, double: Lambda) -> None:
    double.lock_out(True)
    told = stix(home, "--older-than", "0s", "--yes")
    assert told.returncode == 1 and "lambda" in told.stderr


def test_a_lost_home_is_named_by_its_id(
    home: Path, double: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDA_API_KEY", KEY)
    mine = rented(home, double, "t1")
    (home / "id").unlink()
    lost = stix(home, "--older-than", "0s", "--yes")
    assert lost.returncode == 1 and "--home-id" in lost.stderr
    assert stix(home, "--older-than", "0s", "--yes", "--home-id", HOME_ID).returncode == 0
    assert mine not in double.boxes


@pytest.mark.parametrize("age", ["2", "two hours", "-1h"])
def test_an_age_is_a_duration(home: Path, age: str) -> None:
    told = stix(home, f"--older-than={age}")
    assert told.returncode == 2 and "write 90m, 2h or 3d" in told.stderr
