"""Virtual time: stock, prices, boots, preemptions and faults, for any calls in any order."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    QuotaError,
    Throttled,
    TransientError,
)
from stix.clouds.sim.climate import Climate, chance
from stix.clouds.sim.scenario import FAULTS, Fault, Scenario, Stock, Trace, covers
from stix.clouds.sim.world import Lease, World
from stix.plan.offers import Offer

DAY = 86_400.0


def offer(zone: str = "z1", kind: str = "box", *, spot: bool = True, region: str = "r1") -> Offer:
    return Offer("c", region, zone, kind, 4, 16.0, price=1.0, spot=spot)


OFFERS = [offer(z, k, spot=s) for z in ("z1", "z2") for k in ("box", "big") for s in (True, False)]


def ignore(lease: Lease) -> None:
    return None


# -- anything may be asked for at any time --------------------------------------------------------

Step = tuple[str, int, int, float]
steps = st.lists(
    st.tuples(
        st.sampled_from(["rent", "release", "pass"]),
        st.integers(0, len(OFFERS) - 1),
        st.integers(1, 4),
        st.floats(0, 20_000),
    ),
    max_size=60,
)
stocks = st.one_of(
    st.none(),
    st.tuples(st.integers(0, 3), st.integers(3, 8), st.sampled_from([60.0, 3600.0])),
)
scenarios = st.builds(
    Scenario,
    seed=st.integers(0, 2**32),
    preempt_rate=st.floats(0, 20),
    boot_s=st.floats(0, 600),
    price_swing=st.floats(0, 1),
    stock=stocks.map(lambda s: () if s is None else (Stock(least=s[0], most=s[1], every_s=s[2]),)),
    faults=st.lists(
        st.builds(
            lambda kind, place, start, long: Fault(kind, place, start, start + long),
            st.sampled_from(FAULTS),
            st.sampled_from(["", "z1", "c/r1"]),
            st.floats(0, 5000),
            st.floats(0, 5000),
        ),
        max_size=2,
    ).map(tuple),
)


def play(scenario: Scenario, course: list[Step], look: Callable[[World], None]) -> World:
    """Do what the course says, and look after each step."""
    times: list[float] = []
    world = World(scenario, pace=times.append)
    leases: list[Lease] = []
    for number, (what, which, count, seconds) in enumerate(course):
        if what == "rent":
            try:
                leases.append(world.rent(OFFERS[which], count, f"t{number}", ignore))
            except CloudError as error:
                assert error.message
        elif what == "release" and leases:
            world.release(leases[which % len(leases)])
        else:
            world.run(world.now + seconds)
        look(world)
    assert times == sorted(times)
    return world


def sound(world: World) -> None:
    """The stock holds, and is never below nothing."""
    for each in OFFERS:
        free, level = world.free(each), world.climate.level(each, world.now)
        assert free is None or free >= 0
        assert world.used(each) >= 0
        if each.spot and level is not None:
            assert world.used(each) <= level


@settings(deadline=None)
@given(scenarios, steps)
def test_stock_is_never_negative_and_time_never_goes_back(
    scenario: Scenario, course: list[Step]
) -> None:
    last = [0.0]

    def look(world: World) -> None:
        assert world.now >= last[0]
        last[0] = world.now
        sound(world)

    play(scenario, course, look)


@settings(deadline=None)
@given(scenarios, steps)
def test_the_same_seed_gives_the_same_course(scenario: Scenario, course: list[Step]) -> None:
    one, other = play(scenario, course, sound), play(scenario, course, sound)
    assert (one.digest(), one.log, one.now) == (other.digest(), other.log, other.now)


def test_another_seed_gives_another_course() -> None:
    course: list[Step] = [("rent", 0, 1, 0.0), ("pass", 0, 1, 20_000.0)]
    digests = {play(Scenario(seed=s, preempt_rate=1), course, sound).digest() for s in range(5)}
    assert len(digests) == 5


def test_an_answer_does_not_depend_on_what_was_asked_before() -> None:
    asked, fresh = Climate(Scenario(price_swing=0.5)), Climate(Scenario(price_swing=0.5))
    for hour in range(100):
        asked.price(OFFERS[0], hour * 3600.0)
        asked.boot(OFFERS[2], f"other-{hour}")
    assert asked.price(OFFERS[0], 7200.0) == fresh.price(OFFERS[0], 7200.0)
    assert asked.lifetime(OFFERS[0], "n", 5.0) == fresh.lifetime(OFFERS[0], "n", 5.0)


# -- machines ----------------------------------------------------------------------------------


def test_a_gang_gets_all_or_nothing_and_pays_from_the_order_on() -> None:
    world = World(Scenario(stock=(Stock(most=3),), boot_s=100, boot_spread=0, preempt_rate=0))
    first = world.rent(offer(), 2, "a", ignore)
    assert (first.ready, world.free(offer())) == (100.0, 1)
    with pytest.raises(CapacityError, match="has 1 box left, wanted 2") as caught:
        world.rent(offer(), 2, "b", ignore)
    assert caught.value.scope == "zone"
    assert world.rent(offer("z2"), 3, "c", ignore).count == 3
    assert world.rent(offer(spot=False), 3, "d", ignore).count == 3
    world.run(1800.0)
    assert first.usd(world.now) == 1.0
    world.release(first)
    world.release(first)
    assert (first.until, first.billed(9e9), first.usd(9e9)) == (1800.0, 3600.0, 1.0)
    assert world.free(offer()) == 3


def test_the_same_token_gets_the_same_nodes_while_they_are_held() -> None:
    world = World(Scenario(stock=(Stock(most=1),), preempt_rate=0))
    lease = world.rent(offer(), 1, "a", ignore)
    assert world.rent(offer(), 1, "a", ignore) is lease
    world.release(lease)
    assert world.rent(offer(), 1, "a", ignore) is not lease


def test_preemptions_come_at_their_rate_and_stop_the_bill() -> None:
    lost: list[Lease] = []
    world = World(Scenario(preempt_rate=0.5))
    leases = [world.rent(offer(), 1, f"t{n}", lost.append) for n in range(4000)]
    fixed = world.rent(offer(spot=False), 1, "fixed", lost.append)
    world.run()
    assert len(lost) == world.preemptions == 4000
    assert not fixed.lost
    hours = [lease.billed(world.now) / 3600 for lease in leases]
    assert statistics.mean(hours) == pytest.approx(2.0, rel=0.05)
    assert statistics.stdev(hours) == pytest.approx(2.0, rel=0.08)
    assert all(lease.lost and lease.until is not None for lease in leases)
    assert world.used(offer()) == 0


def test_a_place_may_have_its_own_rate() -> None:
    world = World(Scenario(preempt_rate=0.0, rates={"z2": 5.0}))
    calm, wild = (world.rent(offer(z), 1, z, ignore) for z in ("z1", "z2"))
    world.run(30 * DAY)
    assert (calm.lost, wild.lost) == (False, True)


def test_where_the_stock_sinks_the_newest_spot_nodes_go() -> None:
    scenario = Scenario(preempt_rate=0, stock=(Stock(least=0, most=6, every_s=60),), seed=3)
    world = World(scenario)
    taken: list[str] = []

    def rent(number: int) -> None:
        with suppress(CapacityError):
            world.rent(offer(), 1, f"t{number}", lambda lease: taken.append(lease.token))

    for number in range(200):
        world.after(number * 10.0, lambda number=number: rent(number))  # type: ignore[misc]
    for number in range(200):
        world.after(number * 10.0 + 5, lambda: sound(world))
    world.run(2000.0)
    assert taken


def test_what_is_rented_for_good_stays_where_the_stock_sinks() -> None:
    world = World(Scenario(preempt_rate=0, stock=(Stock(least=0, most=6, every_s=60),)))
    fixed = offer(spot=False)
    while (world.free(fixed) or 0) < 5:
        world.run(world.now + 60)
    lease = world.rent(fixed, 5, "x", ignore)
    levels = set()
    for _ in range(200):
        world.run(world.now + 60)
        levels.add(world.climate.level(fixed, world.now))
        assert world.free(fixed) == max(0, (world.climate.level(fixed, world.now) or 0) - 5)
    assert levels == set(range(7))
    assert not lease.lost


def test_boots_spread_around_their_median() -> None:
    climate = Climate(Scenario(boot_s=100, boot_spread=0.3))
    boots = sorted(climate.boot(offer(), f"n{n}") for n in range(2001))
    assert boots[1000] == pytest.approx(100, rel=0.05)
    assert boots[1683] / boots[1000] == pytest.approx(math.exp(0.3), rel=0.05)
    assert Climate(Scenario(boot_s=120)).boot(Offer("local", "-", None, "x", 1, 1), "n") < 30


def test_prices_of_spot_move_and_a_lease_keeps_its_own() -> None:
    world = World(Scenario(price_swing=0.4, preempt_rate=0))
    prices = {world.climate.price(offer(), hour * 3600.0) for hour in range(500)}
    assert len(prices) == 500 and min(prices) >= 0.6 and max(prices) <= 1.4
    assert max(prices) - min(prices) > 0.7
    lease = world.rent(offer(), 1, "a", ignore)
    assert lease.rate == world.climate.price(offer(), 0.0) != 1.0
    world.run(DAY)
    assert lease.usd(world.now) == pytest.approx(24 * lease.rate)
    assert world.rent(offer(spot=False), 1, "b", ignore).rate == 1.0


# -- what is recorded, and what is scripted -----------------------------------------------------


def trace(folder: Path, data: object, place: str = "z1") -> Trace:
    path = folder / "trace.json"
    path.write_text(json.dumps(data))
    return Trace.load(place, path)


def test_a_trace_takes_machines_back_when_it_says(tmp_path: Path) -> None:
    series = {"metadata": {"gap_seconds": 600}, "data": [0, 0, 1, 1, 0, 0, 1, 0]}
    recorded = trace(tmp_path, series)
    assert recorded.gone == ((1200.0, 2400.0), (3600.0, 4200.0))
    world = World(Scenario(traces=(recorded,), preempt_rate=99))
    ends: list[float] = []
    world.rent(offer(), 1, "a", lambda lease: ends.append(world.now))
    world.run(1300.0)
    assert ends == [1200.0]
    with pytest.raises(CapacityError):
        world.rent(offer(), 1, "b", ignore)
    world.run(2400.0)
    world.rent(offer(), 1, "c", lambda lease: ends.append(world.now))
    world.run(9e9)
    assert ends == [1200.0, 3600.0]
    assert not world.rent(offer(), 1, "d", ignore).lost


def test_a_trace_may_be_a_list_of_moments(tmp_path: Path) -> None:
    recorded = trace(tmp_path, {"preemptions_s": [500, 60, 60.0]})
    assert recorded.gone == ((60.0, 60.0), (500.0, 500.0))
    world = World(Scenario(traces=(recorded,)))
    ends: list[float] = []

    def again(lease: Lease) -> None:
        ends.append(world.now)
        world.rent(offer(), 1, f"t{len(ends)}", again)

    world.rent(offer(), 1, "t", again)
    world.run()
    assert ends == [60.0, 500.0]


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        {"data": [0]},
        {"gap_seconds": 0, "data": [1]},
        {"gap_seconds": 1, "data": ["x"]},
        {"preemptions_s": [-1]},
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, data: object) -> None:
    with pytest.raises(InvalidRequest, match="trace"):
        trace(tmp_path, data)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        Trace.load("z", tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("kind", "error", "scope"),
    [
        ("stockout", CapacityError, "zone"),
        ("quota", QuotaError, "region"),
        ("auth", AuthError, None),
        ("throttle", Throttled, None),
        ("down", TransientError, None),
        ("invalid", InvalidRequest, None),
    ],
)
def test_each_fault_is_the_error_of_real_adapters(
    kind: str, error: type[CloudError], scope: str | None
) -> None:
    fault = Fault(kind, "z1", 100.0, 200.0)  # type: ignore[arg-type]
    world = World(Scenario(faults=(fault,)))
    world.rent(offer(), 1, "before", ignore)
    world.run(100.0)
    with pytest.raises(error) as caught:
        world.rent(offer(), 1, "during", ignore)
    assert type(caught.value) is error
    assert getattr(caught.value, "scope", None) == scope
    world.rent(offer("z2"), 1, "elsewhere", ignore)
    world.run(200.0)
    world.rent(offer(), 1, "after", ignore)


@pytest.mark.parametrize(
    ("place", "held"),
    [
        ("", True),
        ("c", True),
        ("r1", True),
        ("z1", True),
        ("c/r1", True),
        ("r1/z1", True),
        ("c/r1/z1", True),
        ("c/z1", False),
        ("z", False),
        ("r1/c", False),
        ("c/r1/z1/x", False),
    ],
)
def test_places_have_names_of_any_length(place: str, held: bool) -> None:
    assert covers(place, offer()) is held


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_chance_lies_between_0_and_1(name: list[str]) -> None:
    assert 0 < chance(*name) < 1
