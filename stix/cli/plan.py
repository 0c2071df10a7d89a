"""``stix plan``: where each stage would run, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stix.cli.options import GroupedCommand, connect, output_option, overriding
from stix.cli.output import message, show, table, usd

if TYPE_CHECKING:
    from stix.client.api import Json


@click.command(cls=GroupedCommand)
@click.argument("file")
@overriding
@output_option
def plan(file: str, given: dict[str, Any], output: str) -> None:
    """Show where each stage of pipeline FILE would run, and for how much.

    A stage that fits nowhere is an error that says what came nearest.
    """
    from stix.client.submit import load, placed
    from stix.spec.changes.overrides import Overrides
    from stix.spec.wire import to_wire

    loaded = load(file, Overrides.of_command(given, complete=False))
    for warning in loaded.warnings:
        message(str(warning))
    client = connect()
    with placed(loaded):
        answer = client.plan(to_wire(loaded.pipeline))
    show(output, answer, lambda: _describe(answer))


def _describe(answer: Json) -> str:
    from stix.cli.view import demand_text, offer_text

    rows = []
    for stage in answer["stages"]:
        chosen = stage["chosen"]
        rows.append(
            (
                stage["stage"],
                offer_text(chosen["offer"]),
                stage["num_nodes"],
                demand_text(chosen["demand"]),
                usd(stage["usd_per_hour"]) + "/h",
                len(stage["alternatives"]),
                stage["rejected_count"],
            )
        )
    heads = ["stage", "where", "nodes", "each", "price", "others", "unfit"]
    total = sum(float(stage["usd_per_hour"]) for stage in answer["stages"])
    return f"{table(heads, rows)}\n\nall at once {usd(total)}/h"
