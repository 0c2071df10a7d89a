"""What every ``BreakerStore`` does, for a test class with a store and a way to pass time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from stix.clouds.wrappers import BreakerStore

KEY = ("comet", "eu")
THRESHOLD, COOLDOWN_S, CAP_S = 3, 30.0, 100.0


@dataclass(frozen=True)
class Shelf:
    """A store whose time can be moved on."""

    store: BreakerStore
    wait: Callable[[float], Awaitable[None]]

    async def fail(self, times: int = 1, *, probe: str = "", key: tuple[str, str] = KEY) -> None:
        for number in range(times):
            await self.store.call_failed(
                key,
                probe,
                f"ill {number}",
                threshold=THRESHOLD,
                cooldown_s=COOLDOWN_S,
                cap_s=CAP_S,
            )

    async def probing(self, probe: str, ttl_s: float = 10.0) -> bool:
        return await self.store.claim_probe(KEY, probe, ttl_s)


class BreakerStoreChecks:
    """The rules, by the words of ``BreakerStore``."""

    @pytest.fixture
    def shelf(self) -> Shelf:
        raise NotImplementedError

    async def test_failures_in_a_row_open(self, shelf: Shelf) -> None:
        assert await shelf.store.circuit(KEY) is None
        await shelf.fail(2)
        found = await shelf.store.circuit(KEY)
        assert found and (found.failures, found.opened) == (2, None)
        assert list(await shelf.store.open_circuits()) == []
        assert not await shelf.probing("p1")
        await shelf.fail()
        [found] = await shelf.store.open_circuits()
        assert (found.cloud, found.region) == KEY
        assert found.failures == 3 and found.opened and found.reason == "ill 0"
        assert found.wait_s == pytest.approx(COOLDOWN_S, abs=5)
        assert not found.probing

    async def test_a_success_in_between_begins_the_count_anew(self, shelf: Shelf) -> None:
        await shelf.fail(2)
        await shelf.store.call_succeeded(KEY, "")
        await shelf.fail(2)
        assert list(await shelf.store.open_circuits()) == []

    async def test_places_are_apart(self, shelf: Shelf) -> None:
        await shelf.fail(3, key=("comet", "us"))
        await shelf.fail(2)
        assert [c.region for c in await shelf.store.open_circuits()] == ["us"]

    async def test_one_probe_after_the_cool_down(self, shelf: Shelf) -> None:
        await shelf.fail(3)
        assert not await shelf.probing("p1")
        await shelf.wait(COOLDOWN_S + 1)
        found = await shelf.store.circuit(KEY)
        assert found and found.wait_s == 0 and not found.probing
        assert await shelf.probing("p1")
        assert not await shelf.probing("p2")
        found = await shelf.store.circuit(KEY)
        assert found and found.probing

    async def test_a_probe_that_is_not_renewed_is_given_to_another(self, shelf: Shelf) -> None:
        await shelf.fail(3)
        await shelf.wait(COOLDOWN_S + 1)
        assert await shelf.probing("p1")
        await shelf.wait(8)
        assert await shelf.probing("p1")  # renewed
        await shelf.wait(8)
        assert not await shelf.probing("p2")
        await shelf.wait(8)
        assert await shelf.probing("p2")
        assert not await shelf.probing("p1")
        await shelf.store.call_succeeded(KEY, "p1")  # comes too late to say anything
        await shelf.fail(probe="p1")
        found = await shelf.store.circuit(KEY)
        assert found and found.opened and found.probing and found.cooldown_s == COOLDOWN_S

    async def test_the_probe_closes(self, shelf: Shelf) -> None:
        await shelf.fail(3)
        await shelf.wait(COOLDOWN_S + 1)
        assert await shelf.probing("p1")
        await shelf.store.call_succeeded(KEY, "p1")
        assert await shelf.store.circuit(KEY) is None
        await shelf.fail(2)
        assert list(await shelf.store.open_circuits()) == []

    async def test_its_failure_doubles_the_cool_down_up_to_the_cap(self, shelf: Shelf) -> None:
        await shelf.fail(3)
        waited = COOLDOWN_S
        for expected in (60.0, 100.0, 100.0):
            await shelf.wait(waited + 1)
            assert await shelf.probing("p")
            await shelf.fail(probe="p")
            found = await shelf.store.circuit(KEY)
            assert found and found.cooldown_s == expected
            assert found.wait_s == pytest.approx(expected, abs=5)
            assert not found.probing and not await shelf.probing("q")
            waited = expected

    async def test_a_probe_that_learnt_nothing_is_free_at_once(self, shelf: Shelf) -> None:
        await shelf.fail(3)
        await shelf.wait(COOLDOWN_S + 1)
        assert await shelf.probing("p1")
        await shelf.store.release_probe(KEY, "p2")  # not its own
        assert not await shelf.probing("p2")
        await shelf.store.release_probe(KEY, "p1")
        assert await shelf.probing("p2")

    async def test_calls_from_before_it_opened_change_nothing(self, shelf: Shelf) -> None:
        await shelf.fail(3)
        before = await shelf.store.circuit(KEY)
        await shelf.wait(10)
        await shelf.fail()
        await shelf.store.call_succeeded(KEY, "")
        after = await shelf.store.circuit(KEY)
        assert before and after and after.opened is not None
        assert after.wait_s < before.wait_s - 5 and after.cooldown_s == before.cooldown_s
