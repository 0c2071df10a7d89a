"""Follow a run: its states as they change, and the output of its stages as it grows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from stix.client.api import Client, Json
from stix.client.http import ApiError, ServerAway
from stix.errors import StixError
from stix.spec.states import RunState, StageState

WAIT = 10.0
"""Seconds for which the server holds a call open until something happens."""
PATIENCE = 120.0
"""Seconds for which a watcher goes on asking a server that is away: its supervisor restarts it."""
GONE = (502, 503, 504)


def is_final(run: Json) -> bool:
    """True when nothing of the run will change by itself."""
    return RunState(run["state"]).final


class Watch:
    """The states of one run, read again whenever it has new events.

    Args:
        client: The server.
        run: Id of the run.
        wait: Longest time between two states, seconds (a live view wants its clock moved).
        pause: Shortest time between two states, seconds.
    """

    def __init__(self, client: Client, run: str, *, wait: float = WAIT, pause: float = 0.3) -> None:
        self._client, self._run = client, run
        self._wait, self._pause = wait, pause
        self._after = 0
        self._away_since: float | None = None

    def __iter__(self) -> Iterator[Json]:
        while True:
            run = self._read()
            if run is not None:
                yield run
                if is_final(run):
                    return
            time.sleep(self._pause)
            self._await_events()

    def _read(self) -> Json | None:
        try:
            run = self._client.run(self._run)
        except (ServerAway, ApiError) as error:
            self._patient(error)
            return None
        self._away_since = None
        return run

    def _await_events(self) -> None:
        try:
            events = self._client.events(self._run, after=self._after, wait=self._wait)
        except (ServerAway, ApiError) as error:
            self._patient(error)
            return
        self._after = max([self._after, *(int(event["number"]) for event in events)])

    def _patient(self, error: StixError) -> None:
        if isinstance(error, ApiError) and error.status not in GONE:
            raise error
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since > PATIENCE:
            raise error
        time.sleep(0.5)


def wait_final(client: Client, run: str) -> Json:
    """Wait until a run has ended; gives its last state."""
    *_, last = Watch(client, run)
    return last


@dataclass
class LogStream:
    """The output of one rank in one step of one attempt of a stage, read piece by piece."""

    stage: str
    attempt: int
    rank: int = 0
    step: str = "run"
    offset: int = 0
    ended: bool = False

    def read(self, client: Client, run: str, *, wait: float = 0) -> str:
        """What came since the last call; waits up to ``wait`` seconds for something."""
        piece = client.logs(
            run,
            self.stage,
            wait=wait,
            attempt=self.attempt,
            rank=self.rank,
            step=self.step,
            offset=self.offset,
        )
        self.offset = int(piece["offset"])
        self.ended = bool(piece["end"])
        return str(piece["data"])

    def rest(self, client: Client, run: str) -> Iterator[str]:
        """Everything that is there now."""
        while data := self.read(client, run):
            yield data


def streams(
    run: Json, stage: Json, *, attempt: int | None = None, rank: int | None = None
) -> list[LogStream]:
    """The streams of a stage: setup, then run, of its last attempt or the one given."""
    number = attempt or (int(stage["attempts"][-1]["number"]) if stage["attempts"] else 0)
    if not number:
        return []
    spec = run["spec"]["stages"][stage["stage"]]
    ranks = range(int(spec.get("num_nodes", 1))) if rank is None else [rank]
    steps = ("setup", "run") if spec.get("setup") else ("run",)
    return [LogStream(str(stage["key"]), number, r, step) for step in steps for r in ranks]


def log_tail(client: Client, run: Json, stage: Json, lines: int = 20) -> list[str]:
    """The last lines of the last attempt of a stage, of all steps and ranks."""
    last: list[str] = []
    for stream in streams(run, stage):
        try:
            for data in stream.rest(client, run["id"]):
                last = [*last, *data.splitlines()][-lines:]
        except ApiError as error:
            if error.status != 404:
                raise
    return last


def failed_stages(run: Json) -> list[Json]:
    """The stages that failed by themselves, in the order of the file."""
    return [stage for stage in run["stages"] if stage["state"] == StageState.FAILED]
