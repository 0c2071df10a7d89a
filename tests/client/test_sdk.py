"""Runs from Python against a real server: objects, uploads, secrets, failures, functions."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stix
from stix.client.api import Client
from stix.client.call import RemoteTraceback
from stix.client.http import ApiError
from stix.client.local import ensure_server
from stix.client.sdk import RunCancelled, RunFailed, get_run
from tests.support.server import ServerHome

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def home(stix_server: ServerHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STIX_URL", raising=False)
    monkeypatch.setenv("STIX_HOME", str(stix_server.home))
    monkeypatch.setenv("STIX_PREFECT", "off")


def test_a_pipeline_of_objects_with_uploads(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.sh").write_text("cat data.txt > made.txt; echo $WHO >> made.txt\n")
    (tmp_path / "data.txt").write_text("data\n")
    pipeline = stix.Pipeline(name="two")
    pipeline.add(
        "first",
        stix.Task(
            run="bash main.sh; echo '{\"n\": 1}' > $STIX_RESULT",
            workdir="code",
            file_mounts={"data.txt": "data.txt"},
            outputs={"made": "made.txt"},
        ),
    )
    pipeline.add("second", stix.Task(run="cat $STIX_INPUT_MADE", inputs={"made": "first.made"}))
    run = stix.run(pipeline, base=tmp_path, envs={"WHO": "you"}, name="renamed")
    assert (run.state, run.name) == ("succeeded", "renamed")
    assert run.results == {"first": {"n": 1}}
    assert run.logs("second") == "data\nyou\n"
    assert set(run.outputs) == {"first.made"}
    files = run.download("first.made", tmp_path / "copy")
    assert [file.read_text() for file in files] == ["data\nyou\n"]
    assert get_run(run.id).state == "succeeded"


def test_a_stage_alone_with_a_secret(stix_server: ServerHome) -> None:
    task = stix.Task(name="alone", run='echo "${#TOKEN} $TOKEN"', secrets={"TOKEN": None})
    run = stix.run(task, secrets={"TOKEN": "hunter2-hunter2"})
    assert run.logs("alone") == "15 ***\n"
    assert "hunter2" not in repr(run.data)


def test_a_failure_has_stage_reason_and_tail() -> None:
    task = stix.Task(name="broken", run="echo the cause; exit 4")
    with pytest.raises(RunFailed, match="the cause") as caught:
        stix.run(task)
    assert caught.value.stage == "broken"
    assert caught.value.log_tail == ["the cause"]
    assert "4" in caught.value.reason


def test_wait_false_then_cancel() -> None:
    run = stix.run(stix.Task(run="sleep 600"), wait=False)
    run.cancel()
    with pytest.raises(RunCancelled):
        run.wait()


def test_a_wrong_token_is_refused(stix_server: ServerHome) -> None:
    url = ensure_server(start=False).url
    with pytest.raises(ApiError, match="STIX_TOKEN") as caught:
        Client(url, "wrong").status()
    assert caught.value.status == 401


@stix.stage(resources={"cpus": "1+"})
def add(left: int, right: int = 1) -> tuple[int, str]:
    return left + right, os.environ["STIX_STAGE"]


@stix.stage()
async def add_async(left: int) -> int:
    await asyncio.sleep(0)
    return left + 1


@stix.stage
def broken(value: int) -> str:
    return {1: "one"}[value]


@stix.stage(setup="exit 9", recovery="none", name="never")
def never_called() -> None:
    raise AssertionError


def test_a_function_runs_on_a_node() -> None:
    assert add(2, right=3) == (5, "add")
    assert asyncio.run(add_async(1)) == 2


def test_an_exception_of_a_function_is_raised_here() -> None:
    with pytest.raises(KeyError) as caught:
        broken(7)
    assert caught.value.args == (7,)
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "in broken" in str(caught.value.__cause__)


def test_a_stage_that_fails_before_the_function() -> None:
    with pytest.raises(RunFailed) as caught:
        never_called()
    assert caught.value.stage == "never"


def test_the_example_flow_shows_in_the_servers_prefect(
    stix_server: ServerHome, tmp_path: Path
) -> None:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("STIX_", "PREFECT_"))}
    env = {**keep, "STIX_HOME": str(stix_server.home), "PREFECT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "decorator" / "flow.py")],
        capture_output=True,
        text=True,
        env=env,
        cwd=tmp_path,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "pi is about 3.1" in done.stderr + done.stdout
    names = flow_names(ensure_server(start=False).url)
    assert "estimate-pi" in names


def flow_names(url: str) -> set[str]:
    """Names of the flows that the server's Prefect knows."""
    import httpx

    answer = httpx.post(f"{url}/api/flows/filter", json={}, timeout=30)
    return {flow["name"] for flow in answer.json()}
