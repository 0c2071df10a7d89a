"""Mistakes inside stages hide none between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.spec.changes.overrides import Overrides
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


def paths(text: str, given: Overrides | None = None, base: Path | None = None) -> list[str]:
    with pytest.raises(SpecErrors) as refusal:
        load_text(text, "job.yaml", given, base=base)
    return [problem.path for problem in refusal.value.problems]


def test_a_wrong_field_hides_no_other_field(tmp_path: Path) -> None:
    """What needs the other fields of a stage is looked at where they are sound."""
    text = (
        "run: x\nnum_nodes: 0\nenvs: {A: , B: }\nsecrets: [S]\nworkdir: ./nowhere\n"
        "file_mounts: {/a: ./nothing}\nresources: {cpus: many}\n"
    )
    given = Overrides(envs={"B": "given"})
    assert paths(text, given, tmp_path) == [
        "num_nodes",
        "envs.A",
        "secrets.S",
        "workdir",
        "file_mounts./a",
        "resources.cpus",
    ]


def test_a_wrong_field_is_told_once() -> None:
    """A field that is refused for its form is not looked at again for its meaning."""
    assert paths("run: x\nnum_nodes: 0\nfile_mounts: {/a/: {mode: COPYY}}\n") == [
        "num_nodes",
        "file_mounts./a/.mode",
    ]


def test_a_bucket_may_be_made_by_a_stage_that_is_known_in_part() -> None:
    text = (
        "stages:\n  a: {run: x, file_mounts: {/o: {name: bucket-a, store: s3, mode: MONT}}}\n"
        "  b: {run: x, needs: [a], file_mounts: {/i: {name: bucket-a, mode: COPY}}}\n"
    )
    assert paths(text) == ["stages.a.file_mounts./o.mode"]


def test_defaults_that_contradict_a_stage_are_a_mistake_like_others() -> None:
    text = (
        "defaults: {service: {replicas: 1}}\nstages:\n"
        "  a: {run: x, service: {replica_policy: {min_replicas: 1}}}\n"
        "  b: {run: x, needs: [c], inputs: {d: a.d}}\n"
    )
    assert paths(text) == ["stages.a.service.replicas", "stages.b.needs[0]"]
