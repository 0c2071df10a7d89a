"""``stix artifacts lineage``: where an artifact came from, and what was made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stix.cli.artifacts import run_option
from stix.cli.options import connect, output_option
from stix.cli.output import ago, message, show, table
from stix.errors import UsageError

if TYPE_CHECKING:
    from stix.client.api import Json

SHORT = 12


def commit_of(code: Json) -> str:
    """The commit of a stage's workdir in words; empty where it is of none that is known."""
    git = code["git"]
    if not git:
        return ""
    return f"commit {git['commit'][:SHORT]}" + (" with changes" if git.get("dirty") else "")


@click.command()
@click.argument("name")
@run_option
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.svg",
    help="Draw it.",
)
@output_option
def lineage(name: str, run: str, picture: Path | None, output: str) -> None:
    """Show which stages made artifact NAME (STAGE.OUTPUT or a digest), and which used it.

    Back to the code that was sent with the runs, with its commit in git, and forward to all that
    was made of it.
    """
    from stix.client.artifacts import find

    if picture is not None and picture.suffix.lower() != ".svg":
        raise UsageError(f"--picture {picture}: pictures are SVG", fix="name it lineage.svg")
    client = connect()
    answer = client.artifact_lineage(find(client, name, run))
    if picture is not None:
        _draw(answer, name, picture)
    show(output, answer, lambda: _text(answer))


def _draw(answer: Json, name: str, picture: Path) -> None:
    from stix.cli.lineagepicture import svg

    try:
        picture.write_text(svg(answer, name), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{picture} cannot be written: {error.strerror}") from None
    message(f"picture: {picture}")


def _text(answer: Json) -> str:
    if not answer["steps"]:
        return "No run that is known made or used it."
    rows = [
        (
            step["run_id"],
            step["key"],
            ago(step["ended"]),
            _code(step["code"]),
            _named(step["inputs"]),
            _named({n: [d] for n, d in step["outputs"].items()}),
        )
        for step in answer["steps"]
    ]
    more = "\n\nThere is more." if answer["cut"] else ""
    return table(["run", "stage", "ended", "code", "inputs", "outputs"], rows) + more


def _code(code: Json) -> str:
    sent = _named({s: [d] for s, d in code["uploads"].items()})
    return ", ".join(filter(None, (sent, commit_of(code))))


def _named(digests: dict[str, list[str]]) -> str:
    return ", ".join(f"{n}={d[:SHORT]}" for n, several in digests.items() for d in several) or "-"
