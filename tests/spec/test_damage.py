"""Files damaged at random: problems with places, and never a traceback."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stix.spec.changes.overrides import Overrides
from stix.spec.expand import points
from stix.spec.loader import load_text
from stix.spec.problems import SpecErrors
from stix.spec.wire import from_wire, to_wire

# Pieces that people leave in files by accident, for the test of arbitrary damage.
PIECES = [
    *("5", "null", "[1, 2]", "{a: b}", "true", "'x'", "1e400", "[]", "{}", "~", "!!set {a}", "\t"),
    *("2020-01-01", "&a [*a]", "{? [a] : b}", "${A}", ":", "- ", "\0", "é", "0o8", "<<: 5\n", "%"),
    *("name: a\n", "stages: 5\n", "---\n", "inputs: {a: 1}\n", "any_of: [1]\n", "needs: {a: b}\n"),
    *("secrets: [[1]]\n", "matrix: {a: [[1]]}\n", "when: 5\n", "labels: [1]\n", "defaults: []\n"),
    *("recovery: {user_error: {exit_codes: {a: 1}}}\n", "resources: {gpus: [[A], {B: x}]}\n"),
    *("resources: {any_of: {a: 1}, gpus: [A, B]}\n", "workdir: {url: 1}\n", "envs: [1]\n"),
]
WHOLE = """\
name: p
envs: {A: 1}
defaults:
  resources: {cpus: 2, any_of: [{infra: aws}, {infra: gcp}]}
  recovery: {preempted: 3, user_error: {exit_codes: [75]}}
stages:
  one:
    run: |
      echo
    outputs: {data: d}
    file_mounts: {/a: s3://b/c}
  two:
    matrix: {k: [1, 2]}
    inputs: {data: one.data}
    when: stages.one.result.x > 1
    run: echo
"""


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = WHOLE
    for _ in range(draw(st.integers(1, 3))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        piece = draw(st.sampled_from(PIECES))
        how = draw(st.sampled_from(["value", "line", "inside", "cut"]))
        if how == "value":
            lines[at] = f"{lines[at].partition(':')[0]}: {piece}"
        elif how == "line":
            indent = " " * draw(st.integers(0, 6))
            lines.insert(at, indent + piece)
        elif how == "inside":
            column = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:column] + piece + lines[at][column:]
        else:
            lines[at] = lines[at][draw(st.integers(0, len(lines[at]))) :]
        text = "\n".join(lines)
    return text


@settings(max_examples=150, deadline=None)
@given(damaged())
def test_any_damage_gives_problems_with_places(text: str) -> None:
    try:
        loaded = load_text(text, "job.yaml", Overrides(complete=False))
        assert points(loaded.pipeline)
        assert to_wire(from_wire(to_wire(loaded.pipeline))) == to_wire(loaded.pipeline)
    except SpecErrors as refusal:
        for problem in refusal.problems:
            assert problem.message and problem.fix
            assert problem.line >= 1 or problem.message == "the file is empty"
