"""The options that change a file, through the real command: validate needs no server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import click
import pytest

from stix.cli.main import call, cli
from stix.cli.options import GroupedOption
from tests.cli.test_malformed import stix

FILE = """\
name: p
envs: {EPOCHS: }
stages:
  prepare: {run: make data}
  train:
    needs: [prepare]
    run: python train.py
    resources: {any_of: [{infra: local}, {infra: ssh}]}
"""
GIVEN = ["--env", "EPOCHS=3"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "p.yaml").write_text(FILE)
    (tmp_path / "code").mkdir()
    (tmp_path / "good.env").write_text("EPOCHS=3\nTOKEN='a b'\n")
    (tmp_path / "secret.env").write_text("TOKEN='a b'\n")
    (tmp_path / "bad.env").write_text("EPOCHS=3\nTOKEN hunter2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EPOCHS", "9")
    return tmp_path


RIGHT = {
    "env": ["--env", "EPOCHS=3"],
    "env_of_here": ["-e", "EPOCHS"],
    "env_file": ["--env-file", "good.env"],
    "secret": [*GIVEN, "--secret", "KEY=x"],
    "secret_file": ["--secret-file", "secret.env", *GIVEN],
    "set_env": ["--set", "envs.EPOCHS=3", "--set", "train.envs.EPOCHS=4"],
    "set": [*GIVEN, "--set", "train.resources.use_spot=true", "--set", "deadline=2h"],
    "set_matrix": [*GIVEN, "--set", "train.matrix.lr=[0.1, 0.2]"],
    "name": [*GIVEN, "--name", "other"],
    "short_name": [*GIVEN, "-n", "other"],
    "workdir": [*GIVEN, "--workdir", "code"],
    "num_nodes": [*GIVEN, "--num-nodes", "2"],
    "infra": [*GIVEN, "--infra", "aws/us-east-1"],
    "place": [*GIVEN, "--cloud", "aws", "--region", "us-east-1", "--zone", "none"],
    "gpus": [*GIVEN, "--gpus", "A100:8"],
    "amounts": [*GIVEN, "--cpus", "8+", "--memory", "none"],
    "type": [*GIVEN, "--infra", "aws", "-t", "m5.large"],
    "spot": [*GIVEN, "--use-spot"],
    "no_spot": [*GIVEN, "--no-use-spot"],
    "cost": [*GIVEN, "--max-hourly-cost", "2.5"],
    "recovery": [*GIVEN, "--job-recovery", "failover"],
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_accepted(case: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = call(["validate", "p.yaml", *RIGHT[case]])
    name = "other" if "name" in case else "p"
    said = capsys.readouterr()
    assert (code, said.out) == (0, f"p.yaml: ok ({name}, 2 stages)\n"), said.err


WRONG = {
    "env": (["--env", "1A=3"], ["--env 1A: not a name"]),
    "env_absent": (["--env", "NOT_HERE_AT_ALL"], ["no such variable"]),
    "env_file": (["--env-file", "bad.env"], ["bad.env:2:6: error: = is missing"]),
    "secret_file": (["--secret-file", "bad.env"], ["bad.env:2:6: error: = is missing"]),
    "no_env_file": (["--env-file", "gone.env"], ["gone.env:1:1", "--env-file"]),
    "set_form": (["--set", "train"], ["--set 'train': = is missing", "STAGE.FIELD=VALUE"]),
    "set_stage": (["--set", "trian.run=x"], ["--set trian.run=x", "'train'"]),
    "set_field": (["--set", "train.rnu=x"], ["--set train.rnu=x", "'run'"]),
    "set_value": (
        ["--set", "train.resources.use_spot=maybe"],
        ["--set train.resources.use_spot=maybe: error: train.resources.use_spot: "],
    ),
    "set_twice": (["--set", "resources.cpus=1", "--cpus", "2"], ["--cpus '2'", "--set resources"]),
    "name": (["--name", "a b"], ["--name 'a b'"]),
    "workdir": (["--workdir", "nowhere"], ["--workdir 'nowhere': there is no such folder"]),
    "num_nodes": (["--num-nodes", "0"], ["--num-nodes '0': error: num_nodes"]),
    "infra": (["--infra", "a/b/c/d"], ["--infra 'a/b/c/d': error: resources.infra"]),
    "region": (["--infra", "aws", "--region", "r"], ["--region 'r': --infra is given as well"]),
    "gpus": (["--gpus", "A100:x"], ["--gpus 'A100:x': error: resources.accelerators", "A100:"]),
    "cpus": (["--cpus", "x"], ["--cpus 'x': error: resources.cpus"]),
    "memory": (["--memory", "x"], ["--memory 'x': error: resources.memory"]),
    "cost": (["--max-hourly-cost", "-1"], ["--max-hourly-cost '-1': error: resources.max_hourly"]),
    "recovery": (["--job-recovery", "nope"], ["--job-recovery 'nope'"]),
    "empty": (["--gpus", ""], ["--gpus '': the value is empty"]),
    "no_value": (["--gpus"], ["--gpus"]),
    "unknown": (["--gpu", "A100"], ["--gpu", "--gpus"]),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_what_is_refused(
    command: str, case: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, words = WRONG[case]
    env = [] if "env" in case else GIVEN
    assert call([command, "p.yaml", *env, *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for word in words:
        assert word in said.err
    assert "fix: " in said.err
    assert "hunter2" not in said.err
    assert "Traceback" not in said.err
    # Nothing was started to find that out.
    assert not (folder / "home").exists()


def test_a_field_that_does_not_act_is_told_of_the_option(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--report"]):
        assert call(["validate", "p.yaml", *GIVEN, "--network-tier", "best", *more]) == 2
        said = capsys.readouterr().err
        assert said.count("--network-tier 'best': error: resources.network_tier: ") == 1


def test_a_wrong_file_stays_a_wrong_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "w.yaml").write_text("run: [1]\n")
    assert call(["validate", "w.yaml", "--cpus", "x", "--output", "json"]) == 1
    (answer,) = json.loads(capsys.readouterr().out)
    assert [p["file"] for p in answer["problems"]] == ["--cpus 'x'", "w.yaml"]


def test_every_file_takes_the_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "q.yaml").write_text("run: echo $EPOCHS\nenvs: {EPOCHS: }\n")
    assert call(["validate", "p.yaml", "q.yaml", *GIVEN]) == 0
    assert capsys.readouterr().out.count(": ok (") == 2


def test_a_file_of_python(folder: Path) -> None:
    (folder / "flow.py").write_text(
        "import stix\npipeline = stix.Pipeline(name='two')\npipeline.add('a', stix.Task(run='x'))\n"
    )
    done = in_process(folder, "validate", "flow.py", "--set", "a.num_nodes=2", "--cpus", "2")
    assert (done.returncode, done.stdout) == (0, "flow.py: ok (two, 1 stage)\n"), done.stderr
    done = in_process(folder, "validate", "flow.py", "--set", "a.num_nodes=0", "--set", "b.run=x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--set a.num_nodes=0: error: a.num_nodes: " in done.stderr
    assert "there is no stage and no field 'b'" in done.stderr


def in_process(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return stix(*arguments, home=folder / "home", cwd=folder)


@pytest.mark.parametrize("name", ["validate", "plan", "run"])
def test_help_has_every_option_under_a_heading(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call([name, "--help"]) == 0
    said = capsys.readouterr().out
    heads = ["Options:", "Variables and secrets of every stage:", "Resources of every stage:"]
    places = [said.index(f"\n{head}\n") for head in heads]
    assert places == sorted(places)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    shared = [p for p in command.params if isinstance(p, GroupedOption)]
    assert len(shared) == 26
    for option in shared:
        assert (option.opts[0] in said) != option.hidden
        assert option.hidden or option.help
