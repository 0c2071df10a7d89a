"""``stix storage``: buckets and objects of every store, without a server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from stix.cli.lazy import Entry, LazyGroup
from stix.cli.options import output_option
from stix.cli.output import ago, message, pairs, show, size, table, usd
from stix.errors import StixError, UsageError

if TYPE_CHECKING:
    from stix.storage.base import Store

ENTRIES = {
    "ls": Entry("stix.cli.storage:ls", "List buckets, or what lies below a URL."),
    "create": Entry("stix.cli.storage:create", "Make a bucket, in a chosen region."),
    "delete": Entry("stix.cli.storage:delete", "Delete a bucket, or what lies below a URL."),
    "cp": Entry("stix.cli.storage:cp", "Copy between stores and this machine."),
    "du": Entry("stix.cli.storage:du", "Count objects and bytes, and what they cost."),
    "check": Entry("stix.cli.storage:check", "Which stores can be used, and what they can do."),
}
# These would be seen in the process list and the shell's history.
SECRETS = {"key", "secret", "token", "account_key", "sas_token", "connection_string", "password"}
ABILITIES = {
    "place": "HasLocation",
    "price": "HasPrice",
    "conditions": "CanPutIfMatch",
    "buckets": "CanManageBuckets",
    "lend": "CanLend",
    "sign": "CanSign",
    "signed put": "CanSignPut",
    "mount": "CanMount",
    "copy inside": "CanCopyInside",
}


@click.group(cls=LazyGroup, entries=ENTRIES)
def storage() -> None:
    """Buckets and objects. A URL is s3://bucket/prefix, gs://, az://, sftp://host/path, a path."""


store_option = click.option(
    "--store-option",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of the store, such as endpoint_url; secrets come from the store's own files.",
)


def _options(given: Iterable[str]) -> dict[str, Any]:
    found = {}
    for one in given:
        name, separator, value = one.partition("=")
        if not separator:
            raise UsageError(f"{name} has no value.", fix="Write --store-option NAME=VALUE.")
        if name in SECRETS:
            raise UsageError(
                f"{name} is a secret, and an argument is seen by others.",
                fix="Give it by the provider's own variables or files.",
            )
        found[name] = value
    return found


def _open(url: str, given: Iterable[str]) -> Store:
    from stix.storage.registry import open_store

    return open_store(url, **_options(given))


def _bucket_of(url: str) -> str:
    """The name of the bucket where the URL names one alone, else nothing."""
    scheme, _, path = url.partition("://")
    if scheme in {"file", "sftp"} or not path:
        return ""
    return "" if "/" in path.strip("/") else path.strip("/")


def _manager(url: str, given: Iterable[str]) -> Any:
    from stix.storage.base import CanManageBuckets

    store = _open(url, given)
    if not isinstance(store, CanManageBuckets):
        raise StixError(f"{store.scheme}:// has no buckets.", fix="Make a folder by copying to it.")
    return store


@click.command()
@click.argument("url", required=False)
@click.option("-r", "--recursive", is_flag=True, help="All that lies below, not one level.")
@store_option
@output_option
def ls(url: str | None, recursive: bool, given: tuple[str, ...], output: str) -> None:
    """List what lies below URL; of ``s3://`` and the like its buckets; of nothing, all buckets."""
    if url is None or url.endswith("://"):
        found = _buckets([url] if url else None, given)
        show(output, found, lambda: _bucket_table(found))
        return
    rows = _objects(url, recursive, given)
    show(output, rows, lambda: _object_table(rows))


def _buckets(urls: list[str] | None, given: Iterable[str]) -> list[dict[str, Any]]:
    """Of the given stores, which must answer; of all where none is given, as far as they do."""
    from stix.storage.base import CanManageBuckets
    from stix.storage.registry import schemes

    rows = []
    for url in urls or [f"{scheme}://" for scheme in schemes()]:
        try:
            store = _manager(url, given) if urls else _open(url, given)
            found = store.buckets() if isinstance(store, CanManageBuckets) else ()
        except StixError as error:
            if urls:
                raise
            message(f"{url}: {error.message}")
            continue
        rows += [
            {"url": b.url, "region": b.region, "created": b.created, "labels": dict(b.labels)}
            for b in found
        ]
    return rows


