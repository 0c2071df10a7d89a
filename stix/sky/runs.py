"""Runs of the server in SkyPilot's words: which are meant, where they stand, what they printed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from stix.client.api import Client, Json
from stix.client.http import ApiError
from stix.client.watch import LogStream, Watch, is_final, streams
from stix.errors import UsageError
from stix.sky.enums import ClusterStatus, JobStatus, ManagedJobStatus
from stix.spec.states import RunState, StageState

MOST = 1000
"""Runs that are looked through, the newest first."""
WAIT = 5.0
PAUSE = 0.4
NOT_FINISHED, NOT_FOUND = 101, 102
_CODES = {RunState.SUCCEEDED: 0, RunState.FAILED: 100, RunState.CANCELLED: 103}
"""SkyPilot's exit codes of jobs."""


class NoSuchJob(UsageError, ValueError):
    """No run has this id or name."""


def client() -> Client:
    """The server of STIX_URL, or the local one, started if need be."""
    from stix.client.local import ensure_server

    return ensure_server()


def live(run: Json) -> bool:
    """Whether a run, or the summary of one, goes on."""
    return not RunState(run["state"]).final


def named(server: Client, name: str) -> list[Json]:
    """Summaries of the runs with a name or id, the newest first.

    Raises:
        NoSuchJob: there is none.
    """
    found = [run for run in server.runs(limit=MOST) if name in (run["name"], run["id"])]
    if not found:
        raise NoSuchJob(f"no run is called {name!r}", fix="sky.jobs.queue lists runs.")
    return found


def one(server: Client, name: str | None, job_id: str | int | None) -> str:
    """The id of the run with an id, or the newest with a name, or the newest of all."""
    if job_id is not None:
        try:
            return str(server.run(str(job_id))["id"])
        except ApiError as error:
            if error.status != 404:
                raise
            raise NoSuchJob(f"there is no run {job_id}", fix="sky.jobs.queue lists runs.") from None
    if name is not None:
        return str(named(server, name)[0]["id"])
    newest = server.runs(limit=1)
    if not newest:
        raise NoSuchJob("there is no run", fix="Launch one with sky.launch(task).")
    return str(newest[0]["id"])


def exit_code(run: Json) -> int:
    """SkyPilot's exit code of a job."""
    return _CODES.get(RunState(run["state"]), NOT_FINISHED)


def wait(server: Client, run_id: str, timeout: float | None, pause: float) -> int:
    """The exit code of a run, once it has ended.

    Raises:
        TimeoutError: it goes on after ``timeout`` seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    hold = WAIT if timeout is None else min(WAIT, max(timeout, 0.1))
    for run in Watch(server, run_id, wait=hold, pause=min(pause, PAUSE)):
        if is_final(run):
            return exit_code(run)
        if deadline is not None and time.monotonic() > deadline:
            break
    raise TimeoutError(f"run {run_id} goes on after {timeout:g} s")


# -- where they stand -------------------------------------------------------------------------


def seconds(moment: str | None) -> float | None:
    """A time of the server as SkyPilot has it: seconds since 1970."""
    return None if moment is None else datetime.fromisoformat(moment).timestamp()


def job_status(run: Json) -> JobStatus:
    """A run in SkyPilot's words for jobs on a cluster."""
    state = RunState(run["state"])
    if state is RunState.FAILED:
        return JobStatus.FAILED
    return {
        RunState.QUEUED: JobStatus.PENDING,
        RunState.SUCCEEDED: JobStatus.SUCCEEDED,
        RunState.CANCELLED: JobStatus.CANCELLED,
    }.get(state, JobStatus.RUNNING)


def stage_status(run: Json, stage: Json) -> ManagedJobStatus:
    """A stage in SkyPilot's words for managed jobs."""
    state = StageState(stage["state"])
    if state is StageState.FAILED:
        kind = _kind(stage)
        return {
            "setup_failed": ManagedJobStatus.FAILED_SETUP,
            "capacity": ManagedJobStatus.FAILED_NO_RESOURCE,
        }.get(kind, ManagedJobStatus.FAILED)
    if state in (StageState.CANCELLED, StageState.UPSTREAM_FAILED):
        return ManagedJobStatus.CANCELLED
    if state.final:
        return ManagedJobStatus.SUCCEEDED
    if RunState(run["state"]) is RunState.CANCELLING:
        return ManagedJobStatus.CANCELLING
    if state is StageState.PENDING:
        return ManagedJobStatus.PENDING
    attempts = stage["attempts"]
    if attempts and "sync" in (attempts[-1]["steps"] or {}):
        return ManagedJobStatus.RUNNING
    return ManagedJobStatus.RECOVERING if len(attempts) > 1 else ManagedJobStatus.STARTING


def _kind(stage: Json) -> str:
    event = stage["attempts"][-1]["event"] if stage["attempts"] else None
    return str((event or {}).get("kind", ""))


def cluster_status(run: Json) -> ClusterStatus:
    """The nodes of a run that goes on."""
    if RunState(run["state"]) is RunState.QUEUED:
        return ClusterStatus.PENDING
    return ClusterStatus.UP if open_nodes(run) else ClusterStatus.INIT


