"""Buckets that stages name, on a real S3 server: made, filled, read, removed with the run."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.errors import StixError
from stix.spec.stage import StageSpec
from stix.storage.stores.s3 import S3Store
from stix.tasks.buckets import with_store
from tests.support.fuse import need_fuse, unmount_all
from tests.support.s3 import S3Server, s3_server
from tests.support.yard import Ended, Yard

__all__ = ["s3_server"]
pytestmark = pytest.mark.server


@pytest.fixture
def store(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """The store, which this process finds as a user's does: by the environment."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return S3Store()


@pytest.fixture
def name(store: S3Store) -> Iterator[str]:
    """A name that no bucket has; one that is made is gone after the test."""
    made = f"pictures-{uuid.uuid4().hex[:12]}"
    yield made
    store.delete_bucket(made, force=True)


@pytest.fixture
def files(yard: Yard) -> Path:
    folder = yard.workshop.folder / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "one").write_text("1")
    (folder / "sub" / "two").write_text("2")
    (folder / "run.log").write_text("not sent")
    (folder / ".skyignore").write_text("*.log\n")
    return folder


def pipeline(mount: str, run: str = "find d -type f | sort > out", more: str = "") -> str:
    return f"""
name: buckets
stages:
  main:
    cache: false
    file_mounts: {{d: {{{mount}}}}}
    run: {run}
    outputs: {{text: out}}
{more}"""


def text_of(yard: Yard, ended: Ended) -> str:
    assert ended.state == "succeeded", (ended.message, ended.stages["main"].reason)
    target = yard.workshop.folder / "read"
    yard.workshop.runtime.store.get(ended.stages["main"].outputs["text"], target, replace=True)
    return target.read_text()


def names(store: S3Store) -> set[str]:
    return {bucket.url for bucket in store.buckets()}


def keys(store: S3Store, name: str) -> set[str]:
    return {key.removeprefix(f"{name}/") for key in store.filesystem().find(name)}


async def test_a_folder_comes_to_the_node_by_a_bucket_that_stays(
    yard: Yard, store: S3Store, name: str, files: Path
) -> None:
    text = pipeline(f"name: {name}, source: data, store: S3, mode: COPY")
    ended = await yard.run(text)
    assert text_of(yard, ended).split() == ["d/.skyignore", "d/one", "d/sub/two"]
    assert keys(store, name) == {".skyignore", "one", "sub/two"}
    (row,) = await yard.ledger.buckets()
    assert (row.url, row.made, row.state) == (f"s3://{name}", True, "ready")
    # Again: what changed is sent, what others put there stays and comes along.
    store.put(f"s3://{name}/theirs", b"x")
    (files / "one").write_text("changed")
    again = await yard.run(
        pipeline(f"name: {name}, source: data, mode: COPY", "cat d/one d/theirs > out")
    )
    assert text_of(yard, again) == "changedx"


@pytest.mark.full
async def test_several_sources_below_a_prefix(
    yard: Yard, store: S3Store, name: str, files: Path
) -> None:
    (yard.workshop.folder / "single").write_text("s")
    mount = f"name: {name}, source: [./data, ./single], _bucket_sub_path: a/b, mode: COPY"
    ended = await yard.run(pipeline(mount))
    assert keys(store, name) == {
        f"a/b/{k}" for k in ("data/.skyignore", "data/one", "data/sub/two", "single")
    }
    assert text_of(yard, ended).split() == [
        "d/data/.skyignore",
        "d/data/one",
        "d/data/sub/two",
        "d/single",
    ]


@pytest.mark.parametrize("command", [pytest.param("true > out", marks=pytest.mark.full), "exit 3"])
async def test_a_bucket_that_is_not_to_stay_goes_with_its_run(
    yard: Yard, store: S3Store, name: str, files: Path, command: str
) -> None:
    """However the run ends; stages of it share the bucket."""
    mount = f"name: {name}, source: data, persistent: false, mode: COPY"
    other = f"""
  other:
    matrix: {{x: [1, 2, 3]}}
    needs: [first]
    file_mounts: {{e: {{name: {name}, source: data, persistent: false, mode: COPY}}}}
    run: test "$(cat e/sub/two)" = 2
  first: {{run: "true"}}
"""
    ended = await yard.run(pipeline(mount, command, other))
    assert {str(ended.stages[f"other[x={x}]"].state) for x in (1, 2, 3)} == {"succeeded"}
    assert (ended.state == "succeeded") == (command != "exit 3")
    assert f"s3://{name}" not in names(store)
    assert await yard.ledger.buckets() == []


@pytest.mark.full
async def test_a_cancelled_run_leaves_no_bucket(
    yard: Yard, store: S3Store, name: str, files: Path
) -> None:
    mark = yard.workshop.folder / "mark"
    mount = f"name: {name}, source: data, persistent: false, mode: COPY"
    run_id = await yard.start(pipeline(mount, f"touch {mark}; sleep 60"))
    while not mark.exists():
        await asyncio.sleep(0.05)
    assert f"s3://{name}" in names(store)
    await yard.ledger.request_cancel(run_id, "enough")
    assert (await yard.end(run_id)).state == "cancelled"
    assert f"s3://{name}" not in names(store)


