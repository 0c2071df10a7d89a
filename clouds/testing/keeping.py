"""Checks about volumes: made once, found again, kept while somebody uses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

from stix.clouds.base import CanListResources, CanMount, CanPrepare, HasVolumes, Node
from stix.clouds.errors import CloudError, VolumeInUse
from stix.clouds.testing.bench import Desk, demand_that, refs
from stix.clouds.volumes import VOLUME_TAG, Attachment, Volume, VolumeWish

PATH = "/stix-data"
MANY = 5


def _wish(at: Desk, number: int = 0) -> VolumeWish:
    known = at.bench.volume
    demand_that(known is not None, "the bench says what volume to make")
    assert known is not None
    return replace(known, name=f"v{number}-{at.run.removeprefix('run-')}")


@asynccontextmanager
async def _made(at: Desk, *wishes: VolumeWish) -> AsyncIterator[list[Volume]]:
    """Volumes that are gone at the end, with the nodes that hold them."""
    cloud = cast(HasVolumes, at.cloud)
    try:
        yield [await cloud.create_volume(wish) for wish in wishes]
    finally:
        if at.bench.faults is not None:
            at.bench.faults.watch()
        await at.other.terminate([node.ref for node in await at.listed(by=at.other)])
        for wish in wishes:
            await cast(HasVolumes, at.other).delete_volume(wish)


async def _seen(at: Desk, *wishes: VolumeWish) -> list[Volume]:
    """Those of the wishes that another engine sees."""
    names = {wish.name for wish in wishes}
    found = [v for v in await cast(HasVolumes, at.other).volumes() if v.name in names]
    return sorted(found, key=lambda volume: volume.name)


async def _node(at: Desk, wish: VolumeWish, volume: Volume) -> Node:
    """A node that has the volume at ``PATH``, ready for commands where it can be reached."""
    attached = Attachment(PATH, wish, volume.id)
    node = (await at.cloud.create(at.request(volumes=(attached,))))[0]
    if at.bench.reachable and isinstance(at.cloud, CanPrepare):
        node = await at.cloud.prepare(node)
    if isinstance(at.cloud, CanMount):
        await at.cloud.attach(node, [attached])
        if at.bench.reachable:
            await at.cloud.mount(node, [attached])
    return node


async def makes_a_volume_once(at: Desk) -> None:
    """Again, by another engine, and by several at one time. Needs ``HasVolumes``."""
    cloud, other, wish = cast(HasVolumes, at.cloud), cast(HasVolumes, at.other), _wish(at)
    async with _made(at, wish) as (first,):
        demand_that(wish.kind in cloud.volume_kinds(), "its kind is told", cloud.volume_kinds())
        same = [first.id, first.cloud, first.kind, first.name]
        named = [first.id, at.cloud.name, wish.kind, wish.name]
        demand_that(same == named, "a volume says what it is", first)
        acts = [each.create_volume(wish) for each in (cloud, other, cloud, other)]
        found = {volume.id for volume in await asyncio.gather(*acts)}
        demand_that(found == {first.id}, "a second wish gives the volume of the first", found)
        demand_that([v.id for v in await _seen(at, wish)] == [first.id], "there is one")


async def makes_a_volume_of_calls_at_one_time(at: Desk) -> None:
    """Needs ``HasVolumes``."""
    wish = _wish(at)
    acts = [cast(HasVolumes, c).create_volume(wish) for c in (at.cloud, at.other, at.cloud)]
    answers = await asyncio.gather(*acts)
    async with _made(at, wish):
        demand_that(len({a.id for a in answers}) == 1, "all callers get the same", answers)
        demand_that(len(await _seen(at, wish)) == 1, "and there is one")


async def lists_every_volume(at: Desk) -> None:
    """More than a page holds, those of nobody else. Needs ``HasVolumes``."""
    wishes = [_wish(at, number) for number in range(MANY)]
    async with _made(at, *wishes) as made:
        seen = await _seen(at, *wishes)
        demand_that([v.name for v in seen] == [w.name for w in wishes], "all are listed", seen)
        demand_that({v.id for v in seen} == {v.id for v in made}, "each by its id", seen)
        places = {(v.region, v.zone, v.size_gib) for v in seen}
        known = {(v.region, v.zone, v.size_gib) for v in made}
        demand_that(places == known, "with place and size", places)
        demand_that(not any(v.used_by for v in seen), "nobody uses them", seen)


async def deletes_a_volume_silently(at: Desk) -> None:
    """Needs ``HasVolumes``."""
    cloud, wish = cast(HasVolumes, at.cloud), _wish(at)
    await cloud.delete_volume(wish)
    async with _made(at, wish):
        for _ in range(2):
            await cloud.delete_volume(wish)
        demand_that(not await _seen(at, wish), "a volume that was deleted is gone")


async def keeps_a_volume_in_use(at: Desk) -> None:
    """Until its node is gone; the sweep never takes it. Needs ``HasVolumes``."""
    cloud, wish = cast(HasVolumes, at.other), _wish(at)
    async with _made(at, wish) as (volume,):
        node = await _node(at, wish, volume)
        seen = (await _seen(at, wish))[0]
        demand_that(seen.used_by == (node.ref.id,), "a volume tells who has it", seen)
        try:
            await cloud.delete_volume(wish)
        except VolumeInUse:
            pass
        else:
            demand_that(False, "a volume in use is refused as VolumeInUse")
        await at.cloud.terminate(refs([node]))
        demand_that(len(await _seen(at, wish)) == 1, "it outlives its node")
        if isinstance(at.other, CanListResources):
            loose = [r for r in await at.other.resources() if r.id == volume.id]
            named = all(r.tags.get(VOLUME_TAG) == wish.name for r in loose)
            demand_that(named, "among resources it carries its name", loose)
        await cloud.delete_volume(wish)
        demand_that(not await _seen(at, wish), "and goes when it is told to")


async def keeps_what_a_volume_holds(at: Desk) -> None:
    """What one node wrote another reads. Needs ``HasVolumes``."""
    wish = _wish(at)
    async with _made(at, wish) as (volume,):
        node = await _node(at, wish, volume)
        await _said(at, node, f"mkdir -p {PATH}/a && echo kept > {PATH}/a/b")
        await at.cloud.terminate(refs([node]))
        said = await _said(at, await _node(at, wish, volume), f"cat {PATH}/a/b")
        demand_that(said == "kept", "another node reads what the first wrote", said)


async def refuses_a_volume_that_is_not_there(at: Desk) -> None:
    """Needs ``HasVolumes``."""
    wish = _wish(at)
    request = at.request(volumes=(Attachment(PATH, wish, f"{at.run}-none"),))
    try:
        node = (await at.cloud.create(request))[0]
        if isinstance(at.cloud, CanMount):
            await at.cloud.attach(node, request.volumes)
    except CloudError as error:
        demand_that(not error.retryable, "it is not worth another try", error)
    else:
        demand_that(False, "a volume that is not there is refused")
    await at.clean()
    demand_that(not await _seen(at, wish), "and no volume is made of it")


async def makes_a_volume_over_a_broken_wire(at: Desk) -> None:
    """Each request is lost once; what the first try made the second finds. Needs ``HasVolumes``."""
    cloud, wish = cast(HasVolumes, at.cloud), _wish(at)
    async with _made(at):
        at.faults.watch()
        await cloud.create_volume(replace(wish, name=f"x{wish.name}"))
        requests = at.faults.asked()
        await cloud.delete_volume(replace(wish, name=f"x{wish.name}"))
        for number in range(requests):
            at.faults.watch()
            at.faults.wire("cut after", number)
            try:
                await cloud.create_volume(wish)
            except CloudError as error:
                demand_that(error.retryable, "a lost answer is worth another try", error)
            at.faults.watch()
            volume = await cast(HasVolumes, at.other).create_volume(wish)
            seen = await _seen(at, wish)
            demand_that([v.id for v in seen] == [volume.id], "there is one", seen)
            await cloud.delete_volume(wish)
            demand_that(not await _seen(at, wish), "and none is left")


async def _said(at: Desk, node: Node, script: str) -> str:
    done = await (await at.cloud.runner(node)).run(["sh", "-c", script])
    demand_that(done.exit_code == 0, f"a command on the node works: {script}", done)
    return done.stdout.decode().strip()
