"""Checkpoints in the ledger: the newest ones of each stage run, over its attempts."""

from __future__ import annotations

from typing import Any

import pytest


def facts(number: int, attempt: int = 1) -> dict[str, Any]:
    return {
        "attempt": attempt,
        "name": f"{number:08d}",
        "digest": f"{number:064d}",
        "bytes": number * 10,
        "files": number,
        "url": f"file:///{number}",
    }


@pytest.mark.parametrize("keep", [1, 2, 5])
async def test_the_newest_stay(world: Any, keep: int) -> None:
    ledger = world.ledger
    for number in range(1, 5):
        await ledger.add_checkpoint(world.fence, "a", keep, facts(number, 1 + number // 3))
        latest = await ledger.latest_checkpoint(world.run, "a")
        assert (latest.name, latest.attempt) == (f"{number:08d}", 1 + number // 3)
        kept = [row.name for row in await ledger.artifacts(world.run) if row.kind == "checkpoint"]
        expected = [f"{n:08d}" for n in range(max(1, number - keep + 1), number + 1)]
        assert sorted(kept) == expected


async def test_a_smaller_number_to_keep_removes_the_rest(world: Any) -> None:
    for number in range(1, 6):
        await world.ledger.add_checkpoint(world.fence, "a", 5, facts(number))
    await world.ledger.add_checkpoint(world.fence, "a", 2, facts(6))
    names = [row.name for row in await world.ledger.artifacts(world.run)]
    assert sorted(names) == ["00000005", "00000006"]


async def test_none_of_another_stage_and_no_other_artifact(world: Any) -> None:
    ledger = world.ledger
    assert await ledger.latest_checkpoint(world.run, "a") is None
    await ledger.add_artifact(
        world.fence, digest="o", key="a", attempt=1, name="z", kind="output", bytes=1, files=1,
        url="u",
    )  # fmt: skip
    assert await ledger.latest_checkpoint(world.run, "a") is None
    await ledger.add_checkpoint(world.fence, "a", 1, facts(1))
    await ledger.add_checkpoint(world.fence, "b", 1, facts(7))
    await ledger.add_checkpoint(world.fence, "a", 1, facts(2))
    assert (await ledger.latest_checkpoint(world.run, "a")).name == "00000002"
    assert (await ledger.latest_checkpoint(world.run, "b")).name == "00000007"
    assert await ledger.latest_checkpoint("another", "a") is None
    assert "o" in [row.digest for row in await ledger.artifacts(world.run)]


async def test_each_is_an_event(world: Any) -> None:
    await world.ledger.add_checkpoint(world.fence, "a", 1, facts(3))
    *_, last = await world.ledger.events(world.run, 0)
    assert (last.kind, last.key) == ("checkpoint", "a")
    assert last.data == {"name": "00000003", "digest": f"{3:064d}", "bytes": 30, "attempt": 1}
