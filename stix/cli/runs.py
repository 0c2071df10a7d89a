"""``stix runs``: list runs, show one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from stix.cli.lazy import Entry, LazyGroup
from stix.cli.options import connect, output_option
from stix.cli.output import ago, clip, duration, moment, show, table, usd

if TYPE_CHECKING:
    from stix.client.api import Json

EVENTS_SHOWN = 30
EVENTS_FOR_PEOPLE = {"run", "stage", "attempt", "cluster", "lease", "replanned"}
IDS = {"token", "flow_run_id"}

ENTRIES = {
    "ls": Entry("stix.cli.runs:ls", "List the latest runs (also plain `stix runs`)."),
    "show": Entry("stix.cli.runs:show_run", "Stages, attempts, reasons, costs and events."),
}

limit_option = click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20)
state_option = click.option(
    "--state",
    type=click.Choice(["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]),
)


@click.group(cls=LazyGroup, entries=ENTRIES, invoke_without_command=True)
@limit_option
@state_option
@output_option
@click.pass_context
def runs(context: click.Context, limit: int, state: str | None, output: str) -> None:
    """List the latest runs, or show one: `stix runs show ID`."""
    if context.invoked_subcommand is None:
        _list(limit, state, output)


@click.command()
@limit_option
@state_option
@output_option
def ls(limit: int, state: str | None, output: str) -> None:
    """List the latest runs."""
    _list(limit, state, output)


def _list(limit: int, state: str | None, output: str) -> None:
    found = connect().runs(limit=limit, state=state)
    show(output, found, lambda: runs_table(found) if found else "There is no run yet.")


def runs_table(found: list[Json]) -> str:
    """One line per run."""
    from stix.cli.view import elapsed

    rows = [
        (
            run["id"],
            clip(str(run.get("name") or "-"), 30),
            run["state"],
            _stages(run.get("stages")),
            ago(run.get("created")),
            duration(elapsed(run)),
            usd(run.get("cost_usd")),
        )
        for run in found
    ]
    return table(["run", "name", "state", "stages", "created", "time", "cost"], rows)


def _stages(stages: Any) -> str:
    """``3/5``: stages done of all, from a count by state."""
    if not isinstance(stages, dict):
        return str(stages) if isinstance(stages, int) else "-"
    done = sum(n for state, n in stages.items() if state in ("succeeded", "cached", "skipped"))
    return f"{done}/{sum(stages.values())}"


@click.command("show")
@click.argument("run", default="latest")
@click.option("--watch", is_flag=True, help="Follow the run until it ends.")
@output_option
def show_run(run: str, watch: bool, output: str) -> int:
    """Show RUN (id, unique prefix or latest): stages, attempts, reasons, costs, events."""
    client = connect()
    found = client.run(run)
    if watch:
        from stix.cli.follow import follow

        return follow(client, found["id"], output=output)
    events = client.events(found["id"])
    show(output, {**found, "events": events}, lambda: _describe(found, events))
    return 0


def _describe(run: Json, events: list[Json]) -> str:
    from stix.cli import view

    parts = [view.header(run), view.stage_table(run)]
    if any(len(stage.get("attempts") or []) > 1 for stage in run["stages"]):
        parts.append(view.attempts_table(run))
    parts += [view.checkpoints_table(run), view.mounts_table(run), view.tried_table(run)]
    parts += [view.results_table(run)]
    parts += [view.artifacts_hint(run), _events(events)]
    return "\n\n".join(part for part in parts if part)


def _events(events: list[Json]) -> str:
    if not events:
        return ""
    shown = [event for event in events if event["kind"] in EVENTS_FOR_PEOPLE][-EVENTS_SHOWN:]
    left = len(events) - len(shown)
    rows = [event_row(event) for event in shown]
    note = f"\n({left} more events: --output json)" if left > 0 else ""
    return table(["time", "stage", "event", "detail"], rows) + note


def event_row(event: Json) -> tuple[str, str, str, str]:
    """An event as time, stage, kind and detail."""
    when = moment(event["at"])
    clock = time.strftime("%H:%M:%S", time.localtime(when.timestamp())) if when else "-"
    data = {k: v for k, v in (event["data"] or {}).items() if k not in IDS}
    told = [f"{k}={v}" for k, v in data.items() if v is not None and not isinstance(v, dict | list)]
    return clock, event["key"] or "-", event["kind"], clip(" ".join(told), 90)
