"""``stix cancel``, ``stix resume`` and ``stix why``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from stix.cli.options import connect, output_option, secret_option, stage_of
from stix.cli.output import clip, pairs, show, table

if TYPE_CHECKING:
    from stix.client.api import Json


@click.command()
@click.argument("run")
@click.option("--wait", is_flag=True, help="Wait until everything of the run is gone.")
@output_option
def cancel(run: str, wait: bool, output: str) -> None:
    """Cancel RUN: stop its stages and give back its nodes."""
    from stix.client.watch import wait_final

    client = connect()
    found = client.run(run)["id"]
    client.cancel(found)
    answer = wait_final(client, found) if wait else client.run(found)
    show(output, answer, lambda: f"{found}: {answer['state']}")


@click.command()
@click.argument("run")
@click.option("--detach", "-d", is_flag=True, help="Do not follow it.")
@secret_option
@output_option
def resume(run: str, detach: bool, secret: tuple[str, ...], output: str) -> int:
    """Run again what did not succeed in RUN; what did is kept."""
    from stix.cli.follow import follow

    secrets = _secrets(secret)
    client = connect(hidden=list(secrets.values()))
    found = client.run(run)["id"]
    client.resume(found, secrets)
    if detach:
        show(output, client.run(found), lambda: found)
        return 0
    return follow(client, found, output=output)


def _secrets(given: tuple[str, ...]) -> Mapping[str, str]:
    if not given:
        return {}
    from stix.spec.changes.overrides import Overrides

    return Overrides.parse(secret=given).secrets


@click.command()
@click.argument("run")
@click.argument("stage")
@output_option
def why(run: str, stage: str, output: str) -> None:
    """Why STAGE of RUN ran or was skipped, part by part."""
    client = connect()
    found = client.run(run)
    answer = client.why(found["id"], stage_of(found, stage))
    show(output, answer, lambda: _why(answer))


def _why(answer: Json) -> str:
    """The reason, and what the stage depends on, beside the last run of the same stage."""
    text = pairs([(name, answer[name]) for name in ("run", "stage", "state", "reason")])
    parts = answer["parts"]
    if not parts:
        return text
    if not any(part["before"] is not None for part in parts):
        rows = [(part["part"], _short(part["now"])) for part in parts]
        return f"{text}\n\n{table(['part', 'now'], rows)}"
    compared = [
        (p["part"], _short(p["now"]), _short(p["before"]), "changed" if p["changed"] else "")
        for p in parts
    ]
    return f"{text}\n\n{table(['part', 'now', 'before', ''], compared)}"


def _short(value: object) -> str:
    return clip(str(value), 44) if value not in (None, "", {}, []) else "-"
