"""Options and lookups that commands share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stix.client.api import Client, Json

Command = Callable[..., Any]

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="JSON goes to standard output alone.",
)
env_option = click.option(
    "--env", "-e", multiple=True, metavar="K[=V]", help="A variable for every stage."
)
secret_option = click.option(
    "--secret",
    multiple=True,
    metavar="K[=V]",
    help="A secret for every stage; without =V from the environment, which keeps it out of ps.",
)


def connect(*, start: bool = True, hidden: Collection[str] = ()) -> Client:
    """The server to use; a local one is started where none runs, without ``hidden`` values."""
    from stix.client.local import ensure_server

    return ensure_server(start=start, hidden=hidden)


def stage_of(run: Json, name: str) -> str:
    """The key of a stage: given whole, or by the name of a stage with one point.

    Raises:
        UsageError: no stage, or several points, have that name.
    """
    from stix.errors import UsageError

    keys = [str(stage["key"]) for stage in run["stages"]]
    if name in keys:
        return name
    points = [key for key in keys if key.partition("[")[0] == name]
    if len(points) == 1:
        return points[0]
    if points:
        raise UsageError(
            f"Stage {name!r} of run {run['id']} has {len(points)} points",
            fix="Name one: " + ", ".join(repr(p) for p in points),
        )
    from stix.cli.lazy import unknown

    raise UsageError(
        unknown("stage", name, keys).rstrip(".") + f" in run {run['id']}",
        fix="Stages: " + (", ".join(keys) or "none"),
    )
