"""``stix catalog refresh`` against doubles on loopback; ``config.yaml`` leads to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.catalog.testing.server import GARBAGE, Fault, Provider
from tests.support.pricing import gpus, small


class Shop:
    """A home whose settings lead to two doubles."""

    def __init__(self, home: Path, lambda_: Provider, linode: Provider) -> None:
        self.home = home
        self.lambda_, self.linode = lambda_, linode
        (home / "config.yaml").write_text(
            f"catalog:\n  urls: {{lambda: '{lambda_.url}', linode: '{linode.url}'}}\n"
            "  secrets: {LAMBDA_API_KEY: env:MINE}\n"
        )

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("STIX_", "PREFECT_"))}
        own = {"STIX_HOME": str(self.home), "NO_COLOR": "1", "MINE": "hidden-lambda_api_key"}
        command = [sys.executable, "-m", "stix.cli.main", "catalog", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env=keep | own, timeout=60, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "hidden" not in done.stdout + done.stderr
        return done


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Provider(gpus.lambda_cloud).running() as one, Provider(small.linode).running() as other:
        yield Shop(tmp_path, one, other)


def test_refresh_shows_what_changed_and_the_catalog_has_it(shop: Shop) -> None:
    done = shop("refresh", "linode")
    heads, cells = (line.split() for line in done.stdout.splitlines()[:2])
    assert heads == ["CLOUD", "STATE", "ROWS", "ADDED", "GONE", "UP", "DOWN", "HELD", "BACK"]
    assert cells == ["linode", "refreshed", "7", "7", "0", "0", "0", "0"]
    assert "linode: page" in done.stderr
    assert "g1-gpu-rtx6000-1" in shop("show", "linode").stdout
    clouds = {cloud["cloud"]: cloud for cloud in json.loads(shop("ls", "-o", "json").stdout)}
    assert clouds["linode"]["prices"] == 7


def test_one_that_fails_stops_no_other(shop: Shop) -> None:
    shop.linode.faults = [Fault(GARBAGE)]
    done = shop("refresh", "linode", "lambda", "--accept", "-o", "json", code=1)
    found = {outcome["cloud"]: outcome for outcome in json.loads(done.stdout)}
    assert found["linode"]["state"] == "failed"
    assert "not JSON" in found["linode"]["error"]
    assert found["lambda"]["state"] == "refreshed"
    assert [p.name for p in (shop.home / "catalog").glob("*.cat")] == ["lambda.cat"]


def test_held_back_prices_are_shown_and_can_be_accepted(shop: Shop) -> None:
    shop("refresh", "linode")
    shop.linode.world.factor = 3.0
    done = shop("refresh", "linode")
    assert "g6-dedicated-8" in done.stdout and "+200.0%" in done.stdout
    assert "--accept takes them" in done.stdout
    accepted = shop("refresh", "linode", "--accept").stdout
    assert "+200.0%" not in accepted
    assert accepted.splitlines()[1].split()[5] == "2"  # up


def test_a_dry_run_writes_no_catalog(shop: Shop) -> None:
    assert "dry run" in shop("refresh", "linode", "--dry-run").stdout
    assert not list((shop.home / "catalog").glob("*.cat"))


def test_an_unknown_cloud_is_a_wrong_call(shop: Shop) -> None:
    assert "did you mean 'linode'?" in shop("refresh", "linod", code=2).stderr
