"""Mistakes inside stages hide none between them."""

from __future__ import annotations

import pytest

from stix.spec.loader import load_text
from stix.spec.problems import SpecErrors


def test_mistakes_in_and_between_stages_are_told_at_once() -> None:
    """A wrong field of one stage hides neither a cycle nor an unknown name elsewhere."""
    text = (
        "name: x\nstages:\n  a:\n    runn: hi\n    resources: {cpus: lots}\n"
        "    inputs: {d: b.nothing}\n  b:\n    needs: [c, a]\n    run: echo\n    outputs: {m: x}\n"
    )
    with pytest.raises(SpecErrors) as refusal:
        load_text(text, "job.yaml")
    assert [problem.path for problem in refusal.value.problems] == [
        "stages.a.runn",
        "stages.a.resources.cpus",
        "stages.a.inputs.d",
        "stages.b.needs",
        "stages.b.needs[0]",
    ]


def test_what_is_known_in_part_raises_no_false_alarm() -> None:
    """Outputs that were refused are not missed by who takes inputs from them."""
    text = "stages:\n  a: {run: x, outputs: {m: ../x}}\n  b: {run: y, inputs: {m: a.m}}\n"
    with pytest.raises(SpecErrors) as refusal:
        load_text(text, "job.yaml")
    assert [problem.path for problem in refusal.value.problems] == ["stages.a.outputs.m"]