def _bucket_table(found: list[dict[str, Any]]) -> str:
    if not found:
        return "There is no bucket."
    rows = [(b["url"], b["region"] or None, ago(b["created"])) for b in found]
    return table(["bucket", "region", "made"], rows)


def _objects(url: str, recursive: bool, given: Iterable[str]) -> list[dict[str, Any]]:
    store = _open(url, given)
    with store.errors(url):
        path = store.path(url).rstrip("/")
        filesystem = store.filesystem()
        if recursive:
            listing = list(filesystem.find(path, detail=True).values())
        else:
            listing = filesystem.ls(path, detail=True)
    if not listing:
        from stix.storage.base import NotInStore

        raise NotInStore(f"Nothing lies at {url}.", fix="Check the name.")
    rows = [
        {
            "name": _below(str(one["name"]), path) + "/" * (one["type"] == "directory"),
            "bytes": None if one["type"] == "directory" else one["size"],
        }
        for one in listing
    ]
    return sorted(rows, key=lambda row: str(row["name"]))


def _below(name: str, top: str) -> str:
    inside = name.rstrip("/").removeprefix(top).strip("/")
    return inside or name.rstrip("/").rpartition("/")[2]


def _object_table(rows: list[dict[str, Any]]) -> str:
    return table(["size", "name"], [(size(row["bytes"]), row["name"]) for row in rows])


@click.command()
@click.argument("url")
@click.option("--region", default="", help="Where it shall lie; default: the store's own.")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Of the bucket.")
@store_option
@output_option
def create(
    url: str, region: str, labels: tuple[str, ...], given: tuple[str, ...], output: str
) -> None:
    """Make the bucket that URL names, such as s3://my-bucket. One of ours there is kept."""
    name = _bucket_of(url)
    store = _manager(url, given)
    if not name:
        raise UsageError(f"{url} names no bucket.", fix="Write SCHEME://NAME.")
    pairs_ = dict(label.partition("=")[::2] for label in labels)
    made = store.create_bucket(name, region, pairs_)
    show(output, {"url": made.url, "region": made.region}, lambda: f"{made.url} is there.")


@click.command()
@click.argument("url")
@click.option("-r", "--recursive", is_flag=True, help="All that lies below a prefix.")
@click.option("--force", is_flag=True, help="A bucket with what is in it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@store_option
def delete(url: str, recursive: bool, force: bool, yes: bool, given: tuple[str, ...]) -> None:
    """Delete the bucket that URL names, an object, or with -r all below a prefix.

    What is missing already is no error.
    """
    name = _bucket_of(url)
    what = f"the bucket {url}" if name else f"all below {url}" if recursive else url
    if not yes:
        click.confirm(f"Delete {what}?", abort=True, err=True)
    if name:
        _manager(url, given).delete_bucket(name, force=force)
    else:
        _delete(url, recursive, given)
    message(f"{what} is gone.")


def _delete(url: str, recursive: bool, given: Iterable[str]) -> None:
    from stix.storage.base import NotInStore

    store = _open(url, given)
    path = store.path(url).rstrip("/")
    if not path:
        raise UsageError(f"{url} names everything.", fix="Name what shall be deleted.")
    try:
        with store.errors(url):
            if recursive:
                store.filesystem().rm(path, recursive=True)
            else:
                store.filesystem().rm_file(path)
    except NotInStore:
        return


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only these (as .gitignore).")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Not these (as .gitignore).")
@click.option("--delete", "remove", is_flag=True, help="Remove at TARGET what SOURCE has not.")
@click.option("--verify", is_flag=True, help="Read back what was written and compare.")
@click.option("--limit", type=float, help="MiB per second.")
@output_option
def cp(source: str, target: str, output: str, **asked: Any) -> None:
    """Copy a file or a prefix from SOURCE to TARGET; only what TARGET has not yet.

    Both are URLs or paths. A copy that was cut short goes on where it stopped.
    """
    report = _copy(_as_url(source), _as_url(target), asked)
    show(
        output,
        report,
        lambda: (
            f"{report['files']} file(s), {size(report['bytes'])}; "
            f"{size(report['new_bytes'])} moved, {report['deleted']} removed."
        ),
    )


