"""Headers of job groups and of chains."""

from __future__ import annotations

import pytest

from stix.spec.loader import Loaded, load_text
from stix.spec.problems import Problem, SpecErrors

JOBS = "---\nname: a\nrun: x\n---\nname: b\nrun: y\n"


def group(fields: str, jobs: str = JOBS) -> Loaded:
    return load_text(f"name: g\nexecution: parallel\n{fields}{jobs}", "g.yaml")


def problems(text: str) -> list[Problem]:
    with pytest.raises(SpecErrors) as refused:
        load_text(text, "g.yaml")
    return refused.value.problems


def test_jobs_run_side_by_side() -> None:
    pipeline = group("").pipeline
    assert pipeline.name == "g"
    assert [stage.needs for stage in pipeline.stages.values()] == [[], []]


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("30", 30),
        ("30s", 30),
        ("5m", 300),
        ("1H", 3600),
        ("2d", 172800),
        ("1w", 604800),
        ("{default: 30s, a: 5}", {"default": 30, "a": 5}),
    ],
)
def test_delays_are_seconds(delay: str, seconds: object) -> None:
    assert group(f"termination_delay: {delay}\n").pipeline.termination_delay == seconds


def test_fields_of_the_header() -> None:
    pipeline = group("primary_tasks: [b]\ninter_connection: false\n").pipeline
    assert (pipeline.primary_tasks, pipeline.inter_connection) == (["b"], False)


def test_an_unknown_field_is_told_and_does_nothing() -> None:
    (told,) = group("primary_task: [a]\n").warnings
    assert (told.path, told.line, told.fix) == ("primary_task", 3, "did you mean 'primary_tasks'?")


def test_a_warning_does_not_hide_the_variables_of_the_file() -> None:
    jobs = "---\nname: a\nenvs: {D: data}\nworkdir: ./$D\nrun: x\n"
    pipeline = group("foo: 1\n", jobs).pipeline
    assert pipeline.stages["a"].workdir == "./data"


@pytest.mark.parametrize(
    ("fields", "path", "line"),
    [
        ("primary_tasks: [z]\n", "primary_tasks[0]", 3),
        ("primary_tasks: a\n", "primary_tasks", 3),
        ("primary_tasks: [5]\n", "primary_tasks", 3),
        ("termination_delay: 1y\n", "termination_delay", 3),
        ("termination_delay: -5\n", "termination_delay", 3),
        ("termination_delay: 1.5\n", "termination_delay", 3),
        ("termination_delay: true\n", "termination_delay", 3),
        ("termination_delay: {z: 1m}\n", "termination_delay.z", 3),
        ("termination_delay: {a: }\n", "termination_delay.a", 3),
        ('inter_connection: "no"\n', "inter_connection", 3),
    ],
)
def test_wrong_fields(fields: str, path: str, line: int) -> None:
    (problem,) = problems(f"name: g\nexecution: parallel\n{fields}{JOBS}")
    assert (problem.path, problem.line) == (path, line)
    assert problem.fix


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        (f"execution: parallel\n{JOBS}", "name", 1),
        (f"name: g g\nexecution: parallel\n{JOBS}", "name", 1),
        (f"name: 5\nexecution: parallel\n{JOBS}", "name", 1),
        ("name: g\nexecution: parallel\n---\nrun: x\n", "name", 4),
        ("name: g\nexecution: parallel\n---\nname: a.b\nrun: x\n", "name", 4),
        (f"name: g\nexecution: parallel\n{JOBS}---\nname: a\nrun: z\n", "name", 10),
        ("name: g\nexecution: parallel\n", "execution", 2),
        ("name: g\nexecution: parallel\n---\n", "execution", 2),
    ],
)
def test_wrong_names_and_no_jobs(text: str, path: str, line: int) -> None:
    (problem,) = problems(text)
    assert (problem.path, problem.line) == (path, line)
    assert problem.fix


def test_names_of_stages_are_checked_as_well() -> None:
    text = "stages: {a: {run: x}}\nexecution: parallel\nprimary_tasks: [b]\n"
    assert problems(text)[0].path == "primary_tasks[0]"


def test_all_problems_of_a_group_at_once() -> None:
    header = 'name: g\nexecution: parallel\nprimary_tasks: [z]\ninter_connection: "no"\n'
    found = problems(f"{header}---\nrun: x\n---\nname: a\nrun: 5\n")
    wrong = [problem.path for problem in found]
    assert wrong == ["primary_tasks[0]", "inter_connection", "name", "run"]
