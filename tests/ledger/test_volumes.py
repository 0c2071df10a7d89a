"""Volumes in the ledger: written down before they are made, and who uses them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stix.ledger import Intent, NewVolume

DATA = NewVolume("data", "k8s-pvc", "kubernetes", "kind", size_gib=10.0, config={"a": 1})


async def state(ledger: Any, name: str = "data") -> str:
    return str((await ledger.volumes([name]))[0].state)


async def test_the_first_of_a_name_stays(ledger: Any) -> None:
    first, new = await ledger.add_volume(DATA)
    assert new
    assert (first.state, first.id, first.used_by) == ("creating", "", [])
    again = await ledger.add_volume(replace(DATA, size_gib=20.0, region="other"))
    assert again == (first, False)
    await ledger.volume_made("data", "ns/data", None, None)
    row = (await ledger.volumes())[0]
    assert (row.state, row.id, row.size_gib, row.config) == ("ready", "ns/data", 10.0, {"a": 1})


async def test_what_is_not_yet_made_tells_why(ledger: Any) -> None:
    await ledger.add_volume(DATA)
    await ledger.volume_stuck("data", "no answer")
    assert (await ledger.volumes(["data"]))[0].reason == "no answer"
    await ledger.volume_made("data", "x", "zone-a", 5.0)
    row = (await ledger.volumes(["data"]))[0]
    assert (row.reason, row.zone, row.size_gib) == ("", "zone-a", 10.0)


async def test_a_doomed_volume_stays_doomed_until_it_is_spared(ledger: Any) -> None:
    await ledger.add_volume(DATA)
    await ledger.doom_volume("data")
    await ledger.volume_made("data", "x", None, None)  # who made it was late
    assert await state(ledger) == "deleting"
    await ledger.spare_volume("data")
    assert await state(ledger) == "ready"
    await ledger.forget_volume("data", "creating", "deleting")
    assert await state(ledger) == "ready"
    await ledger.doom_volume("data")
    await ledger.forget_volume("data", "deleting")
    assert await ledger.volumes() == []


async def test_an_open_intent_uses_its_volumes(world: Any) -> None:
    ledger = world.ledger
    await ledger.add_volume(DATA)
    await ledger.add_volume(replace(DATA, name="dat"))
    intent = Intent("t", "a", 1, "kubernetes", {"volumes": ["data"]})
    await ledger.open_intent(world.fence, intent)
    await ledger.volumes_attached(["data"])
    used = {row.name: (row.used_by, row.attached is not None) for row in await ledger.volumes()}
    assert used == {"data": (["r1/a"], True), "dat": ([], False)}
    await ledger.settle_intent("t", "removed", None)
    assert (await ledger.volumes(["data"]))[0].used_by == []
