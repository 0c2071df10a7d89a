"""The live tree of a run on a terminal."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from stix.cli import view
from stix.cli.output import duration, usd
from stix.client.http import ApiError, ServerAway
from stix.client.watch import LogStream, streams

if TYPE_CHECKING:
    from stix.client.api import Client, Json

MARKS = {
    "pending": ("·", "dim"),
    "succeeded": ("✓", "green"),
    "cached": ("✓", "cyan"),
    "skipped": ("-", "dim"),
    "failed": ("✗", "red"),
    "upstream_failed": ("✗", "dim red"),
    "cancelled": ("✗", "yellow"),
}
LOGS_READ = 8
"""Running stages whose last line of output is read at each refresh."""
FRAME_LINES = 4


class LiveView:
    """Draws a run in place: stages under what they need, with state, place, time and cost."""

    def __init__(self, client: Client, run: str, *, console: Console | None = None) -> None:
        self._client, self._run_id = client, run
        self._run: Json | None = None
        self._logs: dict[str, list[LogStream]] = {}
        self._lines: dict[str, str] = {}
        self._spinner = Spinner("dots")
        self._console = console or Console()
        self._live = Live(
            console=self._console,
            get_renderable=self.render,
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def update(self, run: Json) -> None:
        """Take the run's newest state."""
        running = [s for s in run["stages"] if s["state"] == "running"][:LOGS_READ]
        for stage in running:
            self._read_log(run, stage)
        self._run = run

    def _read_log(self, run: Json, stage: Json) -> None:
        """Keep the last line of what rank 0 printed."""
        key = str(stage["key"])
        wanted = streams(run, stage, rank=0)
        known = self._logs.get(key)
        if not wanted:
            return
        if known is None or known[0].attempt != wanted[0].attempt:
            known = self._logs[key] = wanted
        stream = next((s for s in known if not s.ended), known[-1])
        try:
            data = stream.read(self._client, self._run_id)
        except (ApiError, ServerAway):
            return  # the server restarts: the next refresh tries again
        lines = [line for line in data.splitlines() if line.strip()]
        if lines:
            self._lines[key] = lines[-1].split("\r")[-1]

    def render(self) -> Table:
        """The frame for now."""
        frame = Table.grid(padding=(0, 2))
        if self._run is None:
            frame.add_row("waiting for the run to begin ...")
            return frame
        for _ in range(3):
            frame.add_column(no_wrap=True)
        for _ in range(3):
            frame.add_column(no_wrap=True, justify="right")
        frame.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        frame.expand = True
        rows = nested(self._run["stages"])
        room = max(self._console.height - FRAME_LINES, 5)
        chosen = _choose(rows, room)
        for guide, stage in rows:
            if id(stage) in chosen:
                self._row(frame, guide, stage)
        if left := [stage for _, stage in rows if id(stage) not in chosen]:
            counts = Counter(str(stage["state"]) for stage in left)
            frame.add_row(
                "", Text(f"and {', '.join(f'{n} {s}' for s, n in counts.items())}", "dim")
            )
        total = view.cost(self._run)
        name = Text(f"{self._run.get('name') or ''} {self._run['id']}".strip(), "bold")
        clock = duration(view.elapsed(self._run))
        frame.add_row(
            "", name, str(self._run["state"]), clock, "", usd(total), Text("Ctrl-C detaches", "dim")
        )
        return frame

    def _row(self, frame: Table, guide: str, stage: Json) -> None:
        state = str(stage["state"])
        mark, style = MARKS.get(state, ("", ""))
        attempts = len(stage.get("attempts") or [])
        note = view.reason(stage) or (
            self._lines.get(stage["key"], "") if state == "running" else ""
        )
        where = view.place(stage)
        frame.add_row(
            self._spinner if state == "running" else Text(mark, style),
            Text.assemble((guide, "dim"), str(stage["key"])),
            Text(state if where == "-" else f"{state} {where}", style),
            duration(view.elapsed(stage)),
            f"attempt {attempts}" if attempts > 1 else "",
            usd(view.cost(self._run or {}, stage["key"])) if attempts else "",
            Text(note, "dim"),
        )


def nested(stages: list[Json]) -> list[tuple[str, Json]]:
    """Stages in tree order, each with its guide: every stage under the last one it needs."""
    known = {stage["key"] for stage in stages}
    children: dict[str | None, list[Json]] = {}
    for stage in stages:
        needs = [need for need in stage.get("needs") or [] if need in known]
        children.setdefault(needs[-1] if needs else None, []).append(stage)
    rows: list[tuple[str, Json]] = []
    # Own stack, not recursion: a chain may be longer than Python's recursion limit.
    stack = [(stage, "", True) for stage in reversed(children.get(None, []))]
    while stack:
        stage, indent, top = stack.pop()
        rows.append((indent, stage))
        below = children.get(stage["key"], [])
        base = "" if top else indent[:-3] + ("   " if indent.endswith("└─ ") else "│  ")
        if len(base) > 24:  # a long chain would leave no room for its columns
            base = base[:24]
        for position in range(len(below) - 1, -1, -1):
            joint = "└─ " if position == len(below) - 1 else "├─ "
            stack.append((below[position], base + joint, False))
    return rows


def _choose(rows: list[tuple[str, Json]], room: int) -> set[int]:
    """The stages that fit: what runs and what failed first, then what waits, then what is done."""
    order = {"running": 0, "failed": 1, "pending": 2}
    ranked = sorted((stage for _, stage in rows), key=lambda s: order.get(str(s["state"]), 3))
    return {id(stage) for stage in ranked[:room]}
