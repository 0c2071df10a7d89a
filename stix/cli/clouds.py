"""``stix check``, ``stix nodes`` and ``stix chaos``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stix.cli.options import connect, output_option
from stix.cli.output import show, table

if TYPE_CHECKING:
    from stix.client.api import Json


@click.command()
@output_option
def check(output: str) -> int:
    """Which clouds can be used, as whom, and why not; exit code 1 where none can."""
    clouds = connect().check()
    show(output, clouds, lambda: _clouds(clouds))
    return 0 if any(cloud.get("enabled") for cloud in clouds) else 1


def _clouds(clouds: list[Json]) -> str:
    rows = []
    for cloud in clouds:
        offers = cloud.get("offers")
        count = len(offers) if isinstance(offers, list) else offers
        enabled = "yes" if cloud.get("enabled") else "no"
        note = _error(cloud.get("error")) or _identity(cloud.get("identity"))
        rows.append((cloud.get("name", cloud.get("cloud")), enabled, count, note))
    return table(["cloud", "enabled", "offers", "as / why not"], rows)


def _identity(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(str(v) for v in value.values() if v)
    return str(value or "")


def _error(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(str(value[k]) for k in ("message", "fix") if value.get(k))
    return str(value or "")


@click.command()
@output_option
def nodes(output: str) -> None:
    """The nodes in use, with the run and the stage they serve."""
    found = connect().nodes()
    show(output, found, lambda: _nodes(found))


def _nodes(found: list[Json]) -> str:
    if not found:
        return "No node is in use."
    rows = []
    for node in found:
        tags = node.get("tags") or {}
        ref = node.get("ref") or node
        run = node.get("run") or tags.get("stix-run")
        stage = node.get("stage") or tags.get("stix-stage")
        place = "/".join(
            str(ref[k]) for k in ("cloud", "region", "zone") if ref.get(k, "-") not in ("-", None)
        )
        rows.append(
            (
                ref.get("id"),
                place,
                node.get("state"),
                run,
                stage,
                node.get("rank"),
                node.get("address"),
            )
        )
    return table(["node", "place", "state", "run", "stage", "rank", "address"], rows)


@click.command()
@click.argument("action", type=click.Choice(["preempt", "kill"]))
@click.argument("node")
@output_option
def chaos(action: str, node: str, output: str) -> None:
    """Hurt a NODE on purpose.

    `preempt` takes it away as a provider takes a spot node; `kill` lets it die without a word.
    """
    answer = connect().chaos(node, action)
    done = "preempted" if action == "preempt" else "killed"
    show(output, answer or {"node": node, "action": action}, lambda: f"{node} is {done}.")
