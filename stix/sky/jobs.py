"""``sky.jobs``: each job is a run of the server, and each of its tasks a stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stix.errors import UsageError
from stix.sky import core, runs
from stix.sky.arguments import like, lookup, not_yet
from stix.sky.enums import ManagedJobStatus
from stix.sky.requests import Request

AUTO_JOB_GROUP = "auto"
"""SkyPilot's default of ``job_group``: as the DAG says."""

NOT_YET = {
    "JOBS_CONTROLLER_LOGS_DIR": "controllers",
    "JOBS_CONTROLLER_TEMPLATE": "controllers",
    "JOBS_CONTROLLER_YAML_PREFIX": "controllers",
    "JOBS_TASK_YAML_PREFIX": "controllers",
    "ManagedJobCodeGen": "controllers",
    "StrategyExecutor": "recovery strategies",
    "dashboard": "dashboard",
    "dump_managed_job_queue": "controllers",
    "format_job_table": "controllers",
    "load_managed_job_queue": "controllers",
    "pool_apply": "pools",
    "pool_down": "pools",
    "pool_status": "pools",
    "pool_sync_down_logs": "pools",
    "pool_tail_logs": "pools",
}
__all__ = [
    "AUTO_JOB_GROUP",
    "ManagedJobStatus",
    "cancel",
    "download_logs",
    "download_logs_streaming",
    "launch",
    "queue",
    "queue_v2",
    "tail_logs",
    "wait",
]


def __getattr__(name: str) -> Any:
    return lookup("sky.jobs", {}, NOT_YET, name)


@like(
    "task, name=None, pool=None, num_jobs=None, job_group='auto'",
    pool="pools",
    num_jobs="pools",
    job_group="job groups",
)
def launch(asked: Any) -> Request:
    """Start a task, or a DAG of tasks, as one run; its result is ``([job_id], handle)``."""
    run = core.start(asked.task, asked.name)
    return Request.done(([run.id], run), said=f"run {run.id} ({run.name}) has begun\n")


@like("refresh=False, skip_finished=False, all_users=False, job_ids=None, version=1")
def queue(asked: Any) -> Request:
    """One record per stage of the runs, the newest run first."""
    found = _records(asked)
    if asked.version == 1:
        return Request.done(found)
    return Request.done((found, len(found), _counts(found), len(found)))


@like(
    "refresh=False, skip_finished=False, all_users=False, job_ids=None, limit=None, fields=None, "
    "sort_by=None, sort_order=None, statuses=None, submitted_after=None, submitted_before=None, "
    "infra_match=None, name_match=None",
    infra_match="job selection",
)
def queue_v2(asked: Any) -> Request:
    """The same, chosen and sorted: ``(records, how many match, status to count, how many)``."""
    every = _records(asked)
    found = [record for record in every if _matches(record, asked)]
    if asked.sort_by is not None:
        _known([asked.sort_by], every)
        found.sort(
            key=lambda record: (record[asked.sort_by] is None, str(record[asked.sort_by])),
            reverse=str(asked.sort_order).lower() == "desc",
        )
    _known(asked.fields or [], every)
    shown = found[: asked.limit]
    if asked.fields:
        shown = [{name: record[name] for name in asked.fields} for record in shown]
    return Request.done((shown, len(found), _counts(found), len(every)))


def _records(asked: Any) -> list[dict[str, Any]]:
    server = runs.client()
    found = server.runs(limit=runs.MOST)
    if asked.skip_finished:
        found = [run for run in found if runs.live(run)]
    if asked.job_ids is not None:
        wanted = {str(job) for job in asked.job_ids}
        found = [run for run in found if run["id"] in wanted]
    whole = [server.run(run["id"]) for run in found]
    return [runs.stage_record(run, stage) for run in whole for stage in run["stages"]]


def _matches(record: dict[str, Any], asked: Any) -> bool:
    at = record["submitted_at"]
    status = record["status"].value
    return (
        (not asked.statuses or status in [str(getattr(s, "value", s)) for s in asked.statuses])
        and (not asked.name_match or asked.name_match in record["job_name"])
        and (asked.submitted_after is None or at >= asked.submitted_after)
        and (asked.submitted_before is None or at <= asked.submitted_before)
    )


def _known(fields: Any, records: list[dict[str, Any]]) -> None:
    for name in fields:
        if records and name not in records[0]:
            fix = f"Fields: {', '.join(records[0])}"
            raise UsageError(f"the records of jobs have no field {name!r}", fix=fix)


def _counts(records: list[dict[str, Any]]) -> dict[str, int]:
    out: dict[str, int] = {}
    for record in records:
        word = record["status"].value
        out[word] = out.get(word, 0) + 1
    return out


@like(
    "name=None, job_ids=None, all=False, all_users=False, pool=None, graceful=False, "
    "graceful_timeout=None, task=None",
    pool="pools",
    graceful="clusters",
    graceful_timeout="clusters",
    task="job selection",
)
def cancel(asked: Any) -> Request:
    """Cancel runs by name or ids, or all that go on. It has begun when this returns."""
    server = runs.client()
    ways = [asked.name is not None, bool(asked.job_ids), bool(asked.all or asked.all_users)]
    if sum(ways) != 1:
        raise UsageError(
            "one of name, job_ids and all says what to cancel", fix="Write job_ids=[ID]."
        )
    if asked.job_ids:
        found = [server.run(runs.one(server, None, job)) for job in asked.job_ids]
    else:
        found = (
            server.runs(limit=runs.MOST) if asked.name is None else runs.named(server, asked.name)
        )
    for run in found:
        if runs.live(run):
            server.cancel(run["id"])
    return Request.done(None)


@like(
    "name=None, job_id=None, follow=True, controller=False, refresh=False, tail=None, "
    "tail_offset=None, output_stream=None, task=None, *, preload_content=True",
    controller="controllers",
    tail_offset="log files",
)
def tail_logs(asked: Any) -> int | Iterator[str]:
    """Print what a job prints; gives its exit code as SkyPilot does (0, 100 failed ...)."""
    server = runs.client()
    found = runs.one(server, asked.name, asked.job_id)
    return core.printed(server, found, asked, _stage(server, found, asked.task))


def _stage(server: Any, run_id: str, task: str | int | None) -> str | None:
    """The stage of a task by its number or name."""
    if task is None or isinstance(task, str):
        return task
    stages = server.run(run_id)["stages"]
    if not 0 <= task < len(stages):
        fix = f"It has {len(stages)}, from 0."
        raise runs.NoSuchJob(f"run {run_id} has no task {task}", fix=fix)
    return str(stages[task]["key"])


@like("name=None, job_id=None, timeout=None, poll_interval=15, task=None", task="job selection")
def wait(asked: Any) -> Request:
    """The exit code of a job, for which ``get`` waits.

    Raises (from ``get``):
        TimeoutError: it goes on after ``timeout`` seconds.
    """
    server = runs.client()
    found = runs.one(server, asked.name, asked.job_id)
    return Request(lambda: runs.wait(server, found, asked.timeout, asked.poll_interval))


@like("name, job_id, refresh=False, controller=False, local_dir='~/sky_logs'")
def download_logs(asked: Any) -> dict[str, str]:
    """Write the output of a job below ``local_dir``; id to folder."""
    if asked.controller:
        raise not_yet("the argument controller of download_logs", "controllers")
    server = runs.client()
    found = runs.one(server, asked.name, asked.job_id)
    return runs.save(server, [found], Path(asked.local_dir).expanduser())


download_logs_streaming = download_logs
