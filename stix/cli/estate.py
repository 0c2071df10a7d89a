"""``stix resources`` and ``stix sweep``: what we have at the clouds, and what nobody owns."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import click

from stix.cli.options import connect, output_option
from stix.cli.output import message, show, table
from stix.errors import UsageError

if TYPE_CHECKING:
    from stix.client.api import Json

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.group()
def resources() -> None:
    """Nodes, disks, addresses, firewalls and keys of ours at all clouds."""


@resources.command()
@click.option("--orphans", is_flag=True, help="Only what nobody owns.")
@output_option
def ls(orphans: bool, output: str) -> int:
    """List them, with who owns each; exit code 1 where a cloud could not say."""
    found = connect().resources()
    things = [t for t in found["things"] if t["orphan"] or not orphans]
    show(output, {**found, "things": things}, lambda: _things(things))
    return _told(found)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--alone", is_flag=True, help="Without a server: by tags and age alone.")
@click.option(
    "--older-than", default="24h", show_default=True, help="With --alone: age, such as 90m, 2h, 3d."
)
@click.option("--home-id", metavar="ID", help="With --alone: of a home that is lost.")
@click.option("--yes", "-y", is_flag=True, help="With --alone: ask no question.")
@output_option
def sweep(
    dry_run: bool, alone: bool, older_than: str, home_id: str | None, yes: bool, output: str
) -> int:
    """Remove what nobody owns at the clouds.

    What a living run owns, what STIX did not make and what was made a moment ago stays. The server
    does this by itself every few seconds; with --alone it works without one, and without its
    ledger, from nothing but credentials and tags.
    """
    if not alone:
        done = connect().sweep(dry_run=dry_run)
    else:
        arguments = ["--older-than", str(_seconds(older_than))]
        arguments += ["--home-id", home_id] if home_id else []
        done = _alone([*arguments, "--dry-run"])
        doomed = [t for t in done.get("things", ()) if t["orphan"]]
        if doomed and not dry_run:
            if not yes:
                message(_things(doomed))
                click.confirm(f"Remove these {len(doomed)}?", abort=True, err=True)
            done = _alone(arguments)
    show(output, done, lambda: _swept(done, dry_run=dry_run))
    return _told(done)


def _alone(arguments: list[str]) -> Json:
    """Our own process: the clouds' adapters are none of the client's business."""
    command = [sys.executable, "-m", "stix.server.alone", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        raise UsageError("the sweep ended without an answer", fix="see the messages above")
    outcome: Json = json.loads(done.stdout)
    return outcome


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None:
        raise UsageError(f"--older-than {text!r} is no duration", fix="write 90m, 2h or 3d")
    return float(found[1]) * _UNITS[found[2]]


def _swept(done: Json, *, dry_run: bool) -> str:
    doomed = [t for t in done.get("things", ()) if t["orphan"]]
    if not doomed:
        return "Nothing is left over."
    if dry_run:
        return f"{_things(doomed)}\n{len(doomed)} would be removed."
    count = len(done["nodes"]) + len(done["resources"])
    return f"{_things(doomed)}\n{count} of {len(doomed)} removed."


def _things(things: list[Json]) -> str:
    if not things:
        return "There is nothing."
    rows = [
        (
            t["kind"],
            t["id"],
            t["cloud"] + ("" if t["region"] in ("-", "") else f"/{t['region']}"),
            t["state"],
            t["run"],
            "orphan" if t["orphan"] else "kept",
            t["why"],
        )
        for t in things
    ]
    return table(["kind", "id", "place", "state", "run", "verdict", "why"], rows)


def _told(found: Json) -> int:
    for error in found.get("errors", ()):
        message(f"stix: {error}")
    return 1 if found.get("errors") else 0
