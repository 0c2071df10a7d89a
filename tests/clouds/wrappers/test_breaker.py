"""A provider that is ill is left alone, and asked again by one call at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from stix.clouds.base import CanPrepare, Cloud, CreateRequest, Node, NodeRef, NodeState, Selector
from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CircuitOpen,
    CloudError,
    InvalidRequest,
    QuotaError,
    Throttled,
    TransientError,
)
from stix.clouds.wrappers import Breaker, BreakerPolicy, MemoryBreakers, Retry, wrap
from stix.errors import StixError
from tests.clouds.wrappers.flaky import Able, Clock, Flaky, Sleeps, request
from tests.support.breakers import BreakerStoreChecks, Shelf

POLICY = BreakerPolicy(failures=3, cooldown_s=30, cap_s=100, probe_s=9)


class TestInMemory(BreakerStoreChecks):
    @pytest.fixture
    def shelf(self) -> Shelf:
        clock = Clock()
        return Shelf(MemoryBreakers(clock), clock.sleep)


def guarded(inner: Cloud, clock: Clock, store: MemoryBreakers | None = None) -> Cloud:
    return wrap(inner, [Breaker(store or MemoryBreakers(clock), POLICY)])


def ill(times: int) -> list[Exception]:
    return [TransientError(f"503 number {number}") for number in range(1, times + 1)]


async def failing(cloud: Cloud, times: int) -> None:
    for _ in range(times):
        with pytest.raises(TransientError):
            await cloud.check()


async def test_the_call_after_the_last_failure_does_not_reach_the_provider() -> None:
    inner, clock = Flaky(ill(3)), Clock(0.0)
    cloud = guarded(inner, clock)
    await failing(cloud, 3)
    clock.now += 7
    for call in (cloud.check(), cloud.list(Selector()), cloud.offers()):
        with pytest.raises(CircuitOpen) as caught:
            await call
    assert caught.value.message == (
        "flaky is not asked since 1970-01-01 00:00:00 UTC: 3 calls failed in a row,"
        " the last with: 503 number 3; the next try is in 23 s"
    )
    assert caught.value.wait_s == 23 and not caught.value.retryable
    assert len(inner.calls) == 3


@pytest.mark.parametrize(
    "errors",
    [[Throttled("slow")] * 3, [TimeoutError()] * 3, [TransientError("a"), Throttled("b")] * 2],
)
async def test_what_says_that_a_provider_is_ill(errors: list[Exception]) -> None:
    inner = Flaky(list(errors))
    cloud = guarded(inner, Clock())
    for _ in range(3):
        with pytest.raises((CloudError, TimeoutError)):
            await cloud.check()
    with pytest.raises(CircuitOpen):
        await cloud.check()


@pytest.mark.parametrize("kind", [CapacityError, QuotaError, AuthError, InvalidRequest, CloudError])
async def test_what_does_not(kind: type[CloudError]) -> None:
    inner = Flaky([kind("no") for _ in range(20)])
    cloud = guarded(inner, Clock())
    for _ in range(20):
        with pytest.raises(kind):
            await cloud.create(request())
    assert len(inner.calls) == 20


async def test_a_lack_of_room_is_an_answer_and_a_lack_of_rights_says_nothing() -> None:
    full = guarded(Flaky([*ill(2), CapacityError("full"), *ill(2)]), Clock())
    for _ in range(5):
        with pytest.raises(CloudError):
            await full.check()
    await full.check()
    barred = guarded(Flaky([*ill(2), AuthError("who"), *ill(1)]), Clock())
    for _ in range(4):
        with pytest.raises(CloudError):
            await barred.check()
    with pytest.raises(CircuitOpen):
        await barred.check()


async def test_regions_are_apart_from_each_other_and_from_the_cloud() -> None:
    inner = Flaky(ill(3))
    cloud = guarded(inner, Clock())
    refs = [NodeRef("flaky", "1", "eu")]
    for _ in range(3):
        with pytest.raises(TransientError):
            await cloud.terminate(refs)
    with pytest.raises(CircuitOpen, match=r"^flaky/eu is not asked") as caught:
        await cloud.terminate(refs)
    assert caught.value.scope == "region"
    await cloud.terminate([NodeRef("flaky", "2", "us")])
    await cloud.list(Selector())
    assert inner.calls == ["terminate"] * 4 + ["list"]


async def test_a_probe_that_fails_opens_for_longer_and_one_that_succeeds_closes() -> None:
    inner, clock = Flaky(ill(4)), Clock()
    cloud = guarded(inner, clock)
    await failing(cloud, 3)
    clock.now += 31
    await failing(cloud, 1)
    clock.now += 31
    with pytest.raises(CircuitOpen, match="the next try is in 29 s"):
        await cloud.check()
    clock.now += 30
    await cloud.check()
    await cloud.check()
    assert len(inner.calls) == 6


class Slow(Flaky):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(ill(3))
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def create(self, request: CreateRequest) -> list[Node]:
        self.asked.set()
        await self.answer.wait()
        return await super().create(request)


async def half_open(clock: Clock, inner: Slow, store: MemoryBreakers) -> Cloud:
    """A cloud whose next call in the region is the probe."""
    cloud = guarded(inner, clock, store)
    for _ in range(3):
        with pytest.raises(TransientError):
            await cloud.terminate([NodeRef("flaky", "1", "r")])
    clock.now += 31
    return cloud


async def test_one_probe_at_a_time_and_it_is_held_for_as_long_as_it_takes() -> None:
    clock, inner = Clock(), Slow()
    store = MemoryBreakers(clock)
    await half_open(clock, inner, store)
    renewed = asyncio.Event()

    async def sleep(seconds: float) -> None:
        assert seconds == 3
        await asyncio.sleep(0)
        clock.now += seconds
        if clock.now > 1_000_100:
            renewed.set()
            await asyncio.sleep(3600)

    probing = wrap(inner, [Breaker(store, POLICY, sleep=sleep)])
    probe = asyncio.create_task(probing.create(request()))
    await renewed.wait()  # ten times as long as a probe lives that nobody renews
    with pytest.raises(CircuitOpen, match="one call is trying it now"):
        await guarded(inner, clock, store).create(request())
    inner.answer.set()
    await probe
    assert len(asyncio.all_tasks()) == 1  # the renewal ended with the probe
    await guarded(inner, clock, store).create(request())
    assert inner.calls == ["terminate"] * 3 + ["create"] * 2


async def test_a_cancelled_probe_lets_the_next_call_probe() -> None:
    clock, inner = Clock(), Slow()
    cloud = await half_open(clock, inner, MemoryBreakers(clock))
    probe = asyncio.create_task(cloud.create(request()))
    await inner.asked.wait()
    probe.cancel()
    await asyncio.wait([probe])
    inner.answer.set()
    await cloud.create(request())


async def test_a_node_that_is_silent_is_no_illness_of_the_provider() -> None:
    inner = Able(ill(9))
    cloud = guarded(inner, Clock())
    assert isinstance(cloud, CanPrepare)
    for _ in range(9):
        with pytest.raises(TransientError):
            await cloud.prepare(Node(NodeRef("flaky", "1"), NodeState.STARTING, ""))
    assert len(inner.calls) == 9


async def test_each_try_passes_the_breaker_and_an_open_one_is_not_tried_again() -> None:
    inner, sleeps = Flaky(ill(9)), Sleeps()
    store = MemoryBreakers(Clock())
    cloud = wrap(inner, [Retry(sleep=sleeps), Breaker(store, POLICY)])
    with pytest.raises(TransientError, match="503 number 3"):  # it may have had an effect
        await cloud.check()
    assert len(inner.calls) == 3
    with pytest.raises(CircuitOpen, match="503 number 3") as caught:  # this call had none
        await cloud.check()
    assert len(inner.calls) == 3 and caught.value.scope == "cloud"
    assert len(sleeps.seconds) == 3


class Broken(MemoryBreakers):
    """A store that is not there."""

    async def circuit(self, key: tuple[str, str]) -> None:
        raise StixError("gone")

    async def call_succeeded(self, key: tuple[str, str], probe: str) -> None:
        raise StixError("gone")

    async def open_circuits(self) -> Sequence[None]:  # type: ignore[override]
        raise StixError("gone")


async def test_without_its_store_calls_go_through(caplog: pytest.LogCaptureFixture) -> None:
    cloud = guarded(Flaky(), Clock(), Broken())
    await cloud.terminate([NodeRef("flaky", "1")])
    assert "does without its store: gone" in caplog.text
