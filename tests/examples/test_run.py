"""Each example runs on a real server, as a user would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
Env = dict[str, str]
pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Env]:
    """The environment of one STIX home for all examples; its server is stopped in the end."""
    home = tmp_path_factory.mktemp("home")
    env = {**os.environ, "STIX_HOME": str(home)}
    yield env
    stix(env, "server", "stop")


def stix(env: Env, *args: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "stix.cli.main", *args]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def run(env: Env, example: str, *args: str) -> dict[str, Any]:
    """Run an example to its good end; its stages by key."""
    answer = json.loads(stix(env, "run", f"examples/{example}", "--output", "json", *args))
    assert answer["state"] == "succeeded"
    return {stage["key"]: stage for stage in answer["stages"]}


def test_hello(env: Env) -> None:
    stages = run(env, "hello.yaml")
    assert [stages[key]["state"] for key in ("greet", "shout")] == ["succeeded", "succeeded"]
    assert "HELLO FROM" in stix(env, "logs", "latest", "shout")
    again = run(env, "hello.yaml")
    assert again["greet"]["state"] == "cached"


def test_skypilot_task(env: Env) -> None:
    assert list(run(env, "skypilot-task.yaml")) == ["count-words"]
    output = stix(env, "logs", "latest", "count-words")
    assert "node 0 of 1" in output
    assert "\n9\n" in output.replace("| ", "")


def test_chain(env: Env) -> None:
    stages = run(env, "chain.yaml")
    starts = [stages[key]["started"] for key in ("fetch", "clean", "publish")]
    assert starts == sorted(starts)


def test_recovery(env: Env) -> None:
    stages = run(env, "recovery.yaml")
    assert len(stages["flaky"]["attempts"]) == 3
    assert stages["strict[value=2]"]["state"] == "failed"
    assert len(stages["strict[value=2]"]["attempts"]) == 1
    assert stages["after"]["state"] == "succeeded"


def test_digits(env: Env, tmp_path: Path) -> None:
    stages = run(env, "digits/pipeline.yaml", "--env", f"PYTHON={sys.executable}")
    assert len(stages) == 8
    target = tmp_path / "report"
    stix(env, "artifacts", "get", "report.report", str(target))
    rows = json.loads((target / "scores.json").read_text())
    assert len(rows) == 5
    assert rows[0]["accuracy"] > 0.97
    assert (target / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_checkpoint(env: Env) -> None:
    stages = run(env, "checkpoint/pipeline.yaml", "--env", f"PYTHON={sys.executable}")
    assert stages["digits"]["result"]["accuracy"] > 0.8
    assert abs(stages["folders"]["result"]["slope"] - 3) < 0.1
