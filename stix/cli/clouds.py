"""``stix check``, ``stix nodes`` and ``stix chaos``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stix.cli.options import connect, output_option
from stix.cli.output import pairs, show, table

if TYPE_CHECKING:
    from stix.client.api import Json


@click.command()
@click.argument("clouds", nargs=-1)
@click.option("--features", is_flag=True, help="What each cloud can do, whether set up or not.")
@click.option("--quotas", metavar="REGION", help="Also the limits of the account in this region.")
@output_option
def check(clouds: tuple[str, ...], features: bool, quotas: str | None, output: str) -> int:
    """Which clouds can be used, as whom, and why not.

    CLOUDS are asked also where they are not set up, and shown at length. Exit code 1 where none
    can be used, or one that is named cannot.
    """
    client = connect()
    if features:
        known = [row for row in client.features() if not clouds or row["name"] in clouds]
        show(output, known, lambda: _features(known))
        return 0
    found = client.check(clouds, quotas=quotas)
    show(output, found, lambda: _one_by_one(found) if clouds else _clouds(found))
    enabled = [cloud.get("enabled") for cloud in found]
    return 0 if (all(enabled) if clouds else any(enabled)) else 1


def _clouds(found: list[Json]) -> str:
    unset = [str(cloud["name"]) for cloud in found if cloud.get("state") == "unset"]
    rows = []
    for cloud in found:
        if cloud["name"] in unset:
            continue
        enabled = "yes" if cloud.get("enabled") else "no"
        note = _error(cloud.get("error")) or _identity(cloud.get("identity"))
        rows.append((cloud["name"], enabled, cloud.get("offers"), note))
    parts = [table(["cloud", "enabled", "offers", "as / why not"], rows)]
    parts += [_quotas(cloud) for cloud in found]
    parts += [circuit["message"] for cloud in found for circuit in cloud.get("circuits") or ()]
    if unset:
        parts.append(f"not set up: {', '.join(unset)}; `stix check {unset[0]}` says how")
    return "\n".join(part for part in parts if part)


def _one_by_one(found: list[Json]) -> str:
    return "\n\n".join(map(_at_length, found))


def _at_length(cloud: Json) -> str:
    state = {"ready": "can be used", "unset": "not set up", "off": "switched off"}
    error = cloud.get("error") or {}
    rows = [
        (str(cloud["name"]), state.get(str(cloud.get("state")), "cannot be used")),
        ("  credentials", cloud.get("credentials")),
        ("  as", _identity(cloud.get("identity"))),
        ("  offers", cloud.get("offers") if cloud.get("enabled") else None),
        ("  why not", error.get("message")),
        ("  fix", error.get("fix")),
        *(("  circuit", circuit["message"]) for circuit in cloud.get("circuits") or ()),
    ]
    shown = pairs([(name, value) for name, value in rows if value not in (None, "")])
    return "\n".join(part for part in (shown, _quotas(cloud)) if part)


def _quotas(cloud: Json) -> str:
    if cloud.get("quotas_error"):
        return f"{cloud['name']}: no quotas: {cloud['quotas_error']}"
    rows = []
    for quota in cloud.get("quotas") or ():
        used, limit = _amount(quota["used"]), _amount(quota["limit"])
        rows.append((cloud["name"], quota["region"], quota["name"], used, limit, quota["unit"]))
    return "\n" + table(["cloud", "region", "quota", "used", "limit", "unit"], rows) if rows else ""


def _amount(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def _features(known: list[Json]) -> str:
    names = list(dict.fromkeys(name for row in known for name in row["features"]))
    rows = [
        (row["name"], *("yes" if row["features"].get(name) else "-" for name in names))
        for row in known
        if not row["error"]
    ]
    errors = [f"{row['name']}: {row['error']}" for row in known if row["error"]]
    return "\n".join([table(["cloud", *names], rows), *errors])


def _identity(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(str(v) for v in value.values() if v)
    return str(value or "")


def _error(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(str(value[k]) for k in ("message", "fix") if value.get(k))
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
