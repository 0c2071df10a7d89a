"""Follow a run to its end: live on a terminal, as lines elsewhere; Ctrl-C detaches."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from stix.cli import view
from stix.cli.output import duration, message, show

if TYPE_CHECKING:
    from stix.client.api import Client, Json

INTERRUPTED = 130
SECOND_CTRL_C = 3.0
"""Seconds within which a second Ctrl-C asks to cancel."""
TAIL_LINES = 15


class Progress(Protocol):
    """Shows the states of a run as they come."""

    def update(self, run: Json) -> None: ...


class Lines:
    """Progress as one line per change, for files and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._seen: dict[str, tuple[str, int]] = {}
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.flush()

    def update(self, run: Json) -> None:
        """Print what has changed since the last state."""
        for stage in run["stages"]:
            state = str(stage["state"])
            now = state, len(stage.get("attempts") or [])
            before = self._seen.get(stage["key"], ("pending", 0))
            if now == before:
                continue
            self._seen[stage["key"]] = now
            parts = [f"{stage['key']}: {state}"]
            if now[1] > 1:
                parts.append(f"attempt {now[1]}")
            if state == "running":
                parts.append(view.place(stage))
            elif view.elapsed(stage) is not None:
                parts.append(duration(view.elapsed(stage)))
            if why := view.reason(stage):
                parts.append(why)
            clock = duration(time.monotonic() - self._begun)
            print(f"[{clock:>6}] {', '.join(p for p in parts if p != '-')}", file=self._stream)
        self._stream.flush()


def follow(client: Client, run: str, *, output: str = "table") -> int:
    """Show a run until it ends; then its table, results, receipt and outputs.

    Returns:
        The exit code: 0 done, 1 could not run, 100 a stage failed, 103 cancelled, 130 detached by
        Ctrl-C.
    """
    asked = False
    while True:
        try:
            last = _watch(client, run, output)
            break
        except KeyboardInterrupt:
            if asked or not _wants_cancel(run):
                return INTERRUPTED
            asked = True
            client.cancel(run)
            message(f"cancelling {run} ...")
    show(output, last, lambda: summary(client, last))
    _explain_failures(client, last)
    return view.exit_code(last)


def _watch(client: Client, run: str, output: str) -> Json:
    from stix.client.watch import Watch

    live = output == "table" and sys.stdout.isatty()
    last: Json = {}
    with _progress(client, run, output, live=live) as progress:
        for last in Watch(client, run, wait=1.0 if live else 10.0):
            progress.update(last)
    return last


def _progress(
    client: Client, run: str, output: str, *, live: bool
) -> AbstractContextManager[Progress]:
    if live:
        from stix.cli.live import LiveView

        return LiveView(client, run)
    return Lines(sys.stderr if output == "json" else sys.stdout)


def _wants_cancel(run: str) -> bool:
    try:
        message(
            f"\ndetached: the run goes on; `stix runs show {run} --watch` follows it, "
            f"`stix logs {run}` prints its output.\n"
            f"Press Ctrl-C again within {SECOND_CTRL_C:g} s to cancel it."
        )
        time.sleep(SECOND_CTRL_C)
    except KeyboardInterrupt:
        return True
    return False


def summary(client: Client, run: Json) -> str:
    """The end of a run for people."""
    link = ui_link(client, run)
    took = duration(view.elapsed(run))
    facts = [
        f"{run['state']}  {run.get('name') or ''} {run['id']} in {took}".replace("  ", " "),
        f"receipt   {view.receipt(run)}",
        view.artifacts_hint(run),
        f"ui        {link}" if link else "",
    ]
    parts = ["", view.stage_table(run), view.results_table(run), "\n".join(f for f in facts if f)]
    return "\n\n".join(parts[:1] + [p for p in parts[1:] if p]).lstrip("\n")


def ui_link(client: Client, run: Json) -> str:
    """The run's page in the Prefect UI; empty where it has none."""
    from stix.client.http import ApiError, ServerAway

    if not run.get("flow_run_id"):
        return ""
    try:
        return f"{client.status()['urls']['prefect_ui']}/runs/flow-run/{run['flow_run_id']}"
    except (ServerAway, ApiError):
        return ""


def _explain_failures(client: Client, run: Json) -> None:
    """For each stage that failed: why, and the end of its output."""
    from stix.client.watch import failed_stages, log_tail

    if run["state"] == "succeeded":
        return  # as many points may fail as `allowed_failures` says
    error = run.get("error") or {}
    if error.get("fix"):
        message(f"\nerror: {error.get('message')}\n  fix: {error['fix']}")
    for stage in failed_stages(run)[:3]:
        key = stage["key"]
        message(f"\nstage {key} failed: {view.reason(stage) or 'see its log'}")
        for line in log_tail(client, run, stage, TAIL_LINES):
            message(f"  | {line}")
        message(f"  fix: `stix logs {run['id']} '{key}'` prints all; `stix resume {run['id']}`")