def _as_url(text: str) -> str:
    """A path as a URL, which keeps the / at its end."""
    from pathlib import Path

    if "://" in text:
        return text
    return Path(text).absolute().as_uri() + "/" * text.endswith("/")


def _copy(source: str, target: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The one place that calls the engine."""
    from dataclasses import asdict

    from stix.storage.transfer import Options, copy

    limit = asked["limit"]
    options = Options(
        include=asked["include"],
        exclude=asked["exclude"],
        delete=asked["remove"],
        verify=asked["verify"],
        limit=limit * 2**20 if limit else None,
    )
    return asdict(copy(source, target, options))


@click.command()
@click.argument("url")
@store_option
@output_option
def du(url: str, given: tuple[str, ...], output: str) -> None:
    """Count the objects and bytes below URL, and what they cost in a month."""
    from stix.storage.base import HasPrice, StorageError

    store = _open(url, given)
    with store.errors(url):
        sizes = [
            int(one["size"] or 0)
            for one in store.filesystem().find(store.path(url).rstrip("/"), detail=True).values()
        ]
    data: dict[str, Any] = {"objects": len(sizes), "bytes": sum(sizes)}
    if isinstance(store, HasPrice):
        try:
            price = store.price(url)
        except StorageError as error:
            message(error.message)
        else:
            data["usd_month"] = price.gib_month * sum(sizes) / 2**30
            data["price"] = f"{price.source} ({price.as_of})"
    show(
        output,
        data,
        lambda: pairs(
            [
                ("objects", data["objects"]),
                ("size", size(data["bytes"])),
                ("a month", usd(data["usd_month"]) if "usd_month" in data else None),
                ("price", data.get("price")),
            ]
        ),
    )


@click.command()
@click.argument("url", required=False)
@click.option("--write", is_flag=True, help="Write a small object below URL, and delete it.")
@store_option
@output_option
def check(url: str | None, write: bool, given: tuple[str, ...], output: str) -> int:
    """Which stores there are and what each can do; with URL, whether that one can be used."""
    if url is None:
        rows = _abilities()
        heads = ["store", *ABILITIES]
        show(output, rows, lambda: table(heads, [[_yes(r[h]) for h in heads] for r in rows]))
        return 0
    facts = _facts(url, write, given)
    show(output, facts, lambda: pairs([(k, _yes(v)) for k, v in facts.items()]))
    return 0


def _yes(value: Any) -> Any:
    return {True: "yes", False: "-"}.get(value, value) if isinstance(value, bool) else value


def _abilities() -> list[dict[str, Any]]:
    from stix.storage import base
    from stix.storage.registry import kind_of, schemes

    rows = []
    for scheme in schemes():
        members = dir(kind_of(scheme))
        row: dict[str, Any] = {"store": scheme}
        for word, name in ABILITIES.items():
            wanted = [m for m in vars(getattr(base, name)) if not m.startswith("_")]
            row[word] = all(member in members for member in wanted)
        rows.append(row)
    return rows


def _facts(url: str, write: bool, given: Iterable[str]) -> dict[str, Any]:
    """What the store says of the URL; the first call that is refused ends it."""
    from stix.storage.base import HasLocation, HasPrice, NotInStore, StorageError
    from stix.storage.registry import join

    store = _open(url, given)
    facts: dict[str, Any] = {"store": store.scheme}
    if isinstance(store, HasLocation):
        place = store.location(url)
        facts["place"] = "/".join(part for part in (place.cloud, place.region) if part)
    try:
        with store.errors(url):
            store.filesystem().ls(store.path(url), detail=True)
        facts["read"] = True
    except NotInStore:
        facts["read"] = "nothing is there yet"
    if write:
        probe = join(url, ".stix-check")
        store.put(probe, b"stix")
        with store.errors(probe):
            store.filesystem().rm_file(store.path(probe))
        facts["write"] = True
    if isinstance(store, HasPrice):
        try:
            price = store.price(url)
        except StorageError as error:
            facts["price"] = error.message
        else:
            facts["USD per GiB month"] = price.gib_month
            facts["price"] = f"{price.source} ({price.as_of})"
    return facts
