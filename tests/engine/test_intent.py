"""Why a task is cancelled, and work that a cancellation does not interrupt."""

from __future__ import annotations

import asyncio

import pytest

from stix.engine.intent import INTENT, Intent, Why, current_why, shielded


class Work:
    """Something that takes until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.ended = False

    async def run(self, result: str = "done") -> str:
        self.begun.set()
        await self.go.wait()
        self.ended = True
        return result


async def test_nobody_asked_for_an_end() -> None:
    assert current_why() is None
    INTENT.set(Intent())
    assert current_why() is None


async def test_the_reason_reaches_tasks_that_were_made_before_it() -> None:
    intent, seen = Intent(), asyncio.Event()
    INTENT.set(intent)

    async def child() -> Why | None:
        await seen.wait()
        return current_why()

    task = asyncio.create_task(child())
    intent.why = Why.CANCEL
    seen.set()
    assert await task is Why.CANCEL


async def test_shielded_work_gives_its_result() -> None:
    work = Work()
    work.go.set()
    assert await shielded(work.run("result")) == "result"


async def test_shielded_work_raises_what_it_raises() -> None:
    async def fail() -> None:
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        await shielded(fail())


@pytest.mark.parametrize("cancellations", [1, 3])
async def test_shielded_work_ends_before_the_cancellation_goes_on(cancellations: int) -> None:
    INTENT.set(Intent())
    work = Work()
    task = asyncio.create_task(shielded(work.run()))
    await work.begun.wait()
    for _ in range(cancellations):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not task.done() and not work.ended
    work.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended


async def test_a_failure_of_shielded_work_is_told_beside_the_cancellation() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def fail() -> None:
        begun.set()
        await go.wait()
        raise ValueError("inside")

    task = asyncio.create_task(shielded(fail()))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert isinstance(caught.value.__cause__, ValueError)


async def test_a_handover_interrupts_shielded_work() -> None:
    intent = Intent()
    INTENT.set(intent)
    work = Work()
    task = asyncio.create_task(shielded(work.run()))
    await work.begun.wait()
    intent.why = Why.RELINQUISH
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not work.ended
