"""``checkpoint`` of a stage: its forms, what is refused with a fix, and its JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from stix.spec.changes.overrides import Overrides
from stix.spec.checkpoint import EVERY_S
from stix.spec.jsonschema import schema as json_schema
from stix.spec.loader import load_text
from stix.spec.models import StageSpec
from stix.spec.problems import SpecErrors
from stix.spec.wire import from_wire, to_wire

GOOD: list[tuple[Any, tuple[str, float, int]]] = [
    ("state", ("state", EVERY_S, 2)),
    ({"path": "out/state"}, ("out/state", EVERY_S, 2)),
    ({"path": "s", "every": 30}, ("s", 30, 2)),
    ({"path": "s", "every": 0.5}, ("s", 0.5, 2)),
    ({"path": "s", "every": "10m", "keep": 1}, ("s", 600, 1)),
]
BAD = [
    ("''", "", "the path of a checkpoint must be relative"),
    ("/var/state", "", "without '..'"),
    ("../state", "", "leads out of the working directory"),
    ("5", "", "must be"),
    ("[a]", "", "must be"),
    ("{every: 10m}", "", "path is missing"),
    ("{path: s, every: 0}", ".every", ""),
    ("{path: s, every: -5}", ".every", ""),
    ("{path: s, every: soon}", ".every", ""),
    ("{path: s, keep: 0}", ".keep", ""),
    ("{path: s, keep: 1.5}", ".keep", ""),
    ("{path: s, keep: '2'}", ".keep", ""),
    ("{path: s, evry: 10m}", ".evry", "did you mean 'every'?"),
]


@pytest.mark.parametrize(("value", "expected"), GOOD)
def test_forms(value: Any, expected: tuple[str, float, int]) -> None:
    found = StageSpec(run="x", checkpoint=value).checkpoint
    assert found is not None
    assert (found.path, found.every, found.keep) == expected
    schema = Draft202012Validator(json_schema())
    document = {"name": "p", "stages": {"a": {"run": "x", "checkpoint": value}}}
    assert not list(schema.iter_errors(document))


@pytest.mark.parametrize(("text", "path", "said"), BAD)
def test_refusals(text: str, path: str, said: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        load_text(f"run: x\ncheckpoint: {text}\n", given=Overrides(complete=False))
    (problem,) = caught.value.problems
    assert problem.fix
    assert problem.path.endswith(f"checkpoint{path}")
    assert said in f"{problem.message} | {problem.fix}"


def test_on_the_wire_it_stays_what_it_was() -> None:
    text = "stages: {a: {run: x, checkpoint: {path: s, every: 1h, keep: 3}}, b: {run: y}}\n"
    spec = load_text(text, given=Overrides(complete=False)).pipeline
    again = from_wire(to_wire(spec)).resolved().stages
    assert again["a"].checkpoint == spec.resolved().stages["a"].checkpoint
    assert again["b"].checkpoint is None
