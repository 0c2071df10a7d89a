"""STIX from Python: ``stix.run(...)`` and what it gives back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from stix.client.api import Client, Json
from stix.client.artifacts import download, find, outputs
from stix.client.local import ensure_server
from stix.client.submit import Options, RunOptions, Source, prepare, secret_values, submit
from stix.client.watch import failed_stages, is_final, log_tail, streams, wait_final
from stix.errors import StixError
from stix.spec.states import RunState

TAIL_LINES = 20


class RunFailed(StixError):
    """A run did not succeed.

    Attributes:
        run: The run.
        stage: Key of the first stage that failed; empty where none did.
        reason: Why.
        log_tail: The last lines of that stage's output.
    """

    exit_code = 100

    def __init__(self, run: Run, stage: str, reason: str, tail: list[str]) -> None:
        where = f"stage {stage} of run {run.id}" if stage else f"run {run.id}"
        lines = "".join(f"\n  | {line}" for line in tail)
        super().__init__(
            f"{where} {run.state}: {reason}{lines}", fix=f"See `stix runs show {run.id}`."
        )
        self.run = run
        self.stage = stage
        self.reason = reason
        self.log_tail = tail


class RunCancelled(RunFailed):
    """A run was cancelled."""

    exit_code = 103


class Run:
    """One execution of a pipeline. What it knows is as of the last ``refresh`` or ``wait``."""

    def __init__(self, client: Client, data: Json) -> None:
        self._client = client
        self._data = data

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.name} {self.state}>"

    @property
    def id(self) -> str:
        return str(self._data["id"])

    @property
    def name(self) -> str:
        return str(self._data["name"])

    @property
    def state(self) -> RunState:
        return RunState(self._data["state"])

    @property
    def data(self) -> Json:
        """Everything the server says of the run."""
        return self._data

    @property
    def stages(self) -> dict[str, Json]:
        """Key to stage: state, attempts, reason, cost, results."""
        return {str(stage["key"]): stage for stage in self._data["stages"]}

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Key to what the stage wrote to STIX_RESULT, for stages that did."""
        return {key: dict(s["result"]) for key, s in self.stages.items() if s.get("result")}

    @property
    def outputs(self) -> dict[str, str]:
        """``stage.output`` to digest."""
        return outputs(self._data)

    def refresh(self) -> Run:
        """Ask the server for the run's state now."""
        self._data = self._client.run(self.id)
        return self

    def wait(self, *, check: bool = True) -> Run:
        """Wait until the run has ended.

        Args:
            check: Raise where it did not succeed.

        Raises:
            RunFailed: a stage failed.
            RunCancelled: it was cancelled.
        """
        self._data = wait_final(self._client, self.id)
        if check:
            self.check()
        return self

    def check(self) -> None:
        """Raise ``RunFailed`` or ``RunCancelled`` where the run ended without success."""
        if not is_final(self._data) or self.state == RunState.SUCCEEDED:
            return
        failed = failed_stages(self._data)
        kind = RunCancelled if self.state == RunState.CANCELLED else RunFailed
        if not failed:
            raise kind(self, "", str(self._data.get("reason") or self.state), [])
        first = failed[0]
        tail = log_tail(self._client, self._data, first, TAIL_LINES)
        raise kind(self, str(first["key"]), str(first.get("reason") or "failed"), tail)

    def logs(self, stage: str, *, attempt: int | None = None, rank: int | None = None) -> str:
        """The output of a stage: setup, then run, of its last attempt or the one given."""
        chosen = self.refresh().stages.get(stage)
        if chosen is None:
            raise StixError(
                f"Run {self.id} has no stage {stage!r}", fix=f"Stages: {', '.join(self.stages)}"
            )
        parts = streams(self._data, chosen, attempt=attempt, rank=rank)
        return "".join(text for part in parts for text in part.rest(self._client, self.id))

    def download(self, output: str, target: str | Path) -> list[Path]:
        """Fetch the output ``stage.output`` into a new directory; gives the files."""
        place = Path(target)
        names = download(self._client, find(self._client, output, self.id), place)
        return [place / name for name in names]

    def cancel(self) -> None:
        """Ask the run to cancel; ``wait(check=False)`` tells when it has."""
        self._client.cancel(self.id)


def run(pipeline: Source, *, wait: bool = True, **options: Unpack[RunOptions]) -> Run:
    """Run a pipeline, a stage, or a file.

    The local server starts itself where none runs; STIX_URL and STIX_TOKEN name another.

    Args:
        pipeline: ``stix.Pipeline``, ``stix.Dag``, ``stix.Task``, or the path of a file.
        wait: Wait until it has ended.
        options: ``name``, ``envs``, ``secrets``, ``no_cache``, ``force`` (stages that run even
            if their outputs are known), ``accept`` (stages whose last outputs serve), ``base``
            (where relative paths begin) and ``overrides`` (``{"train.num_nodes": 2}``), as in
            ``stix.client.submit.Options``.

    Raises:
        SpecErrors: the pipeline is refused, with every reason.
        RunFailed: a stage failed (only with ``wait``).
    """
    chosen = Options(**options)
    prepared = prepare(pipeline, chosen)
    client = ensure_server(hidden=secret_values(prepared, chosen))
    made = submit(client, prepared, chosen)
    started = Run(client, client.run(made["id"]))
    return started.wait() if wait else started


def get_run(run: str = "latest") -> Run:
    """A run by id, unique prefix or ``latest``."""
    client = ensure_server()
    return Run(client, client.run(run))
