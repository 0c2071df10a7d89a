"""``stix validate --report`` and ``stix schema``: what people and programs read."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from tests.cli.test_malformed import stix

TASK = """\
name: demo
resources:
  gpus: A100:2
  priority: 8
  autostop: {idle_minutes: 3, down: true}
secrets: ["secrets:HF"]
file_mounts:
  /data: s3://bucket/data
  /out: {source: s3://bucket, mode: MOUNT}
service: {readiness_probe: /}
run: x
"""


def test_a_report_for_people(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text(TASK)
    done = stix("validate", "file.yaml", "--report", home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 1
    head, *lines = done.stdout.splitlines()
    assert head.startswith("file.yaml: 16 keys: ")
    assert "8 used, 5 mapped, 3 refused" in head
    shown = {line.split()[1]: line for line in lines[1:]}
    assert "accelerators" in shown["resources.gpus"]
    assert "there is no queue by priority" in shown["resources.priority"]
    assert "--secret HF" in shown["secrets"]
    assert shown["file_mounts./data"].split() == ["8", "file_mounts./data", "used"]
    assert shown["file_mounts./out.mode"].split() == ["9", "file_mounts./out.mode", "used"]
    # Told once: neither what lies below a refused key, nor the same as a message.
    assert "service.readiness_probe" not in shown
    assert "priority" not in done.stderr
    assert "\x1b" not in done.stdout
    assert not (tmp_path / "home").exists()


def test_a_report_for_programs(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text(TASK)
    command = ("validate", "file.yaml", "--report", "-o", "json")
    done = stix(*command, home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 1
    (answer,) = json.loads(done.stdout)
    assert answer["ok"] is False
    assert {p["path"] for p in answer["problems"]} == {
        "resources.priority",
        "service",
    }
    rows = {row["path"]: row for row in answer["report"]}
    assert rows["resources.priority"] == {
        "path": "resources.priority",
        "status": "refused",
        "to": "remove priority",
        "why": "there is no queue by priority",
        "line": 4,
        "column": 3,
    }
    assert rows["service.readiness_probe"]["status"] == "refused"
    assert rows["resources.autostop.down"]["status"] == "mapped"


def test_a_file_that_runs(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("run: x\nresources: {autostop: 5}\n")
    done = stix("validate", "file.yaml", "--report", home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("file.yaml: ok (file, 1 stage)\nfile.yaml: 3 keys: 2 used, 1 m")


def test_an_option_replaces_a_key(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("run: x\nresources: {priority: 8}\n")
    command = (
        "validate",
        "file.yaml",
        "--report",
        "--set",
        "resources.priority=null",
        "-o",
        "json",
    )
    done = stix(*command, home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    (answer,) = json.loads(done.stdout)
    rows = {row["path"]: row for row in answer["report"]}
    assert rows["resources.priority"]["status"] == "mapped"
    assert "resources.priority" in rows["resources.priority"]["to"]


def test_a_wrong_file_has_problems_and_a_report(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("rnu: x\nsetup: y\n")
    (tmp_path / "list.yaml").write_text("- x\n")
    command = ("validate", "file.yaml", "list.yaml", "gone.yaml", "--report")
    done = stix(*command, home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 1
    assert "file.yaml:1:1: error" in done.stderr
    assert "list.yaml:1:1: error" in done.stderr
    assert "there is no such file" in done.stderr
    assert "did you mean 'run'?" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_python_file(tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text(
        "import stix\npipeline = stix.Pipeline(name='one')\n"
        "pipeline.add('a', stix.Task(run='x', service={'readiness_probe': '/'}))\n"
    )
    command = ("validate", "file.py", "--report", "-o", "json")
    done = stix(*command, home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 1
    (answer,) = json.loads(done.stdout)
    rows = {row["path"]: row["status"] for row in answer["report"]}
    assert rows["stages.a.service"] == "refused"
    assert rows["stages.a.run"] == "used"


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    printed = stix("schema", home=tmp_path / "home")
    assert printed.returncode == 0
    schema = json.loads(printed.stdout)
    Draft202012Validator.check_schema(schema)
    written = stix("schema", "--output", "s.json", home=tmp_path / "home", cwd=tmp_path)
    assert (written.returncode, written.stdout) == (0, "")
    assert json.loads((tmp_path / "s.json").read_text()) == schema


def test_a_schema_that_cannot_be_written(tmp_path: Path) -> None:
    done = stix("schema", "--output", str(tmp_path / "no" / "s.json"), home=tmp_path / "home")
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
