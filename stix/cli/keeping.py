"""``stix artifacts gc``, ``verify``, ``put`` and ``replicate``: what happens to the stores."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stix.cli.artifacts import run_option
from stix.cli.options import connect, output_option
from stix.cli.output import pairs, show, size, table
from stix.errors import StixError

if TYPE_CHECKING:
    from stix.client.api import Json


def _seconds(_: click.Context, __: click.Parameter, value: str) -> float:
    from stix.spec.values import duration

    try:
        return duration(value)
    except ValueError:
        said = f"{value!r} is not a duration: write something like 12h or 30d"
        raise click.BadParameter(said) from None


@click.command()
@click.option(
    "--older-than",
    "older_s",
    default="30d",
    show_default=True,
    callback=_seconds,
    metavar="TIME",
    help="Give up the artifacts of runs that ended longer ago.",
)
@click.option(
    "--keep-last",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    metavar="N",
    help="But keep the newest N runs of each pipeline.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@output_option
def gc(output: str, **body: Any) -> int:
    """Delete artifacts that no run needs which is kept.

    Runs that are not over are always kept. What was written in the last three days stays in any
    case, so that a run which is being made finds what it relies on. Exit code 1 where a store could
    not be collected; the others were.
    """
    end: Json = {}
    for step in connect().artifacts_gc(body):
        if "error" in step:
            raise StixError(step["error"]["message"], fix=step["error"]["fix"])
        if "end" in step:
            end = step["end"]
        elif sys.stderr.isatty():
            print(f"\r{step['step']}: {step['done']} of {step['total']}  ", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    if not end:
        raise StixError("The server ended before the collection did.", fix="Run it again.")
    show(output, end, lambda: _freed(end))
    return 1 if any(store["problem"] for store in end["stores"]) else 0


def _freed(end: Json) -> str:
    rows = [
        (a["run_id"], a["name"], size(a["bytes"]), a["digest"], a["store"])
        for a in end["artifacts"]
    ]
    listed = table(["run", "artifact", "size", "digest", "store"], rows) + "\n\n" if rows else ""
    listed += "".join(f"{s['url']}: {s['problem']}\n" for s in end["stores"] if s["problem"])
    word = "Would free" if end["dry_run"] else "Freed"
    went = f"{len(rows)} artifact(s), {end['chunks']} chunk(s)"
    return f"{listed}{word} {size(end['bytes'])}: {went}. {end['kept']} artifact(s) stay."


@click.command()
@click.argument("name", required=False)
@run_option
@output_option
def verify(name: str | None, run: str, output: str) -> int:
    """Read artifact NAME (STAGE.OUTPUT or a digest) in its stores and compare all of it.

    Without NAME: all artifacts of --run, its logs too. What is damaged in one store and whole in
    another is mended from there. Exit code 1 where one stays damaged.
    """
    from stix.client.artifacts import find, outputs

    client = connect()
    if name is not None:
        wanted = {find(client, name, run): name}
    else:
        found = client.run(run)
        rows = {str(a["digest"]): f"{a['key']}.{a['name']}" for a in found["artifacts"]}
        wanted = {**rows, **{digest: name for name, digest in outputs(found).items()}}
    answers = [{"name": wanted[one], **client.artifact_verify(one)} for one in wanted]
    show(output, answers, lambda: _verified(answers))
    return 0 if all(answer["ok"] for answer in answers) else 1


def _verified(answers: list[Json]) -> str:
    if not answers:
        return "There is no artifact."
    rows = [
        (
            a["name"],
            _state(one["state"]),
            size(a["bytes"]),
            one["problem"] or a["digest"],
            one["url"],
        )
        for a in answers
        for one in a["stores"]
    ]
    return table(["artifact", "state", "size", "digest", "store"], rows)


def _state(word: str) -> str:
    return "ok" if word == "whole" else word.upper()


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@output_option
def put(path: Path, output: str) -> None:
    """Store the file or folder PATH; its digest names it from then on.

    It stays for three days at least, and longer where a run relies on it.
    """
    from stix.client.submit import upload

    client = connect()
    digest = upload(client, path.resolve())
    answer = client.artifact(digest)
    facts = {"digest": digest, "bytes": answer["bytes"], "files": len(answer["files"])}
    show(output, facts, lambda: pairs([*facts.items()]))


@click.command()
@click.argument("name")
@click.option("--to", "url", required=True, metavar="URL", help="A store that config.yaml names.")
@run_option
@output_option
def replicate(name: str, url: str, run: str, output: str) -> None:
    """Copy artifact NAME (STAGE.OUTPUT or a digest) to the store at URL.

    It is the same artifact there: stages read it from wherever that is cheapest.
    """
    from stix.client.artifacts import find

    client = connect()
    answer = client.artifact_replicate(find(client, name, run), url)
    show(output, answer, lambda: pairs([*answer.items()]))