@pytest.mark.full
async def test_what_was_there_before_is_not_removed(
    yard: Yard, store: S3Store, name: str, files: Path
) -> None:
    store.create_bucket(name, "", {})
    store.put(f"s3://{name}/theirs", b"x")
    mount = f"name: {name}, source: data, persistent: false, mode: COPY"
    ended = await yard.run(pipeline(mount, "cat d/theirs > out"))
    assert text_of(yard, ended) == "x"
    assert keys(store, name) == {"theirs", "one", "sub/two", ".skyignore"}


async def test_the_next_engine_finishes_what_a_dead_one_began(
    yard: Yard, store: S3Store, name: str, files: Path
) -> None:
    """The first one died between its note and the making; and it had made one for a dead run."""
    text = pipeline(f"name: {name}, source: data, persistent: false, mode: COPY")
    claim, die = await yard.begun_elsewhere(text)
    await yard.ledger.use_bucket(claim.fence, f"s3://{name}", persistent=False)
    await yard.ledger.add_bucket(claim.fence, f"s3://{name}", "", made=True)
    ended = await die()
    assert "d/one" in text_of(yard, ended)
    assert f"s3://{name}" not in names(store) and await yard.ledger.buckets() == []


@pytest.mark.full
async def test_a_run_waits_while_the_bucket_of_an_earlier_one_goes(
    yard: Yard, store: S3Store, name: str, files: Path
) -> None:
    """Whoever removes it looks once more, and leaves it to the run that came meanwhile."""
    text = pipeline(f"name: {name}, source: data, persistent: false, mode: COPY")
    url = f"s3://{name}"
    claim, _ = await yard.begun_elsewhere(text)
    await yard.ledger.use_bucket(claim.fence, url, persistent=False)
    await yard.ledger.add_bucket(claim.fence, url, "", made=True)
    await yard.ledger.finish_run(claim.fence, "failed", None)
    assert len(await yard.ledger.doom_buckets()) == 1
    run_id = await yard.start(text)
    while not await yard.ledger.spare_bucket(url):  # as who removes it looks, once
        await asyncio.sleep(0.05)
    ended = await yard.end(run_id)
    assert "d/one" in text_of(yard, ended)
    assert url not in names(store) and await yard.ledger.buckets() == []


@pytest.mark.full
async def test_a_bucket_that_somebody_removed_is_made_again(
    yard: Yard, store: S3Store, name: str, files: Path
) -> None:
    text = pipeline(f"name: {name}, source: data, mode: COPY")
    await yard.run(text)
    store.delete_bucket(name, force=True)
    assert "d/one" in text_of(yard, await yard.run(text))


@pytest.mark.full
async def test_a_bucket_that_cannot_be_had(
    yard: Yard, store: S3Store, files: Path, monkeypatch: pytest.MonkeyPatch, s3_server: S3Server
) -> None:
    for variable, value in (
        ("ACCESS_KEY_ID", "stix-reader"),
        ("SECRET_ACCESS_KEY", s3_server.reader),
    ):
        monkeypatch.setenv(f"AWS_{variable}", value)
    text = pipeline(
        f"name: not-ours-{uuid.uuid4().hex[:8]}, source: data, persistent: false, mode: COPY"
    )
    ended = await yard.run(
        text.replace("cache: false", "cache: false\n    recovery: {setup_failed: {retries: 0}}")
    )
    assert ended.state == "failed"
    reason = str(ended.stages["main"].reason)
    assert "the bucket s3://not-ours-" in reason and s3_server.reader not in reason


@pytest.fixture
def fuse(yard: Yard) -> Iterator[None]:
    """Nothing stays mounted."""
    need_fuse()
    yield
    unmount_all(yard.workshop.runtime.config.home)


@pytest.mark.usefixtures("fuse")
async def test_a_mounted_bucket_is_made_and_filled_as_well(
    yard: Yard, store: S3Store, name: str, files: Path
) -> None:
    """What one stage writes there another one reads, below the same prefix."""
    mount = f"name: {name}, source: data, _bucket_sub_path: run/1, persistent: false"
    more = f"""
  after:
    needs: [main]
    file_mounts: {{e: {{{mount}, mode: COPY}}}}
    run: test "$(cat e/made)" = "1 by main" && test -e e/sub/two
"""
    command = 'echo "$(cat d/one) by main" > d/made; ls d > out'
    ended = await yard.run(pipeline(mount, command, more))
    assert set(text_of(yard, ended).split()) == {"made", "one", "sub"}
    assert ended.states == {"main": "succeeded", "after": "succeeded"}
    assert f"s3://{name}" not in names(store)


def test_the_default_store_is_the_server_s() -> None:
    specs = {"a": StageSpec(run="x", file_mounts={"/d": {"name": "abc"}, "/e": "s3://b"})}
    assert with_store(specs, "")["a"].file_mounts["/d"].store == "S3"
    assert with_store(specs, "GCS")["a"].file_mounts["/d"].store == "GCS"
    assert with_store(specs, "GCS")["a"].file_mounts["/e"].store is None
    for wrong in ("HF", "S4"):
        with pytest.raises(StixError, match=wrong):
            with_store(specs, wrong)
