"""``stix server``: start, stop and look at the local server."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stix.cli.lazy import Entry, LazyGroup
from stix.cli.options import output_option
from stix.cli.output import ago, duration, message, pairs, show, table
from stix.errors import StixError, UsageError

if TYPE_CHECKING:
    from stix.client.api import Client, Json

STOP_SECONDS = 60.0
POLL = 0.5

ENTRIES = {
    "start": Entry("stix.cli.server:start", "Start the local server, to run until stopped."),
    "stop": Entry("stix.cli.server:stop", "Stop the local server."),
    "status": Entry("stix.cli.server:status", "Its processes with their pids."),
    "logs": Entry("stix.cli.server:logs", "Print its logs."),
}


@click.group(cls=LazyGroup, entries=ENTRIES)
def server() -> None:
    """The local server: PostgreSQL, the Prefect API and UI, the STIX API and the engines.

    It starts itself on the first command that needs it and stops when idle; a server started by
    `stix server start` runs until stopped.
    """


@click.command()
@click.option("--foreground", is_flag=True, help="Stay in the terminal (for systemd, containers).")
@output_option
def start(foreground: bool, output: str) -> None:
    """Start the local server; it runs until `stix server stop`."""
    from stix.client import local

    if foreground:
        os.execv(sys.executable, [sys.executable, "-m", "stix.server", "--foreground"])
    client = local.running(local.state_folder())
    if client is not None:
        message(f"The server runs already at {client.url}")
    else:
        client = local.start_server(local.state_folder(), auto=False)
    answer = client.status()
    show(output, answer, lambda: describe(answer))


@click.command()
def stop() -> None:
    """Stop the local server. Runs that are active go on at the next start."""
    from stix.client import local
    from stix.client.http import ServerAway

    known = local.read_server_file(local.state_folder())
    client = local.running(local.state_folder())
    if known is None or (client is None and not known.alive):
        message("No STIX server runs.")
        return
    if client is None:
        raise StixError(
            f"The server (pid {known.pid}) does not answer",
            fix=f"Wait a moment, or end it with `kill {known.pid}`.",
        )
    active = 0
    with suppress(ServerAway):  # it may go before it has answered
        active = int(client.status()["active_runs"])
        client.stop()
    deadline = time.monotonic() + STOP_SECONDS
    while known.alive:
        if time.monotonic() > deadline:
            raise StixError(
                f"The server (pid {known.pid}) did not stop within {STOP_SECONDS:g} s",
                fix=f"See `stix server logs`; as a last resort `kill -9 {known.pid}`.",
            )
        time.sleep(0.05)
    message("The server has stopped.")
    if active:
        runs = "1 run goes" if active == 1 else f"{active} runs go"
        message(f"{runs} on: jobs keep running, and `stix server start` takes them up again.")


@click.command()
@output_option
def status(output: str) -> int:
    """Processes, addresses and idle time; exit code 1 where no server runs."""
    client = find()
    if client is None:
        show(output, {"running": False, "processes": []}, lambda: "No STIX server runs.")
        return 1
    answer = {"running": True, **client.status()}
    show(output, answer, lambda: describe(answer))
    return 0


def find() -> Client | None:
    """A server that answers now, without starting one. An unreachable STIX_URL is an error."""
    from stix.client.http import ServerAway
    from stix.client.local import ensure_server

    try:
        return ensure_server(start=False)
    except ServerAway:
        if os.environ.get("STIX_URL"):
            raise
        return None


def describe(answer: Json) -> str:
    """The status of a server as text."""
    rows = [
        (p["name"], p["pid"], p["state"], ago(p.get("started")), p.get("restarts", 0))
        for p in answer["processes"]
    ]
    idle = answer.get("idle_seconds")
    facts: list[tuple[str, Any]] = [(str(k), v) for k, v in answer.get("urls", {}).items()]
    facts.append(("home", answer.get("home")))
    facts.append(("runs", ", ".join(f"{n} {s}" for s, n in answer.get("runs", {}).items() if n)))
    facts.append(("idle", duration(idle) if idle is not None else None))
    return table(["process", "pid", "state", "started", "restarts"], rows) + "\n\n" + pairs(facts)


@click.command()
@click.argument("process", required=False)
@click.option("-n", "--lines", type=click.IntRange(0), default=50, show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on as the logs grow.")
def logs(process: str | None, lines: int, follow: bool) -> None:
    """Print the end of the local server's logs: all, or one PROCESS (engine-1, postgres ...)."""
    from stix.client.local import state_folder

    folder = state_folder() / "logs" / "server"
    files = sorted(folder.glob("*.log"))
    names = [f.stem for f in files]
    if process is not None:
        if process not in names:
            raise UsageError(
                f"There is no log of a process {process!r} in {folder}",
                fix="Logs: " + (", ".join(names) or "none yet"),
            )
        files = [folder / f"{process}.log"]
    offsets = {}
    for file in files:
        if len(files) > 1:
            click.echo(f"==> {file.name} <==")
        for line in tail(file, lines):
            click.echo(line)
        offsets[file] = file.stat().st_size
    while follow:
        for file, line in _grown(offsets):
            click.echo(f"{file.stem}: {line}" if len(files) > 1 else line)
        time.sleep(POLL)


def tail(file: Path, count: int) -> list[str]:
    """The last lines of a file, read from its end."""
    with file.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        position, data = stream.tell(), b""
        while position and data.count(b"\n") <= count:
            step = min(position, 65536)
            position -= step
            stream.seek(position)
            data = stream.read(step) + data
    lines = data.decode(errors="replace").splitlines()
    return lines[-count:] if count else []


def _grown(offsets: dict[Path, int]) -> Iterator[tuple[Path, str]]:
    for file, offset in offsets.items():
        if file.stat().st_size <= offset:
            continue
        with file.open("rb") as stream:
            stream.seek(offset)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]
        offsets[file] = offset + len(whole)
        for line in whole.decode(errors="replace").splitlines():
            yield file, line
