"""Buckets in the ledger: written down before they are made, and kept as long as one needs them."""

from __future__ import annotations

from typing import Any

import pytest

from stix.ledger import Fence, Fenced
from tests.ledger.conftest import World, new_run

URL = "s3://pictures"


async def other(world: World, run_id: str = "r2") -> Fence:
    await world.ledger.create_run(new_run(run_id))
    claim = await world.ledger.claim_run(world.engine, run_id)
    assert claim is not None
    return claim.fence


async def made(world: World, *, persistent: bool = False) -> None:
    await world.ledger.use_bucket(world.fence, URL, persistent=persistent)
    await world.ledger.add_bucket(world.fence, URL, "eu-west-1", made=True)
    await world.ledger.bucket_ready(world.fence, URL)


async def states(ledger: Any) -> list[tuple[str, str, bool]]:
    return [(row.url, row.state, row.made) for row in await ledger.buckets()]


async def test_the_first_of_a_url_stays(world: World) -> None:
    ledger = world.ledger
    await ledger.add_bucket(world.fence, URL, "eu-west-1", made=True)
    await ledger.add_bucket(world.fence, URL, "other", made=False)
    (row,) = await ledger.buckets(URL)
    assert (row.region, row.made, row.state) == ("eu-west-1", True, "making")
    await ledger.bucket_ready(world.fence, URL)
    await ledger.add_bucket(world.fence, "gs://theirs", "", made=False)
    assert await states(ledger) == [(URL, "ready", True), ("gs://theirs", "ready", False)]
    await ledger.remake_bucket(world.fence, "gs://theirs")
    assert (await states(ledger))[1] == ("gs://theirs", "making", True)
    assert await ledger.buckets("s3://none") == []


async def test_what_was_copied_there(world: World) -> None:
    ledger = world.ledger
    await made(world)
    assert await ledger.bucket_content(world.run, URL) == {}
    await ledger.bucket_filled(world.fence, URL, "", "d1")
    await ledger.bucket_filled(world.fence, URL, "a/b", "d2")
    await ledger.use_bucket(world.fence, URL, persistent=False)
    assert await ledger.bucket_content(world.run, URL) == {"": "d1", "a/b": "d2"}
    assert await ledger.bucket_content("r2", URL) == {}


async def test_a_bucket_goes_with_the_last_run_that_needs_it(world: World) -> None:
    ledger = world.ledger
    await made(world)
    second = await other(world)
    assert await ledger.doom_buckets() == []  # its run goes on
    await ledger.use_bucket(second, URL, persistent=False)
    assert await ledger.doom_buckets(world.run) == []  # another needs it
    await ledger.finish_run(world.fence, "succeeded", None)
    assert await ledger.doom_buckets("r3") == []  # of whom it is none
    (row,) = await ledger.doom_buckets("r2")
    assert (row.url, row.state) == (URL, "deleting")
    assert not await ledger.spare_bucket(URL, "r2")
    await ledger.forget_bucket(URL, "r2")
    assert await ledger.buckets() == [] == await ledger.doom_buckets()


async def test_one_that_begins_to_use_it_meanwhile_keeps_it(world: World) -> None:
    ledger = world.ledger
    await made(world)
    second = await other(world)
    assert len(await ledger.doom_buckets(world.run)) == 1
    await ledger.use_bucket(second, URL, persistent=False)
    assert await ledger.spare_bucket(URL, world.run)
    await ledger.forget_bucket(URL, world.run)
    assert await states(ledger) == [(URL, "ready", True)]


async def test_the_use_of_one_that_waits_for_the_end_of_it_stays(world: World) -> None:
    ledger = world.ledger
    await made(world)
    second = await other(world)
    await ledger.doom_buckets(world.run)
    assert not await ledger.spare_bucket(URL, world.run)
    await ledger.use_bucket(second, URL, persistent=False)  # later than it was looked for
    await ledger.forget_bucket(URL, world.run)
    await ledger.add_bucket(second, URL, "", made=True)
    assert [row.url for row in await ledger.doom_buckets("r2")] == [URL]


@pytest.mark.parametrize("ours", [True, False])
async def test_what_is_to_stay_stays(world: World, ours: bool) -> None:
    """Where one run says so, and where it was there before."""
    ledger = world.ledger
    await ledger.use_bucket(world.fence, URL, persistent=ours)
    await ledger.use_bucket(world.fence, URL, persistent=False)
    await ledger.add_bucket(world.fence, URL, "", made=ours)
    await ledger.finish_run(world.fence, "failed", None)
    assert await ledger.doom_buckets() == []


async def test_an_engine_that_lost_its_run_writes_nothing(world: World) -> None:
    stale = Fence(world.run, world.fence.token - 1)
    ledger = world.ledger
    with pytest.raises(Fenced):
        await ledger.use_bucket(stale, URL, persistent=True)
    with pytest.raises(Fenced):
        await ledger.add_bucket(stale, URL, "", made=True)
    assert await ledger.buckets() == []
