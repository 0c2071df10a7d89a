"""``stix volumes``: storage with a name that outlives nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stix.cli.lazy import Entry, LazyGroup
from stix.cli.options import connect, output_option
from stix.cli.output import ago, message, show, table
from stix.errors import StixError, UsageError

if TYPE_CHECKING:
    from stix.client.api import Json

ENTRIES = {
    "apply": Entry("stix.cli.volumes:apply", "Make a volume, or see that it is there."),
    "ls": Entry("stix.cli.volumes:ls", "List volumes."),
    "delete": Entry("stix.cli.volumes:delete", "Delete volumes with what they hold."),
}


@click.group(cls=LazyGroup, entries=ENTRIES)
def volumes() -> None:
    """Volumes. A stage names one by `volumes: {/path: NAME}`, and runs where it is."""


@click.command()
@click.argument("file", required=False)
@click.option("-n", "--name", "name", help="By which stages name it.")
@click.option("--infra", metavar="PLACE", help="cloud, cloud/region or cloud/region/zone.")
@click.option("--type", "type", metavar="TYPE", help="Such as k8s-pvc; a wrong one lists all.")
@click.option("--size", metavar="GIB", help="Such as 100 or 100Gi.")
@click.option(
    "--use-existing/--no-use-existing",
    default=None,
    help="It is there, made by others: use it, and never delete it.",
)
@output_option
def apply(file: str | None, output: str, **said: str | bool | None) -> None:
    """Make the volume that FILE or the options describe; again is as good as once."""
    from stix.client.volumes import apply_volume

    given = {field: value for field, value in said.items() if value is not None}
    if file is None and not given:
        raise UsageError("there is no volume to make", fix="name a file, or give --name and --type")
    made = apply_volume(connect(), file, given)
    show(output, made, lambda: f"volume {made['name']} is {made['state']} in {_place(made)}")


@click.command()
@click.argument("names", nargs=-1)
@click.option("-v", "--verbose", is_flag=True, help="With the provider's names, labels, options.")
@click.option("-r", "--refresh", is_flag=True, help="Ask the clouds whether they have them.")
@output_option
def ls(names: tuple[str, ...], verbose: bool, refresh: bool, output: str) -> None:
    """List volumes, with who uses them."""
    rows = connect().volumes(refresh=refresh)
    _known(names, rows)
    shown = [row for row in rows if not names or row["name"] in names]
    show(output, shown, lambda: _table(shown, verbose=verbose))


@click.command()
@click.argument("names", nargs=-1)
@click.option("-a", "--all", "every", is_flag=True, help="All volumes.")
@click.option("-p", "--purge", is_flag=True, help="Forget it even where its cloud fails.")
@click.option("-y", "--yes", is_flag=True, help="Ask no question.")
@output_option
def delete(names: tuple[str, ...], every: bool, purge: bool, yes: bool, output: str) -> int:
    """Delete volumes with what they hold. One that a run uses is refused."""
    client = connect()
    rows = client.volumes()
    _known(names, rows)
    if bool(names) == every:
        raise UsageError("name volumes to delete, or all", fix="write NAME..., or -a alone")
    doomed = [row["name"] for row in rows] if every else list(dict.fromkeys(names))
    if doomed and not yes:
        question = f"Delete {', '.join(doomed)}, with all that is in there?"
        click.confirm(question, abort=True, err=True)
    gone, failed = [], []
    for name in doomed:
        try:
            client.delete_volume(name, purge=purge)
        except StixError as error:
            failed.append({"name": name, "error": error.message, "fix": error.fix})
            message(f"stix: {name}: {error}")
        else:
            gone.append(name)
    done = {"deleted": gone, "failed": failed}
    show(output, done, lambda: f"deleted: {', '.join(gone) or 'none'}")
    return 1 if failed else 0


def _known(names: tuple[str, ...], rows: list[Json]) -> None:
    from stix.cli.lazy import unknown

    known = [row["name"] for row in rows]
    for name in names:
        if name not in known:
            raise UsageError(
                unknown("volume", name, known), fix="Volumes: " + (", ".join(known) or "none")
            )


def _place(row: Json) -> str:
    parts = (row["cloud"], row["region"], row["zone"])
    return "/".join(part for part in parts if part and part != "-")


def _table(rows: list[Json], *, verbose: bool) -> str:
    if not rows:
        return "There are no volumes."
    head = ["name", "type", "place", "size", "state", "created", "attached", "used by"]
    head += ["id", "labels", "config", "existing"] if verbose else []
    return table(head, [_row(row, verbose=verbose) for row in rows])


def _row(row: Json, *, verbose: bool) -> tuple[Any, ...]:
    state = "missing" if row.get("missing") else row["state"]
    plain = (
        row["name"],
        row["kind"],
        _place(row),
        f"{row['size_gib']:g} GiB" if row["size_gib"] else "-",
        f"{state} ({row['reason']})" if row["reason"] else state,
        ago(row["created"]),
        ago(row["attached"]) if row["attached"] else "never",
        ", ".join(row["used_by"]) or "-",
    )
    more = (row["id"], _words(row["labels"]), _words(row["config"]), row["existing"] or "-")
    return (*plain, *more) if verbose else plain


def _words(pairs: Json) -> str:
    return ", ".join(f"{key}={value}" for key, value in pairs.items()) or "-"
