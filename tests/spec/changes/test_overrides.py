"""Values from the command line, and secrets on their way out of the spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stix.client.submit import Options, prepare
from stix.errors import UsageError
from stix.spec.changes.overrides import Overrides, missing_values, noted, override, split_secrets
from stix.spec.loader import load_text
from stix.spec.models import PipelineSpec
from stix.spec.problems import GivenErrors, SpecErrors

TEXT = """\
envs: {A: file, B: }
secrets: [TOKEN]
stages:
  one: {run: x, envs: {A: own}, secrets: {KEY: inline}}
  two: {run: y}
"""


def test_parse() -> None:
    given = Overrides.parse(["A=1=2", "E="], ["T=s"], "n")
    assert given.envs == {"A": "1=2", "E": ""}
    assert given.secrets == {"T": "s"}
    assert "s'" not in repr(given)


def test_a_value_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_OUTSIDE", "v")
    assert Overrides.parse(secret=["FROM_OUTSIDE"]).secrets == {"FROM_OUTSIDE": "v"}
    with pytest.raises(UsageError, match="no such variable"):
        Overrides.parse(secret=["NEVER_SET_ANYWHERE"])


@pytest.mark.parametrize("entry", ["=x", "a-b=hunter2", "hunter2 hunter2=1"])
def test_a_name_that_is_none(entry: str) -> None:
    with pytest.raises(UsageError):
        Overrides.parse(secret=[entry])


def test_overrides_reach_every_stage() -> None:
    given = Overrides.parse(["A=cli", "B=b", "N=new"], ["TOKEN=t"], "other")
    pipeline = load_text(TEXT, given=given).pipeline
    assert pipeline.name == "other"
    for stage in pipeline.stages.values():
        assert stage.envs == {"A": "cli", "B": "b", "N": "new"}
    with pytest.raises(UsageError, match="not a valid name"):
        override(pipeline, Overrides(name="a b"))


NONE: dict[str, Any] = {
    "env": (),
    "env_file": (),
    "secret": (),
    "secret_file": (),
    "set": (),
    "name": None,
}


def command(**given: Any) -> Overrides:
    return Overrides.of_command({**NONE, **given})


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "one.env").write_text("A=one\nB=one\nTOKEN=one\n")
    (tmp_path / "two.env").write_text("B=two\nKEY=two\n")
    return str(tmp_path / "one.env"), str(tmp_path / "two.env")


def test_later_files_and_the_command_line_win(files: tuple[str, str]) -> None:
    given = command(env_file=files, env=("A=cli",), secret=("TOKEN=t", "KEY=k"))
    stages = load_text(TEXT, given=given).pipeline.stages
    assert stages["one"].envs == {"A": "cli", "B": "two"}
    hidden = command(secret_file=files, secret=("A=cli",)).secrets
    assert hidden == {"A": "cli", "B": "two", "TOKEN": "one", "KEY": "two"}


def test_a_file_of_variables_gives_declared_secrets(files: tuple[str, str]) -> None:
    for text in (TEXT, TEXT.replace("secrets: [TOKEN]", "defaults: {secrets: {TOKEN: }}")):
        given = command(env_file=files, secret=("KEY=cli",))
        pipeline, secrets = split_secrets(load_text(text, given=given).pipeline)
        assert secrets == {"TOKEN": "one", "KEY": "cli"}
        for stage in pipeline.stages.values():
            assert stage.envs == {"A": "one", "B": "two"}
    reference = 'run: x\nsecrets: ["secrets:personal.TOKEN"]\n'
    given = command(env_file=files[:1])
    (stage,) = load_text(reference, given=given).pipeline.stages.values()
    assert "TOKEN" not in stage.envs
    assert stage.secrets["TOKEN"] is not None


def test_a_file_of_variables_for_a_pipeline_of_python(files: tuple[str, str]) -> None:
    made = PipelineSpec(stages={"a": {"run": "x", "secrets": ["TOKEN"]}})
    prepared = prepare(made, Options(given=command(env_file=files)))
    assert prepared.pipeline.stages["a"].envs == {"A": "one", "B": "two", "KEY": "two"}
    assert split_secrets(prepared.pipeline)[1] == {"TOKEN": "one"}


def test_the_note_names_and_shows_no_value(files: tuple[str, str]) -> None:
    given = command(
        env_file=files[:1], env=("A=hunter2",), secret=("TOKEN=hunter2",), cpus="4", name="n"
    )
    text = load_text("run: x\n", given=given).text
    assert text.splitlines() == [
        "run: x",
        "# Given on submission:",
        "#   --name 'n'",
        "#   --cpus '4'",
        "#   --env A",
        "#   --env B",
        "#   --secret TOKEN",
    ]
    assert noted("run: x", Overrides()) == "run: x"
    assert noted("", Overrides(name="n")).startswith("# Given")


def test_a_wrong_file_of_variables_is_a_wrong_call(tmp_path: Path) -> None:
    (tmp_path / "x.env").write_text("A=1\nhunter2\n")
    with pytest.raises(GivenErrors, match=r"x\.env:2:8: error: = is missing"):
        command(secret_file=(str(tmp_path / "x.env"),))


def test_what_is_missing_is_named_with_its_line() -> None:
    with pytest.raises(SpecErrors) as caught:
        load_text(TEXT, "p.yaml")
    assert [(p.line, p.path) for p in caught.value.problems] == [
        (1, "envs.B"),
        (2, "secrets.TOKEN"),
    ]
    plan = load_text(TEXT, given=Overrides(envs={"B": "b"}, complete=False))
    assert [p.path for p in missing_values(plan.pipeline)] == ["secrets.TOKEN"]


def test_split() -> None:
    given = Overrides(envs={"B": "b"}, secrets={"TOKEN": "t"})
    pipeline, values = split_secrets(load_text(TEXT, given=given).pipeline)
    assert values == {"KEY": "inline", "TOKEN": "t"}
    assert pipeline.stages["one"].secrets == {"TOKEN": None, "KEY": None}
    assert "inline" not in repr(pipeline.model_dump())
    again, values = split_secrets(pipeline, {"KEY": "k", "TOKEN": "t"})
    assert values == {"KEY": "k", "TOKEN": "t"}
    assert again.stages["two"].secrets == {"TOKEN": None, "KEY": None}


def test_split_refuses_two_values_of_one_name() -> None:
    stages = {n: {"run": "x", "secrets": {"K": n}} for n in ("a", "b")}
    with pytest.raises(SpecErrors) as caught:
        split_secrets(PipelineSpec(stages=stages))
    (problem,) = caught.value.problems
    assert problem.path == "stages.b.secrets.K"
    assert split_secrets(PipelineSpec(stages=stages), {"K": "c"})[1] == {"K": "c"}


def test_references_of_skypilot() -> None:
    text = 'run: x\nsecrets: ["secrets:HF", "secrets:personal.WB"]\n'
    loaded = load_text(text, given=Overrides(complete=False))
    assert loaded.pipeline.stages["task"].secrets == {"HF": None, "WB": None}


def test_a_secret_of_the_pipeline_serves_a_stage_that_names_it() -> None:
    pipeline = PipelineSpec(secrets={"K": "v"}, stages={"a": {"run": "x", "secrets": ["K"]}})
    assert split_secrets(pipeline)[1] == {"K": "v"}
