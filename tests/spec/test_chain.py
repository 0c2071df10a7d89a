"""Which documents are a header, and which are tasks."""

from __future__ import annotations

import pytest

from stix.spec.chain import split
from stix.spec.loader import load_text
from stix.spec.problems import SpecErrors
from stix.spec.yaml.text import parse


@pytest.mark.parametrize(
    ("text", "header", "tasks"),
    [
        ("run: x\n", {}, [{"run": "x"}]),
        ("name: p\n", {}, [{"name": "p"}]),
        ("name: p\nexecution: serial\n", {}, [{"name": "p"}]),
        ("name: p\nexecution:\n", {}, [{"name": "p"}]),
        ("name: p\n---\nrun: x\n", {"name": "p"}, [{"run": "x"}]),
        ("# a\n---\nname: p\n---\nrun: x\n", {"name": "p"}, [{"run": "x"}]),
        ("name:\n---\nrun: x\n", {"name": None}, [{"run": "x"}]),
        ("name: p\n---\n---\nrun: x\n", {"name": "p"}, [{"run": "x"}]),
        ("---\n---\nname: p\n---\nrun: x\n", {}, [{"name": "p"}, {"run": "x"}]),
        ("{}\n---\nrun: x\n", {}, [{}, {"run": "x"}]),
        ("name: p\nrun: y\n---\nrun: x\n", {}, [{"name": "p", "run": "y"}, {"run": "x"}]),
        ("execution: serial\n---\nrun: x\n", {}, [{"execution": "serial"}, {"run": "x"}]),
    ],
)
def test_split(text: str, header: object, tasks: object) -> None:
    found = split(parse(text, "f.yaml"))
    assert (found.header, [d.value for _, d in found.tasks]) == (header, tasks)
    assert not found.problems


@pytest.mark.parametrize("mode", ["random", "Parallel", "5", "[]"])
def test_another_execution_is_refused(mode: str) -> None:
    with pytest.raises(SpecErrors) as refused:
        load_text(f"name: p\nexecution: {mode}\n---\nrun: x\n", "f.yaml")
    (problem,) = refused.value.problems
    assert (problem.path, problem.line, problem.column) == ("execution", 2, 12)
    assert "execution: serial" in problem.fix


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            "name: p\nexecution: serial\nprimary_tasks: [a]\n---\nname: a\nrun: x\n",
            ["execution", "primary_tasks"],
        ),
        ("execution: serial\n---\nrun: x\n", ["execution"]),
        ("name: p\nexecution: parallel\nrun: x\n", ["execution"]),
    ],
)
def test_a_header_that_is_read_as_a_task_tells_how_to_write_one(
    text: str, wrong: list[str]
) -> None:
    with pytest.raises(SpecErrors) as refused:
        load_text(text, "f.yaml")
    assert [problem.path for problem in refused.value.problems] == wrong
    assert all("a first document with name:" in p.fix for p in refused.value.problems)
