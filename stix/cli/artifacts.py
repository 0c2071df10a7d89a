"""``stix artifacts``: list outputs and fetch them; `keeping` and `lineage` have the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stix.cli.lazy import Entry, LazyGroup
from stix.cli.options import connect, output_option
from stix.cli.output import ago, message, pairs, show, size, table

if TYPE_CHECKING:
    from stix.client.api import Client, Json

ENTRIES = {
    "ls": Entry("stix.cli.artifacts:ls", "List the artifacts of a run."),
    "show": Entry("stix.cli.artifacts:show_one", "Show an artifact and its files."),
    "get": Entry("stix.cli.artifacts:get", "Fetch an artifact into a directory."),
    "put": Entry("stix.cli.keeping:put", "Store a file or a folder."),
    "verify": Entry("stix.cli.keeping:verify", "Compare artifacts with their digests."),
    "replicate": Entry("stix.cli.keeping:replicate", "Copy an artifact to one more store."),
    "lineage": Entry("stix.cli.lineage:lineage", "Show what made an artifact, and who used it."),
    "gc": Entry("stix.cli.keeping:gc", "Delete artifacts that no run needs."),
}


@click.group(cls=LazyGroup, entries=ENTRIES)
def artifacts() -> None:
    """Outputs of stages. Name one as STAGE.OUTPUT (of --run, default latest) or by its digest."""


@click.command()
@click.argument("run", default="latest")
@click.option("--all", "every", is_flag=True, help="Of every run, logs too.")
@output_option
def ls(run: str, every: bool, output: str) -> None:
    """List the artifacts of RUN (default: the latest)."""
    client = connect()
    found = client.artifacts() if every else _of_run(client, client.run(run))
    show(output, found, lambda: _table(found))


def _of_run(client: Client, run: Json) -> list[Json]:
    """The outputs of a run; those of cached stages were made by another, and are looked up."""
    from stix.client.artifacts import outputs

    rows_of = client.artifacts(run["id"])
    made = {f"{a['key']}.{a['name']}": a for a in rows_of if a["kind"] == "output"}
    rows = []
    for name, digest in outputs(run).items():
        if name in made:
            rows.append(made[name])
            continue
        key, _, output = name.rpartition(".")
        known = client.artifact(digest)
        rows.append(
            {
                "run_id": run["id"],
                "key": key,
                "name": output,
                "digest": digest,
                "bytes": known["bytes"],
                "files": sum(file["type"] == "file" for file in known["files"]),
                "stores": [one["url"] for one in known["stores"] if one["state"] == "there"],
            }
        )
    return rows


def _table(found: list[Json]) -> str:
    if not found:
        return "There is no artifact."
    rows = [
        (
            a.get("run_id"),
            f"{a['key']}.{a['name']}",
            size(a.get("bytes")),
            a.get("files"),
            a["digest"],
            " ".join(a.get("stores", ())),
        )
        for a in found
    ]
    return table(["run", "artifact", "size", "files", "digest", "stores"], rows)


run_option = click.option(
    "--run", default="latest", show_default=True, help="Id, prefix or latest."
)


@click.command("show")
@click.argument("name")
@run_option
@output_option
def show_one(name: str, run: str, output: str) -> None:
    """Show artifact NAME (STAGE.OUTPUT or a digest) and its files."""
    from stix.client.artifacts import find

    client = connect()
    answer = client.artifact(find(client, name, run))
    show(output, answer, lambda: _describe(answer))


def _describe(answer: Json) -> str:
    facts = [(k, v) for k, v in answer.items() if not isinstance(v, list | dict)]
    facts += [(one["state"], one["url"]) for one in answer["stores"] if one["state"] != "missing"]
    facts = [(k, size(v) if k == "bytes" else ago(v) if k == "created" else v) for k, v in facts]
    files = (
        [f for f in answer.get("files", []) if isinstance(f, dict)]
        if isinstance(answer.get("files"), list)
        else []
    )
    rows = [(f.get("path"), size(f.get("size", f.get("bytes")))) for f in files]
    return pairs(facts) + (f"\n\n{table(['file', 'size'], rows)}" if rows else "")


@click.command()
@click.argument("name")
@click.argument("target", type=click.Path(path_type=Path), required=False)
@run_option
@output_option
def get(name: str, target: Path | None, run: str, output: str) -> None:
    """Fetch artifact NAME (STAGE.OUTPUT or a digest) into directory TARGET.

    TARGET defaults to a new directory of that name here.
    """
    from stix.client.artifacts import download, find

    client = connect()
    digest = find(client, name, run)
    place = target or Path(name.replace("/", "-").replace(":", "-"))
    files = download(client, digest, place)
    data = {"digest": digest, "path": str(place.absolute()), "files": files}
    message(f"{len(files)} file(s) in {place}")
    show(output, data, lambda: "\n".join(str(place / f) for f in files))
