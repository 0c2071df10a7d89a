"""Where STIX differs from SkyPilot, as docs/skypilot-compatibility.md lists it."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.loader import load_text
from stix.spec.models import StageSpec
from stix.spec.problems import SpecErrors
from stix.spec.recovery import RecoveryPolicy
from stix.spec.sky import canonical


def stage(text: str) -> StageSpec:
    [only] = load_text(text).pipeline.stages.values()
    return only


def test_labels_of_an_alternative_are_its_own() -> None:
    text = "run: x\nresources: {any_of: [{cpus: 1, labels: {c: d}}, {cpus: 2}], labels: {a: b}}\n"
    assert [r.labels for r in stage(text).resources.alternatives()] == [
        {"a": "b", "c": "d"},
        {"a": "b"},
    ]
    entries = canonical(text)[0]["resources"]["any_of"]
    assert [entry["labels"] for entry in entries] == [{"a": "b", "c": "d"}] * 2


@pytest.mark.parametrize("value", ['q"x', "a\\b", "two\nlines", "$B", "{}", "'"])
def test_a_value_is_data(value: str) -> None:
    text = "run: x\nenvs: {A: null, B: b}\nfile_mounts:\n  /d: s3://bucket/$A/${B}/$C\n"
    (task,) = canonical(text, env={"A": value})
    assert task["file_mounts"] == {"/d": f"s3://bucket/{value}/b/$C"}


def test_braces_that_do_not_match() -> None:
    text = "run: x\nenvs: {A: v}\nworkdir: /tmp/$A}\n"
    assert stage(text).workdir == "/tmp/v}"
    assert canonical(text)[0]["workdir"] == "/tmp/v"


def test_none_means_none() -> None:
    text = "run: x\nresources: {job_recovery: none}\n"
    assert RecoveryPolicy.effective(stage(text)) == RecoveryPolicy.none()
    assert "job_recovery" not in canonical(text)[0]["resources"]


def test_what_is_given_stays_as_it_is() -> None:
    given: dict[str, Any] = {"run": "x", "resources": {"gpus": "A100"}, "envs": {"A": 1}}
    StageSpec.model_validate(given)
    assert given == {"run": "x", "resources": {"gpus": "A100"}, "envs": {"A": 1}}


REFUSED = {
    "secret": ("run: x\nsecrets: {A: tok}\nworkdir: /tmp/$A\n", 3, "workdir"),
    "same": (
        "run: x\nenvs: {A: /d, B: /d}\nfile_mounts: {$A: s3://bucket, $B: s3://other}\n",
        3,
        "file_mounts",
    ),
    "list": ("run: x\nenvs: {D: [1]}\n", 2, "envs.D"),
    "strategy": (
        "run: x\nresources: {job_recovery: {strategy: FAILOVER, foo: 1}}\n",
        2,
        "resources.job_recovery.foo",
    ),
}
"""What SkyPilot takes, and a run of STIX does not."""


@pytest.mark.parametrize("case", REFUSED)
def test_refused_at_a_run(case: str) -> None:
    text, line, path = REFUSED[case]
    with pytest.raises(SpecErrors) as caught:
        load_text(text)
    assert [(p.line, p.path) for p in caught.value.problems] == [(line, path)]


ALWAYS = {
    "twice": ("run: a\nrun: b\n", "run"),
    "text": ("hello\n", ""),
    "minus": ("run: x\nresources: {autostop: -1}\n", "resources.autostop"),
    "disk": (
        "run: x\nresources: {infra: gcp, volumes: [{path: /d, name: n, disk_size: 10GB}]}\n",
        "resources.volumes[0].disk_size",
    ),
}
"""What SkyPilot takes or breaks on, and nothing of STIX takes."""


@pytest.mark.parametrize("case", ALWAYS)
def test_refused_always(case: str) -> None:
    text, path = ALWAYS[case]
    for read in (load_text, canonical):
        with pytest.raises(SpecErrors) as caught:
            read(text)
        [problem] = caught.value.problems
        assert problem.path == path
        assert problem.line
        assert problem.fix


def test_old_names_are_read_with_a_warning() -> None:
    loaded = load_text("run: x\nresources: {spot_recovery: FAILOVER}\n")
    [told] = loaded.warnings
    assert told.path == "resources.spot_recovery"
    [only] = loaded.pipeline.stages.values()
    assert only.resources.job_recovery is not None
    assert only.resources.job_recovery.strategy == "FAILOVER"


def test_odd_scalars_are_read_as_skypilot_does_with_a_warning() -> None:
    loaded = load_text("run: x\nenvs: {A: yes, B: 012, C: 1:30}\n")
    [only] = loaded.pipeline.stages.values()
    assert only.envs == {"A": "True", "B": "10", "C": "90"}
    assert [w.path for w in loaded.warnings] == ["envs.A", "envs.B", "envs.C"]


def test_a_name_with_a_dot() -> None:
    assert list(load_text("name: a.b\nrun: x\n").pipeline.stages) == ["a-b"]
    assert canonical("name: a.b\nrun: x\n")[0]["name"] == "a.b"
