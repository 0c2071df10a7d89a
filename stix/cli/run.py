"""``stix run``: submit a pipeline file and follow it."""

from __future__ import annotations

from typing import Any

import click

from stix.cli.options import GroupedCommand, connect, output_option, overriding
from stix.cli.output import message, show


@click.command(cls=GroupedCommand)
@click.argument("file")
@overriding
@click.option("--no-cache", is_flag=True, help="Run every stage, even if its outputs are known.")
@click.option("--force", multiple=True, metavar="STAGE", help="Run this stage in any case.")
@click.option(
    "--accept",
    multiple=True,
    metavar="STAGE",
    help="Take the outputs of the stage's last run as they are, whatever changed since.",
)
@click.option("--detach", "-d", is_flag=True, help="Print the run's id and leave.")
@output_option
def run(file: str, detach: bool, output: str, given: dict[str, Any], **how: Any) -> int:
    """Run pipeline FILE and follow it to its end.

    Ctrl-C detaches: the run goes on. A second Ctrl-C within 3 s asks to cancel it.
    Exit codes: 0 done, 1 could not run, 2 usage, 100 a stage failed, 103 cancelled.
    """
    from stix.client.submit import Options, prepare, secret_values, submit
    from stix.spec.changes.overrides import Overrides

    options = Options(**how, given=Overrides.of_command(given))
    prepared = prepare(file, options)
    for warning in prepared.warnings:
        message(str(warning))
    client = connect(hidden=secret_values(prepared, options))
    made = submit(client, prepared, options)
    if detach:
        show(output, made, lambda: str(made["id"]))
        return 0
    message(f"run {made['id']} ({made['name']})")
    from stix.cli.follow import follow

    return follow(client, str(made["id"]), output=output)
