"""Which offers serve, which are dropped, and that no best plan misses those."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from stix.plan.candidates import Candidates, candidates, matching
from stix.plan.choose import Wish
from stix.plan.costs import Pricing, Work
from stix.plan.egress import Egress
from stix.plan.estimates import Estimator, Stage
from stix.plan.history import History, Seen, Shape
from stix.plan.joint import Given, Goal, JointError, place_together
from stix.plan.match import Need, reasons
from stix.plan.offers import Offer
from stix.plan.place import PlanError, wish_of
from stix.plan.placement import Block
from stix.plan.regions import Place
from stix.plan.shelf import Shelf, settled
from stix.plan.work import Reader
from stix.spec.estimate import EstimateSpec
from stix.spec.models import PipelineSpec

PLACES = [
    ("aws", "us-east-1", None),
    ("aws", "us-west-2", None),
    ("gcp", "us-central1", "us-central1-a"),
    ("gcp", "us-central1", "us-central1-b"),
    ("azure", "westeurope", None),
    ("runpod", "*", None),
]
KINDS: list[tuple[dict[str, float], float]] = [
    ({}, 4),
    ({}, 16),
    ({"A100": 1}, 12),
    ({"H100": 1}, 26),
    ({"T4": 1}, 4),
]


def market(rng: random.Random, count: int) -> list[Offer]:
    found = []
    for number in range(count):
        cloud, region, zone = rng.choice(PLACES)
        accelerators, cpus = rng.choice(KINDS)
        found.append(
            Offer(
                *(cloud, region, zone, f"m{number}", cpus, 4 * cpus, dict(accelerators)),
                price=rng.choice([0.1, 0.5, 0.5, 1.0, 2.0, 4.0]),
                spot=rng.random() < 0.4,
            )
        )
    return found


def need(rng: random.Random) -> Need:
    return Need(
        cloud=rng.choice([None, None, "aws", "gcp", "runpod"]),
        region=rng.choice([None, None, None, "us-east-1", "us-central1"]),
        zone=rng.choice([None, None, None, "us-central1-a", "us-east-1b"]),
        instance_type=rng.choice([None, None, None, "m3"]),
        cpus=rng.choice([0, 0, 4, 8]),
        cpus_exact=rng.random() < 0.3,
        memory_gib=rng.choice([0, 0, 16, 64]),
        memory_exact=rng.random() < 0.3,
        accelerators=rng.choice([{}, {}, {"a100": 1}, {"H100": 1}, {"T4": 2}]),
        use_spot=rng.random() < 0.4,
        max_hourly_cost=rng.choice([None, None, 1.0]),
        num_nodes=rng.choice([1, 2]),
        local_disk_gib=rng.choice([0, 0, 0, 100]),
    )


@pytest.mark.parametrize("seed", range(60))
def test_the_shelf_finds_what_asking_each_offer_finds(seed: int) -> None:
    rng = random.Random(seed)
    offers = market(rng, 40)
    offers += [replace(o, capacity=1, shared=rng.random() < 0.5) for o in market(rng, 10)]
    offers += [replace(o, local_disk_gib=rng.choice([50, 100, 200])) for o in market(rng, 10)]
    blocked = [Block(cloud="aws", spot=True)]
    tiers = tuple(tuple(need(rng) for _ in range(rng.choice([1, 2]))) for _ in range(2))
    found = matching(Wish("s", tiers), Shelf(offers), blocked)
    expected: dict[int, int] = {}
    for tier, needs in enumerate(tiers):
        for one, (index, offer) in itertools.product(needs, enumerate(offers)):
            there = settled(one, offer)
            free = not any(block.covers(there) for block in blocked)
            if free and not list(reasons(one, there)):
                expected.setdefault(index, tier)
    names = sorted((offers[i].instance_type, offers[i].price, t) for i, t in expected.items())
    assert sorted((m.offer.instance_type, m.offer.price, m.tier) for m in found.found) == names
    assert sum(found.refused.values()) == len(offers) - len(expected)
    assert all(rejected.reasons for rejected in found.nearest)
    distances = [len(rejected.reasons) for rejected in found.nearest]
    assert distances == sorted(distances)


def test_an_offer_for_all_regions_is_set_where_the_stage_asks() -> None:
    anywhere = Offer("runpod", "*", None, "a", 8, 32, {"A100": 1}, price=1)
    regional = Offer("aws", "us-east-1", None, "m", 8, 32, price=1)
    assert settled(Need(cloud="runpod", region="US"), anywhere).region == "US"
    assert settled(Need(cloud="aws", region="US"), anywhere) == anywhere
    assert settled(Need(zone="us-east-1b"), regional).zone == "us-east-1b"
    assert settled(Need(zone="us-east-2b"), regional) == regional
    shared = replace(regional, shared=True)
    assert settled(Need(zone="us-east-1b"), shared) == shared


def found(offers: list[Offer], history: History | None = None, **more: Any) -> Candidates:
    history = history or History()
    pricing = Pricing(Estimator(history), history)
    work = Work(Stage("s", said=EstimateSpec(time=3600, **more)))
    return candidates(matching(Wish("s", ((Need(),),)), Shelf(offers)), work, pricing)


def test_the_loser_of_a_place_knows_who_beat_it() -> None:
    cheap = Offer("aws", "us-east-1", None, "small", 4, 16, price=1)
    dear = replace(cheap, instance_type="large", cpus=64, price=2)
    elsewhere = replace(dear, region="us-west-2")
    out = found([dear, cheap, elsewhere])
    assert [c.offer for c in out.kept] == [cheap, elsewhere]
    assert [(one.offer, by.offer) for part in out.beaten for one, by in part.pairs] == [
        (dear, cheap)
    ]


def test_a_faster_machine_stays() -> None:
    slow = Offer("aws", "us-east-1", None, "p4d", 12, 85, {"A100": 1}, price=2)
    fast = replace(slow, instance_type="p5", accelerators={"H100": 1}, price=8)
    waste = replace(slow, instance_type="g4", accelerators={"T4": 1}, price=3)
    out = found([slow, fast, waste], accelerators="A100:1")
    assert [c.offer for c in out.kept] == [slow, fast]
    assert [one.offer for part in out.beaten for one, _ in part.pairs] == [waste]
    assert [c.offer for c in found([slow, fast, waste]).kept] == [slow]


def test_history_of_a_machine_keeps_it_apart() -> None:
    four = Offer("aws", "us-east-1", None, "x4", 4, 16, price=1)
    many = replace(four, instance_type="x32", cpus=32, price=1.5)
    assert [c.offer for c in found([four, many]).kept] == [four]
    runs = [Seen("s", Shape.of(four), 3600), Seen("s", Shape.of(many), 600)]
    assert [c.offer for c in found([four, many], History(tuple(runs))).kept] == [many]


def test_what_never_ends_is_excluded() -> None:
    spot = Offer("aws", "us-east-1", None, "m", 4, 16, price=0.1, spot=True)
    pricing = Pricing(Estimator(History()))
    long = Work(Stage("s", 64, EstimateSpec(time=5_000_000)))
    out = candidates(matching(Wish("s", ((Need(use_spot=True),),)), Shelf([spot])), long, pricing)
    assert out.kept == []
    assert out.refused == {"preemption": 1}


def pipeline(rng: random.Random) -> PipelineSpec:
    stages: dict[str, Any] = {}
    for number in range(rng.choice([2, 3, 3])):
        resources: dict[str, Any] = rng.choice([{}, {}, {"cpus": "8+"}])
        if rng.random() < 0.5:
            accelerators = rng.sample(["A100", "H100", "T4"], 2)
            key = rng.choice(["any_of", "any_of", "ordered"])
            spot = rng.random() < 0.5
            resources = {key: [{"accelerators": a, "use_spot": spot} for a in accelerators]}
        above = [n for n in stages if rng.random() < 0.8]
        stages[f"s{number}"] = {
            "run": "true",
            "resources": resources,
            "inputs": {n: f"{n}.out" for n in above},
            "outputs": {"out": "out"},
            "estimate": {
                "time": rng.choice([600, 3600, 36000]),
                "accelerators": rng.choice(["A100", "H100"]),
                "outputs": {"out": rng.choice([0, 1, 50, 500])},
                "inputs": {"s3://data": rng.choice([0, 100])},
            },
            "matrix": rng.choice([{}, {}, {"k": [1, 2, 3]}]),
        }
    return PipelineSpec.model_validate({"name": "p", "stages": stages})


def brute(spec: PipelineSpec, offers: list[Offer], given: Given) -> list[tuple[Any, ...]]:
    """(tiers, usd, seconds) of every plan there is, with every offer that serves."""
    estimator = Estimator(given.history)
    works = Reader(estimator, given.data, given.done, given.sizes).read(spec)
    pricing = Pricing(estimator, given.history, volume=works.volume)
    egress, names = Egress.bundled(), list(works.works)
    shelf = Shelf(offers)
    options = []
    for name, work in works.works.items():
        matches = matching(wish_of(name, spec.stages[name]), shelf).found
        options.append([(m, pricing.quote(work, m.offer)) for m in matches])
    plans = []
    for picks in itertools.product(*options):
        at = {name: Place.of(m.offer) for name, (m, _) in zip(names, picks, strict=True)}
        usd = sum(quote.usd for _, quote in picks)
        into = defaultdict(list)
        for edge in works.edges:
            way = egress.way(at[edge.source], at[edge.target], works.volume)
            usd += way.usd_for(edge.load)
            into[edge.target].append((edge.source, way.seconds_for(edge.load)))
        ends: dict[str, float] = {}
        for name, (_, quote) in zip(names, picks, strict=True):  # they are in order
            start = max((ends[source] + s for source, s in into[name]), default=0.0)
            ends[name] = start + quote.seconds
        plans.append((tuple(m.tier for m, _ in picks), usd, max(ends.values())))
    return plans


@pytest.mark.parametrize("seed", range(150))
def test_no_best_plan_needs_what_was_dropped(seed: int) -> None:
    rng = random.Random(seed)
    spec, offers = pipeline(rng), market(rng, rng.choice([8, 14, 18]))
    given = Given(data={"s3://data": Place("aws", rng.choice(["us-east-1", "us-west-2"]))})
    plans = brute(spec, offers, given)
    if not plans:
        with pytest.raises(PlanError):
            place_together(spec, offers, given=given)
        return
    first = min(tiers for tiers, _, _ in plans)
    wanted = [(usd, seconds) for tiers, usd, seconds in plans if tiers == first]
    cheapest, fastest = min(usd for usd, _ in wanted), min(seconds for _, seconds in wanted)
    plan = place_together(spec, offers, Goal(), given)
    assert plan.usd.value == pytest.approx(cheapest, abs=1e-3)
    quick = place_together(spec, offers, Goal("time"), given)
    assert quick.seconds.value == pytest.approx(fastest, abs=1e-2)
    # A deadline between the two, met at the least cost.
    deadline = (fastest + plan.seconds.value) / 2
    tiers = min(t for t, _, seconds in plans if seconds <= deadline + 1e-3)
    if tiers == first:
        best = min(usd for usd, seconds in wanted if seconds <= deadline + 1e-3)
        late = place_together(spec, offers, Goal(deadline=deadline), given)
        assert late.usd.value == pytest.approx(best, abs=1e-3)
        assert late.seconds.value <= deadline + 1e-2
    with pytest.raises(JointError):
        place_together(spec, offers, Goal(budget=min(usd for _, usd, _ in plans) * 0.5), given)
