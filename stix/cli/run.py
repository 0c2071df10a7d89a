"""``stix run``: submit a pipeline file and follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stix.cli.options import connect, env_option, output_option, secret_option
from stix.cli.output import message, show

if TYPE_CHECKING:
    from stix.client.submit import Options


@click.command()
@click.argument("file")
@env_option
@secret_option
@click.option("--name", "-n", help="Name of the run instead of the file's.")
@click.option("--no-cache", is_flag=True, help="Run every stage, even if its outputs are known.")
@click.option("--force", multiple=True, metavar="STAGE", help="Run this stage in any case.")
@click.option("--detach", "-d", is_flag=True, help="Print the run's id and leave.")
@output_option
def run(file: str, detach: bool, output: str, **given: object) -> int:
    """Run pipeline FILE and follow it to its end.

    Ctrl-C detaches: the run goes on. A second Ctrl-C within 3 s asks to cancel it.
    Exit codes: 0 done, 1 could not run, 2 usage, 100 a stage failed, 103 cancelled.
    """
    from stix.client.submit import prepare, secret_values, submit

    options = _options(given)
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


def _options(given: dict[str, object]) -> Options:
    from stix.client.submit import Options
    from stix.spec.overrides import Overrides

    def texts(name: str) -> tuple[str, ...]:
        value = given[name]
        assert isinstance(value, tuple)
        return value

    parsed = Overrides.parse(texts("env"), texts("secret"))
    name = given["name"]
    return Options(
        name=str(name) if name is not None else None,
        envs=parsed.envs,
        secrets=parsed.secrets,
        no_cache=bool(given["no_cache"]),
        force=texts("force"),
    )
