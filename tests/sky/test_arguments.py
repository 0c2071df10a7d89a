"""Arguments of SkyPilot's functions: in its order, and none that is ignored."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import stix.sky as sky
from stix.errors import UsageError
from stix.sky import core, jobs
from stix.sky.requests import Request

# The parameters of SkyPilot 0.14.1's functions, without those with an underscore in front.
SIGNATURES = {
    "cancel": "cluster_name all all_users job_ids",
    "check": "infra_list verbose workspace",
    "cost_report": "days",
    "down": "cluster_name purge graceful graceful_timeout",
    "download_logs": "cluster_name job_ids",
    "job_status": "cluster_name job_ids",
    "launch": "task cluster_name retry_until_up idle_minutes_to_autostop wait_for dryrun down "
    "backend optimize_target no_setup clone_disk_from fast resize",
    "optimize": "dag minimize admin_policy_request_options",
    "queue": "cluster_name skip_finished all_users",
    "status": "cluster_names refresh all_users",
    "stream_and_get": "request_id log_path tail follow output_stream relay_rich_status",
    "tail_logs": "cluster_name job_id follow tail output_stream preload_content",
    "validate": "dag workdir_only admin_policy_request_options",
}
JOBS = {
    "cancel": "name job_ids all all_users pool graceful graceful_timeout task",
    "download_logs": "name job_id refresh controller local_dir",
    "launch": "task name pool num_jobs job_group",
    "queue": "refresh skip_finished all_users job_ids version",
    "queue_v2": "refresh skip_finished all_users job_ids limit fields sort_by sort_order statuses "
    "submitted_after submitted_before infra_match name_match",
    "tail_logs": "name job_id follow controller refresh tail tail_offset output_stream task "
    "preload_content",
    "wait": "name job_id timeout poll_interval task",
}


@pytest.mark.parametrize(
    ("function", "names"),
    [(getattr(sky, name), names) for name, names in SIGNATURES.items()]
    + [(getattr(jobs, name), names) for name, names in JOBS.items()],
)
def test_parameters_have_their_order(function: Callable[..., Any], names: str) -> None:
    assert list(inspect.signature(function).parameters) == names.split()


def refusing() -> list[Any]:
    """Each argument that does not act, with its function."""
    functions = [
        value
        for module in (core, jobs)
        for value in vars(module).values()
        if getattr(value, "refused", None)
    ]
    return [
        pytest.param(function, name, id=f"{function.__module__}.{function.__name__}-{name}")
        for function in functions
        for name in function.refused
    ]


@pytest.mark.parametrize(("function", "name"), refusing())
def test_an_argument_that_does_not_act_is_refused(function: Callable[..., Any], name: str) -> None:
    parameters = inspect.signature(function).parameters
    needed = [p.name for p in parameters.values() if p.default is p.empty]
    given = dict.fromkeys(needed, "x") | {name: "something"}
    with pytest.raises(sky.NotYet, match=f"argument {name} "):
        function(**given)


def test_the_calls_that_make_no_sense() -> None:
    task = sky.Task(run="x")
    with pytest.raises(TypeError):
        sky.launch(task, nope=1)
    with pytest.raises(sky.NotYet, match="TIME"):
        sky.launch(task, optimize_target=sky.OptimizeTarget.TIME)
    with pytest.raises(sky.NotYet, match="TIME"):
        sky.optimize(task, sky.OptimizeTarget.TIME)
    with pytest.raises(UsageError, match="not str"):
        sky.launch("task.yaml")
    with pytest.raises(sky.NotYet, match="controller"):
        sky.jobs.download_logs(None, 1, False, True)


def test_wrong_tasks_are_refused_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="no run"):
        sky.validate(sky.Task("a"))
    with pytest.raises(ValueError, match="workdir"):
        sky.validate(sky.Task(run="x", workdir="/no/such/folder"))
    with pytest.raises(ValueError, match="workdir"):
        sky.validate(sky.Task(run="x", workdir="/no/such/folder"), workdir_only=True)
    sky.validate(sky.Task(run="x"))


def test_requests() -> None:
    asked: list[int] = []
    request = Request(lambda: asked.append(1) or 42, said="one\ntwo\n")  # type: ignore[func-returns-value]
    assert asked == []
    assert (sky.get(request), sky.get(str(request)), asked) == (42, 42, [1])
    with pytest.raises(UsageError, match="holds no request 'nope'"):
        sky.get("nope")
    with pytest.raises(UsageError, match="no request is named"):
        sky.stream_and_get()


def test_a_stream_writes_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    request = Request.done(42, said="one\ntwo\n")
    assert sky.stream_and_get(request) == 42
    assert sky.stream_and_get(request, tail=1) == 42
    assert sky.stream_and_get(request, follow=False) is None
    assert capsys.readouterr().out == "one\ntwo\ntwo\none\ntwo\n"
    with pytest.raises(sky.NotYet):
        sky.stream_and_get(request, log_path="/x")
