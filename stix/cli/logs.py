"""``stix logs``: the output of stages."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from stix.cli.options import connect, output_option, stage_of
from stix.cli.output import show
from stix.errors import UsageError

if TYPE_CHECKING:
    from stix.client.api import Client, Json
    from stix.client.watch import LogStream

WAIT = 5.0
PAUSE = 0.4


@click.command()
@click.argument("run")
@click.argument("stage", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run (the stage) has ended.")
@click.option("--attempt", type=click.IntRange(1), help="Default: the last one.")
@click.option("--rank", type=click.IntRange(0), help="Rank of the node; default all.")
@output_option
def logs(
    run: str, stage: str | None, follow: bool, attempt: int | None, rank: int | None, output: str
) -> None:
    """Print the output of STAGE of RUN, or of all stages with their names before each line."""
    client = connect()
    found = client.run(run)
    key = stage_of(found, stage) if stage else None
    if follow and output == "json":
        raise UsageError("--follow cannot be used with --output json", fix="Leave one out.")
    if attempt and key:
        _check_attempt(found, key, attempt)
    printer = _Printer(client, found["id"], key, attempt, rank)
    if output == "json":
        pieces = printer.collect(found)
        show(output, pieces, lambda: "")
    elif follow:
        printer.follow()
    else:
        printer.print_all(found)


def _check_attempt(run: Json, key: str, attempt: int) -> None:
    made = next(len(s["attempts"]) for s in run["stages"] if s["key"] == key)
    if attempt > made:
        raise UsageError(
            f"Stage {key} of run {run['id']} has no attempt {attempt}",
            fix=f"It has had {made} attempt(s).",
        )


class _Printer:
    """Prints what streams of the chosen stages hold, and then what they get."""

    def __init__(
        self, client: Client, run: str, stage: str | None, attempt: int | None, rank: int | None
    ) -> None:
        self._client, self._run = client, run
        self._stage, self._attempt, self._rank = stage, attempt, rank
        self._streams: dict[tuple[str, int, int, str], LogStream] = {}
        self._partial: dict[int, str] = {}

    def collect(self, run: Json) -> list[Json]:
        """All output as data."""
        self._discover(run)
        return [
            {
                "stage": s.stage,
                "attempt": s.attempt,
                "rank": s.rank,
                "step": s.step,
                "text": "".join(s.rest(self._client, self._run)),
            }
            for s in self._streams.values()
        ]

    def print_all(self, run: Json) -> None:
        """Print what there is, stream after stream."""
        self._discover(run)
        for stream in self._streams.values():
            for data in stream.rest(self._client, self._run):
                self._print(stream, data)
            self._finish(stream)

    def follow(self) -> None:
        """Print until the stage, or the run, has ended and everything is read."""
        while True:
            run = self._client.run(self._run)
            self._discover(run)
            live = [s for s in self._streams.values() if not s.ended]
            for stream in live:
                # With one stream the server may hold the call; with many none may block the rest.
                wait = WAIT if len(live) == 1 else 0
                data = stream.read(self._client, self._run, wait=wait)
                self._print(stream, data)
                if stream.ended:
                    self._finish(stream)
            if self._ended(run) and not any(not s.ended for s in self._streams.values()):
                return
            sys.stdout.flush()
            if len(live) != 1:
                time.sleep(PAUSE)

    def _ended(self, run: Json) -> bool:
        from stix.client.watch import is_final
        from stix.spec.states import StageState

        if is_final(run):
            return True
        return self._stage is not None and all(
            StageState(s["state"]).final for s in run["stages"] if s["key"] == self._stage
        )

    def _discover(self, run: Json) -> None:
        from stix.client.watch import streams

        for stage in run["stages"]:
            if self._stage not in (None, stage["key"]):
                continue
            for s in streams(run, stage, attempt=self._attempt, rank=self._rank):
                self._streams.setdefault((s.stage, s.attempt, s.rank, s.step), s)

    def _label(self, stream: LogStream) -> str:
        parts = [stream.stage] if self._stage is None else []
        if any(s.rank for s in self._streams.values()):
            parts.append(f"rank {stream.rank}")
        return f"[{' '.join(parts)}] " if parts else ""

    def _print(self, stream: LogStream, data: str) -> None:
        label = self._label(stream)
        if not label:
            sys.stdout.write(data)
            return
        text = self._partial.pop(id(stream), "") + data
        *lines, rest = text.split("\n")
        sys.stdout.write("".join(f"{label}{line}\n" for line in lines))
        if rest:
            self._partial[id(stream)] = rest

    def _finish(self, stream: LogStream) -> None:
        if rest := self._partial.pop(id(stream), ""):
            sys.stdout.write(f"{self._label(stream)}{rest}\n")
