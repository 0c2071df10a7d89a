"""The Python of docs/python.md: it builds what it says, and names what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import stix
import stix.sky as sky
from stix.sky.arguments import Missing
from tools.readme_commands import blocks

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
SUBMITS = ("stix.run(", "sky.get(", "sky.jobs.tail_logs(")


def built(first_line: str) -> dict[str, object]:
    """The names that the block with a line makes; what submits or follows a run is left out."""
    (block,) = (b for b in blocks(TEXT, "python") if first_line in b)
    kept = [line for line in block.splitlines() if not any(call in line for call in SUBMITS)]
    names: dict[str, object] = {}
    exec(compile("\n".join(kept), "python.md", "exec"), names)
    return names


def test_the_dag_is_the_one_that_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    dag = built("with stix.Dag")["dag"]
    assert isinstance(dag, stix.Dag)
    pipeline = dag.pipeline()
    assert {n: s.needs for n, s in pipeline.stages.items()} == {
        "prepare": [],
        "train": ["prepare"],
        "score": ["prepare"],
    }
    assert pipeline.stages["train"].resources.use_spot
    assert capsys.readouterr().out == stix.to_yaml(dag) + "\n"


def test_the_task_of_the_script() -> None:
    task = built("import stix.sky as sky")["task"]
    assert task == sky.Task("hello", run="echo hello", resources={"cpus": "1+"})


def test_each_setter_is_there() -> None:
    (setters,) = re.findall(r"The setters have(.*?)`resources.copy", TEXT, re.DOTALL)
    names = re.findall(r"`((?:set|update)_[a-z_]+)`", setters)
    assert len(names) == 14
    assert [name for name in names if not callable(getattr(stix.Task, name, None))] == []


def test_what_works_works() -> None:
    (table,) = re.findall(r"\| works \| how \|\n(.*?)\n\n", TEXT, re.DOTALL)
    names = re.findall(r"`((?:jobs\.)?[a-z_]+)`", table.replace("`stix", ""))
    assert len(names) > 20
    for name in names:
        module, _, last = name.rpartition(".")
        place = getattr(sky, module) if module else sky
        assert not isinstance(getattr(place, last), Missing), name
