"""Calls wait for their turn: how long, in which order, and what a cancelled one takes."""

from __future__ import annotations

import asyncio

import pytest

from stix.clouds.base import Cloud, Selector
from stix.clouds.wrappers import RateLimit, wrap
from tests.clouds.wrappers.flaky import Clock, Flaky, request


def limited(clock: Clock, rates: dict[str, float]) -> Cloud:
    return wrap(Flaky(), [RateLimit(rates, clock=clock, sleep=clock.sleep)])


async def test_a_call_waits_for_its_token() -> None:
    clock = Clock()
    cloud = limited(clock, {"create": 0.1})
    begin = clock()
    for expected in (0, 10, 20, 30):
        await cloud.create(request())
        assert clock() - begin == pytest.approx(expected)
    await cloud.list(Selector())  # has no rate
    assert clock() - begin == pytest.approx(30)


async def test_the_star_bounds_all_calls_together() -> None:
    clock = Clock()
    cloud = limited(clock, {"create": 0.1, "*": 1})
    begin = clock()
    await cloud.create(request())
    await cloud.list(Selector())
    await cloud.check()
    assert clock() - begin == pytest.approx(2)
    await cloud.create(request())
    assert clock() - begin == pytest.approx(10)


async def test_a_rate_above_one_lets_a_second_of_calls_through_at_once() -> None:
    clock = Clock()
    cloud = limited(clock, {"*": 5})
    begin = clock()
    for _ in range(5):
        await cloud.check()
    assert clock() == begin
    clock.now += 1000  # no more than a second is saved up
    begin = clock()
    for _ in range(7):
        await cloud.check()
    assert clock() - begin == pytest.approx(0.4)


async def test_the_first_to_ask_is_the_first_to_go_and_a_cancelled_one_takes_nothing() -> None:
    clock, gate, went = Clock(), asyncio.Event(), list[str]()

    async def sleep(seconds: float) -> None:
        await gate.wait()
        clock.now += seconds

    limit = RateLimit({"*": 1}, clock=clock, sleep=sleep)

    async def ask(name: str) -> None:
        cloud = wrap(Flaky(), [limit])
        await cloud.check()
        went.append(name)

    tasks = {name: asyncio.create_task(ask(name)) for name in "abcd"}
    await asyncio.wait([tasks["a"]])
    begin = clock()
    tasks["b"].cancel()
    await asyncio.wait([tasks["b"]])
    gate.set()
    await asyncio.gather(tasks["c"], tasks["d"])
    assert went == ["a", "c", "d"]
    assert clock() - begin == pytest.approx(2)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        RateLimit({"create": 0})
