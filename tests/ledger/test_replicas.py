"""Which store holds which artifact: recorded with it, and filled for what was there before."""

from __future__ import annotations

from typing import Any

import asyncpg

from stix.ledger.migrations.versions.v0005_replicas import STATEMENTS

ONE, TWO = "a" * 64, "b" * 64
FACTS = {"attempt": 1, "bytes": 1, "files": 1}


def manifest(store: str, digest: str) -> str:
    return f"{store}/manifests/{digest[:2]}/{digest}.json"


async def record(world: Any, digest: str, store: str) -> None:
    await world.ledger.start_attempt(world.fence, "a", 1, None)
    await world.ledger.add_artifact(
        world.fence,
        key="a",
        name="x",
        kind="output",
        digest=digest,
        url=manifest(store, digest),
        **FACTS,
    )


async def test_a_recorded_artifact_lies_in_the_store_of_its_url(world: Any) -> None:
    ledger = world.ledger
    await record(world, ONE, "s3://b/manifests/p")
    facts = {**FACTS, "name": "00000001", "digest": TWO, "url": manifest("file:///x", TWO)}
    await ledger.add_checkpoint(world.fence, "a", 1, facts)
    assert await ledger.replicas() == {ONE: ["s3://b/manifests/p"], TWO: ["file:///x"]}
    await ledger.add_replicas(ONE, ["gs://c", "s3://b/manifests/p"])
    assert await ledger.replicas([ONE]) == {ONE: ["s3://b/manifests/p", "gs://c"]}
    await ledger.forget_replicas("gs://c", [ONE, TWO])
    await ledger.forget_replicas("file:///x", [TWO])
    assert await ledger.replicas([ONE, TWO]) == {ONE: ["s3://b/manifests/p"]}
    assert await ledger.replicas([]) == {}


async def test_what_was_there_before_is_filled_in(world: Any, raw: asyncpg.Connection) -> None:
    await record(world, ONE, "s3://b/p")
    await raw.execute("DELETE FROM replicas")
    await raw.execute(STATEMENTS[1])
    assert await world.ledger.replicas() == {ONE: ["s3://b/p"]}