def open_nodes(run: Json) -> list[Json]:
    """The nodes that a run holds now."""
    attempts = [attempt for stage in run["stages"] for attempt in stage["attempts"]]
    return [node for a in attempts for node in a["nodes"] if node["closed"] is None]


def stage_record(run: Json, stage: Json) -> Json:
    """One stage as an entry of SkyPilot's queue of jobs."""
    attempts = stage["attempts"]
    node = attempts[-1]["nodes"][0] if attempts and attempts[-1]["nodes"] else {}
    begin, end = seconds(stage["started"]), seconds(stage["ended"])
    status = stage_status(run, stage)
    return {
        "job_id": run["id"],
        "task_id": stage["position"],
        "job_name": run["name"],
        "task_name": stage["key"],
        "status": status,
        "submitted_at": seconds(run["created"]),
        "start_at": begin,
        "end_at": end,
        "job_duration": 0.0 if begin is None else (end or time.time()) - begin,
        "recovery_count": max(len(attempts) - 1, 0),
        "failure_reason": stage["reason"] if status.is_failed() else None,
        "cloud": node.get("cloud"),
        "region": node.get("region"),
        "zone": node.get("zone"),
    }


def cluster_record(run: Json) -> Json:
    """The nodes of a run as an entry of SkyPilot's list of clusters."""
    nodes = open_nodes(run)
    ended = seconds(run["ended"])
    begin = seconds(run["started"] or run["created"]) or 0.0
    return {
        "name": run["name"],
        "job_id": run["id"],
        "status": cluster_status(run) if live(run) else None,
        "launched_at": begin,
        "duration": (ended or time.time()) - begin,
        "num_nodes": len(nodes),
        "infra": sorted({f"{node['cloud']}/{node['region']}" for node in nodes}),
        "total_cost": run["cost_usd"],
    }


# -- what they printed ------------------------------------------------------------------------


class Output:
    """The lines that the stages of a run print.

    Args:
        server: The server.
        run_id: Id of the run.
        stage: Key or name of a stage; None for all, each line with its stage before it.
    """

    def __init__(self, server: Client, run_id: str, stage: str | None = None) -> None:
        self._server, self._run, self._stage = server, run_id, stage
        self._streams: dict[tuple[str, int, int, str], LogStream] = {}
        self._rest: dict[int, str] = {}
        self._many = False

    def lines(self, *, follow: bool) -> Iterator[str]:
        """What was printed, line by line; with ``follow`` until the run has ended."""
        while True:
            run = self._server.run(self._run)
            self._discover(run)
            before = sum(stream.offset for stream in self._streams.values())
            for stream in self._streams.values():
                yield from self._read(stream, follow)
            if not follow or (is_final(run) and all(s.ended for s in self._streams.values())):
                break
            if before == sum(stream.offset for stream in self._streams.values()):
                time.sleep(PAUSE)
        for stream in self._streams.values():
            if rest := self._rest.pop(id(stream), ""):
                yield f"{self._label(stream)}{rest}\n"

    def _discover(self, run: Json) -> None:
        chosen = [s for s in run["stages"] if self._stage in (None, s["key"], s["stage"])]
        if not chosen:
            keys = ", ".join(s["key"] for s in run["stages"])
            raise NoSuchJob(f"run {self._run} has no stage {self._stage!r}", fix=f"Stages: {keys}")
        self._many = len(run["stages"]) > 1 and self._stage is None
        for stage in chosen:
            for s in streams(run, stage):
                self._streams.setdefault((s.stage, s.attempt, s.rank, s.step), s)

    def _read(self, stream: LogStream, follow: bool) -> Iterator[str]:
        alone = follow and len([s for s in self._streams.values() if not s.ended]) == 1
        while not stream.ended:
            data = stream.read(self._server, self._run, wait=WAIT if alone else 0)
            *whole, rest = (self._rest.pop(id(stream), "") + data).split("\n")
            self._rest[id(stream)] = rest
            yield from (f"{self._label(stream)}{line}\n" for line in whole)
            if not data or alone:
                return

    def _label(self, stream: LogStream) -> str:
        parts = [stream.stage] if self._many else []
        if any(s.rank for s in self._streams.values()):
            parts.append(f"rank {stream.rank}")
        return f"[{' '.join(parts)}] " if parts else ""


def show(
    lines: Iterator[str], write: Callable[[str], object], tail: int | None, follow: bool
) -> None:
    """Write lines; the last ``tail`` of what is there, then what comes."""
    if tail and not follow:
        from collections import deque

        lines = iter(deque(lines, maxlen=tail))
    for line in lines:
        write(line)


def save(server: Client, run_ids: Sequence[str], folder: Path) -> dict[str, str]:
    """Write the output of runs below a folder, one file per stream; id to place."""
    places = {}
    for run_id in run_ids:
        run = server.run(run_id)
        place = folder / str(run["id"])
        place.mkdir(parents=True, exist_ok=True)
        for stage in run["stages"]:
            for stream in streams(run, stage):
                name = stream.stage.replace("/", "_")
                file = place / f"{name}-{stream.attempt}-{stream.rank}-{stream.step}.log"
                file.write_text("".join(stream.rest(server, str(run["id"]))), encoding="utf-8")
        places[str(run["id"])] = str(place)
    return places
