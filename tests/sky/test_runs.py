"""SkyPilot's calls against a real server: launch, look, read, cancel; and a whole script."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stix.sky as sky
from stix.errors import UsageError
from stix.sky.runs import NoSuchJob
from tests.support.server import ServerHome, eventually

pytestmark = pytest.mark.server

SCRIPT = '''\
"""Two tasks in a row, in the style of SkyPilot's examples."""
import stix.sky as sky

with sky.Dag() as dag:
    dag.name = "script"
    prepare = sky.Task("prepare", run="echo prepared $WHO", envs={"WHO": "you"})
    train = sky.Task("train", setup=["echo ready"], run="echo trained")
    train.set_resources(sky.Resources(cpus="1+"))
    prepare >> train

plan = sky.get(sky.optimize(dag))
print("planned", [stage["stage"] for stage in plan["stages"]])
job_ids, handle = sky.stream_and_get(sky.jobs.launch(dag, name="from-script"))
code = sky.jobs.tail_logs(job_id=job_ids[0], follow=True)
for record in sky.get(sky.jobs.queue(refresh=True, job_ids=job_ids)):
    print(record["job_name"], record["task_name"], record["status"].value)
raise SystemExit(code)
'''


@pytest.fixture(autouse=True)
def home(stix_server: ServerHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STIX_URL", raising=False)
    monkeypatch.setenv("STIX_HOME", str(stix_server.home))
    monkeypatch.setenv("STIX_PREFECT", "off")


def test_a_script_in_skypilots_style(stix_server: ServerHome, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("STIX_", "PREFECT_"))}
    done = subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True,
        text=True,
        env={**keep, "STIX_HOME": str(stix_server.home)},
        cwd=tmp_path,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "planned ['prepare', 'train']"
    assert lines[1].endswith("(from-script) has begun")
    assert lines[2:5] == ["[prepare] prepared you", "[train] ready", "[train] trained"]
    assert lines[5:] == ["from-script prepare SUCCEEDED", "from-script train SUCCEEDED"]


def test_launch_and_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    task = sky.Task("look", run="echo one; echo two; echo three")
    job_id, handle = sky.get(sky.launch(task, cluster_name="looked", down=True))
    assert sky.get(sky.jobs.wait(job_id=job_id)) == 0
    assert handle.refresh().state == "succeeded"
    assert task.name == "look"

    out = io.StringIO()
    assert sky.tail_logs("looked", job_id, follow=False, output_stream=out) == 0
    assert out.getvalue() == "one\ntwo\nthree\n"
    out = io.StringIO()
    assert sky.jobs.tail_logs(name="looked", follow=False, tail=1, output_stream=out) == 0
    assert out.getvalue() == "three\n"
    lines = sky.jobs.tail_logs(job_id=job_id, task=0, preload_content=False)
    assert list(lines) == ["one\n", "two\n", "three\n"]

    (job,) = sky.get(sky.queue("looked"))
    assert (job["job_id"], job["job_name"], job["status"]) == (
        job_id,
        "looked",
        sky.JobStatus.SUCCEEDED,
    )
    assert sky.get(sky.queue("looked", skip_finished=True)) == []
    assert sky.get(sky.job_status("looked")) == {job_id: sky.JobStatus.SUCCEEDED}
    assert sky.get(sky.status(["looked"])) == []
    (cost,) = [row for row in sky.get(sky.cost_report()) if row["job_id"] == job_id]
    assert cost["status"] is None and cost["total_cost"] >= 0
    sky.get(sky.down("looked"))

    (folder,) = sky.download_logs("looked", None).values()
    (file,) = Path(folder).iterdir()
    assert file.read_text() == "one\ntwo\nthree\n"
    assert Path(folder).parent == tmp_path / "sky_logs"


def test_a_failure_has_skypilots_code_and_word() -> None:
    (job_id,), _ = sky.get(sky.jobs.launch(sky.Task("broken", run="echo cause; exit 4")))
    assert sky.jobs.tail_logs(job_id=job_id, output_stream=io.StringIO()) == 100
    (record,) = sky.get(sky.jobs.queue(False, job_ids=[job_id]))
    assert record["status"] is sky.ManagedJobStatus.FAILED
    assert "4" in record["failure_reason"]
    (job_id,), _ = sky.get(sky.jobs.launch(sky.Task("unset", setup="exit 3", run="true")))
    assert sky.get(sky.jobs.wait(job_id=job_id)) == 100
    records, total, counts, _ = sky.get(
        sky.jobs.queue_v2(False, job_ids=[job_id], fields=["status", "task_name"])
    )
    assert records == [{"status": sky.ManagedJobStatus.FAILED_SETUP, "task_name": "unset"}]
    assert (total, counts) == (1, {"FAILED_SETUP": 1})


def test_launch_without_setup_and_dry() -> None:
    task = sky.Task("bare", setup="exit 3", run="echo ran")
    job_id, _ = sky.get(sky.launch(task, no_setup=True))
    assert sky.tail_logs("bare", job_id, True, output_stream=io.StringIO()) == 0
    assert task.setup == "exit 3"
    before = len(sky.get(sky.jobs.queue()))
    out = io.StringIO()
    assert sky.stream_and_get(sky.launch(task, dryrun=True), output_stream=out) == (None, None)
    assert out.getvalue().startswith("bare: local/")
    assert len(sky.get(sky.jobs.queue())) == before


def test_cancel() -> None:
    task = sky.Task(run="echo up; sleep 600")
    first, _ = sky.get(sky.launch(task, cluster_name="long"))
    second, _ = sky.get(sky.launch(task, cluster_name="long"))

    def up() -> bool:
        rows = sky.get(sky.status("long"))
        return [row["status"] for row in rows] == [sky.ClusterStatus.UP] * 2

    eventually(up, seconds=120, hint="both runs hold nodes")
    assert sky.tail_logs("long", first, follow=False, output_stream=io.StringIO()) == 101
    with pytest.raises(TimeoutError):
        sky.get(sky.jobs.wait(job_id=first, timeout=0))
    sky.get(sky.cancel("long"))  # the newest
    assert sky.get(sky.job_status("long", [first, second])) == {
        first: sky.JobStatus.RUNNING,
        second: sky.JobStatus.CANCELLED,
    }
    sky.get(sky.jobs.cancel(job_ids=[first]))
    assert sky.get(sky.jobs.wait(job_id=first)) == 103
    (record,) = sky.get(sky.jobs.queue(job_ids=[first]))
    assert record["status"] is sky.ManagedJobStatus.CANCELLED


def test_what_is_not_there() -> None:
    with pytest.raises(NoSuchJob, match="nobody"):
        sky.queue("nobody")
    with pytest.raises(ValueError, match="no run nobody"):
        sky.jobs.tail_logs(job_id="nobody")
    with pytest.raises(UsageError, match="says what to cancel"):
        sky.jobs.cancel()


def test_the_clouds_and_the_server() -> None:
    assert "local" in sky.get(sky.enabled_clouds())
    assert sky.get(sky.check(["local"], False)) == {"default": {"local": ["compute"]}}
    assert sky.api_info()["status"] == "healthy"
    assert sky.Optimizer.optimize(sky.Task("a", run="x"))["stages"][0]["stage"] == "a"
