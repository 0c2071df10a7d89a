"""Prices and times of movement: rules that hold for every cloud, and facts of some."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stix.plan.egress as module
from stix.plan.egress import Egress, Load, Move, Way, parse, scope_of
from stix.plan.regions import Place

FACTS = Egress.bundled()
DATA: dict[str, Any] = json.loads(
    (Path(module.__file__).parent / "data" / "egress.json").read_text(encoding="utf-8")
)
CLOUDS = [cloud for cloud in DATA["clouds"] if cloud != "*"] + ["another"]
REGIONS = ["us-east-1", "us-east-2", "eu-west-1", "asia-southeast2", "ap-southeast-2", "sa-east-1"]
REGIONS += ["europe-west4", "me-central1", "*", "-"]
places = st.builds(
    Place,
    st.sampled_from(CLOUDS),
    st.sampled_from([*REGIONS, None]),
    st.sampled_from([None, "a", "b"]),
)
sizes = st.floats(0, 500_000, allow_nan=False)
P = Place.parse


@given(places, sizes)
def test_nothing_is_paid_within_a_zone_or_for_nothing(place: Place, gb: float) -> None:
    if place.region is not None:
        assert FACTS.usd(gb, place, place) == 0
    assert FACTS.usd(0, place, P("aws/us-east-1")) == 0


@given(places, places, sizes, sizes, sizes)
def test_prices_rise_with_the_amount_and_never_jump(
    src: Place, dst: Place, one: float, other: float, used: float
) -> None:
    low, high = sorted((one, other))
    cheap, dear = (FACTS.usd(gb, src, dst, used) for gb in (low, high))
    assert 0 <= cheap <= dear + 1e-9
    steepest = sum(fact.peak for fact in FACTS.facts(src, dst))
    assert dear - cheap <= steepest * (high - low) + 1e-6


@given(places, places, sizes, sizes)
def test_two_parts_cost_what_the_whole_costs(src: Place, dst: Place, a: float, b: float) -> None:
    whole = FACTS.usd(a + b, src, dst)
    assert FACTS.usd(a, src, dst) + FACTS.usd(b, src, dst, used=a) == pytest.approx(whole, abs=1e-6)


@given(places, places)
def test_what_two_places_have_in_common_is_symmetric(src: Place, dst: Place) -> None:
    scope = scope_of(src, dst)
    assert scope_of(dst, src) == scope
    if scope == "zone":
        assert FACTS.usd(1, src, dst) == FACTS.usd(1, dst, src)


@given(st.sampled_from(["gcp", "azure"]), st.sampled_from(REGIONS), st.sampled_from(REGIONS))
def test_prices_by_pairs_of_continents_are_symmetric(cloud: str, one: str, other: str) -> None:
    a, b = Place(cloud, one), Place(cloud, other)
    assert FACTS.usd(10, a, b) == FACTS.usd(10, b, a)


@given(places, places, sizes, st.floats(0.01, 1), sizes)
def test_the_price_of_the_solver_is_never_too_low(
    src: Place, dst: Place, volume: float, share: float, used: float
) -> None:
    way = FACTS.way(src, dst, volume, used)
    gb = volume * share
    assert way.usd_for(gb) >= FACTS.usd(gb, src, dst, used) - 1e-6


@given(st.lists(places, min_size=1, max_size=12, unique=True), sizes)
def test_all_ways_at_once_are_the_ways_one_by_one(found: list[Place], volume: float) -> None:
    seen = FACTS.with_measured({(found[0], found[-1]): 3.0})
    ways, table = seen.ways(found, volume, {"aws": 50.0})
    for a, src in enumerate(found):
        for b, dst in enumerate(found):
            used = 50.0 if src.cloud == "aws" else 0.0
            assert ways[table[a][b]] == seen.way(src, dst, volume, used)


@given(st.lists(st.builds(Move, sizes, places, places), max_size=6))
def test_a_bill_is_never_more_than_its_moves_one_by_one_and_never_negative(
    moves: list[Move],
) -> None:
    volume = sum(move.gb for move in moves)
    priced = sum(FACTS.way(m.src, m.dst, volume).usd_for(m.gb) for m in moves)
    bill = FACTS.bill(moves)
    assert bill >= 0
    flat = [f for m in moves for f in FACTS.facts(m.src, m.dst) if len(f.steps) > 1]
    if len({fact.steps for fact in flat}) <= 1:
        assert bill <= priced + 1e-6


def test_the_allowance_is_shared() -> None:
    moves = [Move(60, P("aws/us-east-1"), P(f"gcp/us-central{n}")) for n in range(5)]
    assert FACTS.bill(moves[:1]) == 0
    assert FACTS.bill(moves) == pytest.approx(200 * 0.09)
    assert FACTS.bill(moves[:1], used={"aws": 100}) == pytest.approx(60 * 0.09)


@pytest.mark.parametrize(
    ("src", "dst", "gb", "usd"),
    [
        ("aws/us-east-1/a", "aws/us-east-1/b", 100, 2),
        ("aws/us-east-1", "aws/us-east-1/b", 100, 0),
        ("aws/us-east-1", "aws/us-east-2", 100, 1),
        ("aws/us-east-1", "aws/us-west-2", 100, 2),
        ("aws/sa-east-1", "aws/us-east-1", 100, 13.8),
        ("aws/us-east-1", "gcp/us-central1", 100, 0),
        ("aws/us-east-1", "gcp/us-central1", 1100, 90),
        ("aws/us-east-1", "gcp/us-central1", 10340, 10140 * 0.09 + 100 * 0.085),
        ("gcp/us-central1/a", "gcp/us-central1/b", 100, 1),
        ("gcp/europe-west1", "gcp/europe-west4", 100, 2),
        ("gcp/us-central1", "gcp/europe-west4", 100, 8),
        ("gcp/us-central1", "gcp/australia-southeast1", 100, 15),
        ("gcp/us-central1", "aws/us-east-1", 2048, 1024 * 0.12 + 1024 * 0.11),
        ("azure/eastus", "aws/us-east-1", 1100, 87),
        ("runpod/*", "aws/us-east-1", 1000, 0),
        ("local/-", "aws/us-east-1", 1000, 0),
        ("aws/us-east-1", "vast/US", 100, 3),
    ],
)
def test_facts(src: str, dst: str, gb: float, usd: float) -> None:
    assert FACTS.usd(gb, P(src), P(dst)) == pytest.approx(usd)


def test_a_region_that_is_not_known_is_another_one() -> None:
    for cloud in ("aws", "gcp", "azure"):
        here, there = Place(cloud), Place(cloud, "r")
        (fact,) = FACTS.facts(here, there)
        assert fact.low == 0 < fact.peak < fact.high
        assert FACTS.way(here, there, 800).usd_per_gb < FACTS.way(here, P("oci/*"), 800).usd_per_gb
    assert FACTS.usd(1, P("runpod/*"), P("runpod/US")) == 0


def test_every_fact_has_a_source_and_a_date_and_guesses_say_so() -> None:
    entries = [e for s in DATA["clouds"].values() for f in s.values() for e in f if f != "internet"]
    entries += [*DATA["storage"].values(), *DATA["bandwidth"]]
    assert len(entries) > 100
    for entry in entries:
        source = DATA["sources"][entry["source"]]
        assert source["name"]
        assert source["as_of"][:3] == "202"
        guessed = entry["source"] in ("lists", "assumed")
        assert bool(entry.get("unconfirmed")) == guessed


def test_prices_lie_within_their_bars() -> None:
    for cloud in CLOUDS:
        for dst in (P("gcp/us-central1"), Place(cloud, "r2"), Place(cloud, "r", "b")):
            for fact in FACTS.facts(Place(cloud, "r", "a"), dst):
                low, high = fact.bounds(fact.peak * 10, 10)
                assert low <= fact.peak * 10 <= high


def test_a_price_of_ones_own() -> None:
    mine = FACTS.with_facts("ssh", "internet", 0.2)
    assert mine.usd(10, P("ssh/rack"), P("aws/us-east-1")) == pytest.approx(2)
    assert FACTS.usd(10, P("ssh/rack"), P("aws/us-east-1")) == 0


def test_a_bandwidth_that_was_seen_counts() -> None:
    a, b = P("aws/us-east-1"), P("gcp/us-central1")
    seen = FACTS.with_measured({(a, b): 2.0})
    assert seen.way(a, b, 10).seconds_for(10) == 5
    assert seen.speed(a, b).measured
    assert not FACTS.speed(a, b).measured
    assert FACTS.way(a, b, 10).seconds_for(10) > FACTS.way(a, a, 10).seconds_for(10) > 0


def test_money_counts_all_points_and_time_what_one_waits_for() -> None:
    way = Way(usd_per_gb=0.1, gib_per_second=2.0)
    load = Load.of(100, 10)
    assert (way.usd_for(load), way.seconds_for(load)) == (10, 5)
    assert load != Load.of(100, 20)
    assert len({load, Load.of(100, 20), Load.of(100, 10)}) == 2


def test_another_table() -> None:
    source = {"s": {"name": "s", "as_of": "2026"}}
    price = [{"usd": 1, "source": "s"}]
    speeds = [
        {"scope": scope, "gbit_s": 8 * 2**30 / 1e9, "low": 1, "high": 9}
        for scope in ("zone-same", "zone", "region", "internet")
    ]
    speeds[0]["scope"] = "same"
    other = {"zone": price, "region": "internet", "internet": price}
    tables = parse(
        {
            "sources": source,
            "clouds": {"*": other},
            "bandwidth": speeds,
            "storage": {"*": {"usd": 1, "source": "s"}},
        }
    )
    assert tables.usd(3, P("x/1"), P("x/2")) == 3
    assert tables.facts(P("x/1"), P("x/2"))[0].scope == "region"
    assert tables.way(P("x/1"), P("x/1"), 1).seconds_for(2) == pytest.approx(2)
