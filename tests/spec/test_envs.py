"""Names and values of variables and secrets, and references to secrets."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from stix.spec.changes.overrides import Overrides
from stix.spec.envs import secret_map, variables
from stix.spec.loader import load_text
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import SpecErrors
from stix.spec.variables import Variables
from stix.spec.wire import from_wire, to_wire

FREE = Variables(secrets=True)


def problems(text: str) -> dict[str, str]:
    with pytest.raises(SpecErrors) as caught:
        load_text(f"run: x\n{text}\n", given=Overrides(complete=False))
    return {p.path: f"{p.message} | {p.fix}" for p in caught.value.problems}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        (True, "True"),
        (1, "1"),
        (1.50, "1.5"),
        (-0.0, "-0.0"),
        (float("inf"), "inf"),
        (10**20, "100000000000000000000"),
        (date(2020, 1, 2), "2020-01-02"),
        (datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), "2020-01-02 03:04:05+00:00"),
        (None, None),
    ],
)
def test_values(value: Any, text: str | None) -> None:
    assert StageSpec(envs={"A": value}).envs == {"A": text}


def test_lists_and_maps_are_no_values() -> None:
    found = problems("envs: {A: [1], B: {c: 1}, C: 1}")
    assert set(found) == {"envs.A", "envs.B"}
    assert "cannot hold a list" in found["envs.A"]
    # SkyPilot writes them as Python shows them.
    odd = variables({"A": [1, "a"], "B": {"c": 1}}, "envs", as_given=True)
    assert odd == {"A": "[1, 'a']", "B": "{'c': 1}"}


def test_every_wrong_name_at_once() -> None:
    assert set(problems("envs: {a-b: 1, 1x: 2, OK: 3, '': 4}")) == {"envs.a-b", "envs.1x", "envs."}
    assert "a map, not a list" in problems("envs: [A]")["envs"]


def test_forms_of_secrets() -> None:
    assert secret_map(["A", "secrets:B", "secrets:personal.C"]) == dict.fromkeys("ABC")
    assert secret_map({"A": None, "B": 5, "workspace.C": None}) == {"A": None, "B": "5", "C": None}
    stage = StageSpec(secrets={"A": "x", "B": SecretStr("y")})
    assert {k: v.get_secret_value() for k, v in stage.secrets.items() if v} == {"A": "x", "B": "y"}
    assert StageSpec(secrets={"A": "x", "secrets:A": None}).secrets["A"] == SecretStr("x")


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("secrets: A", "secrets", "a list of names or a map"),
        ("secrets: [5]", "secrets", "a list of names or a map"),
        ("secrets: [foo.X]", "secrets", "'foo' is not a scope"),
        ("secrets: {personel.X: }", "secrets", "did you mean 'personal'?"),
        ("secrets: {secrets:A: hunter2}", "secrets.secrets:A", "cannot hold a value"),
        ("secrets: {A: [hunter2]}", "secrets.A", "cannot hold a list"),
        ("secrets: [A=hunter2]", "secrets", "not a name"),
        ("secrets: {A=hunter2: }", "secrets", "not a name"),
        ("managed_secrets: A", "managed_secrets", "must be a list, not text"),
        ("managed_secrets: [A, 5]", "managed_secrets[1]", "cannot be a number"),
        ("managed_secrets: [{A: {}, B: {}}]", "managed_secrets[0]", "has one name"),
        ("managed_secrets: [{A: }]", "managed_secrets[0]", "maps a name to its options"),
        ("managed_secrets: [{A: {mount: /x}}]", "managed_secrets[0]", "'mount_path'?"),
        ("managed_secrets: [{A: {mount_path: 5}}]", "managed_secrets[0]", "must be text"),
    ],
)
def test_refused(text: str, path: str, said: str) -> None:
    found = problems(text)
    assert said in found[path]
    assert "hunter2" not in str(found)


def test_skypilots_rules_for_skypilots_form() -> None:
    def read(secrets: Any) -> dict[str, Any]:
        return StageSpec.model_validate({"secrets": secrets}, context=FREE).secrets

    assert set(read({"a b": "x", "1": "y", "foo.X": None})) == {"a b", "1", "foo.X"}
    with pytest.raises(ValidationError, match="not a reference"):
        read(["A"])


@pytest.mark.parametrize(
    ("secrets", "kept"),
    [
        (["A", "secrets:B"], []),
        ({"A": None, "B": "x"}, []),
        (["secrets:personal.A", "B"], ["personal.A", "B"]),
        (["secrets:A", "secrets:A"], ["A", "A"]),
        ({"A": "x", "secrets:A": None}, ["A"]),
        ({"secrets:secrets:A": None}, []),
    ],
)
def test_references_are_kept_where_names_cannot_say_them(secrets: Any, kept: list[str]) -> None:
    stage = StageSpec(run="x", secrets=secrets)
    assert stage.secret_references == kept
    again = from_wire(to_wire(PipelineSpec(stages={"a": stage}))).stages["a"]
    # A value does not travel; its name is then one without a value.
    assert (again.secret_references or list(again.secrets)) == (kept or list(stage.secrets))
    more = StageSpec.model_validate({"secrets": {"C": None}, "secret_references": ["personal.A"]})
    assert more.secret_references == ["personal.A", "C"]


def test_managed_secrets() -> None:
    given = ["secrets:A", "B", {"C": {}}, {"secrets:global.D": {"mount_path": "/d"}}, {}]
    stage = StageSpec(run="x", managed_secrets=given)
    written = ["secrets:A", "secrets:B", "secrets:C", {"global.D": {"mount_path": "/d"}}]
    assert [entry.written() for entry in stage.managed_secrets] == written
    fields = {"name": "global.D", "mount_path": "/d"}
    assert StageSpec(managed_secrets=[fields]).managed_secrets == stage.managed_secrets[3:]
    with pytest.raises(ValidationError):
        StageSpec.model_validate({"managed_secrets": [fields]}, context=FREE)
    wire = to_wire(PipelineSpec(stages={"a": stage}))
    assert wire["stages"]["a"]["managed_secrets"] == written
    assert from_wire(wire).stages["a"].managed_secrets == stage.managed_secrets
