"""What ``stix.run`` takes: tasks, DAGs and Python files that make one; objects stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

import stix
from stix.client.submit import Options, prepare
from stix.spec.problems import SpecErrors

FILE = """\
import stix

with stix.Dag("made") as pipeline:
    stix.Task("a", run="x") >> stix.Task("b", run="y")
"""


def test_a_dag_is_a_pipeline(tmp_path: Path) -> None:
    with stix.Dag("p") as dag:
        first = stix.Task(run="x")
        first >> stix.Task("last", run="y")
    prepared = prepare(dag, Options(envs={"A": "1"}, base=tmp_path))
    assert (prepared.pipeline.name, prepared.base) == ("p", tmp_path)
    assert {n: s.needs for n, s in prepared.pipeline.stages.items()} == {
        "p-0": [],
        "last": ["p-0"],
    }
    assert prepared.pipeline.stages["p-0"].envs == {"A": "1"}
    assert (first.name, first.envs) == (None, {})


@pytest.mark.parametrize(("name", "stage"), [(None, "task"), ("v1.2", "v1-2")])
def test_a_task_alone_keeps_its_name(name: str | None, stage: str) -> None:
    task = stix.Task(name, run="x")
    assert list(prepare(task).pipeline.stages) == [stage]
    assert task.name == name


def test_a_file_may_make_a_dag(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(FILE)
    pipeline = prepare(tmp_path / "made.py").pipeline
    assert (pipeline.name, pipeline.stages["b"].needs) == ("made", ["a"])


def test_an_empty_dag_is_refused() -> None:
    with pytest.raises(SpecErrors, match="no stages"):
        prepare(stix.Dag())


def test_a_function_joins_no_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STIX_PREFECT", "off")
    with stix.Dag() as dag:

        @stix.stage(resources={"cpus": 1})
        def compute() -> int:
            return 1

    assert callable(compute)
    assert len(dag) == 0
