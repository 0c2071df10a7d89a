"""What a stage costs on an offer: its parts, its bars, and what nothing may do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stix.plan.amount import Amount
from stix.plan.blocklist import Blocklist
from stix.plan.costs import SPOT_RATE, Pricing, Source, StageCost, Work
from stix.plan.egress import Egress
from stix.plan.estimates import Estimate, Estimator, Stage
from stix.plan.history import Exposure, History
from stix.plan.offers import Offer
from stix.plan.regions import Place
from stix.plan.spot import Checkpoints
from stix.spec.estimate import EstimateSpec

OFFER = Offer("aws", "us-east-1", None, "p4d", 96, 1152, {"A100": 8}, price=20.0)
SPOT = replace(OFFER, price=8.0, spot=True)
HOUR = EstimateSpec(time=3600)


def pricing(history: History | None = None, **more: Any) -> Pricing:
    history = history or History()
    return replace(Pricing(Estimator(history), history), **more)


def work(**more: Any) -> Work:
    return replace(Work(Stage("train", 1, HOUR)), **more)


def data(gb: float, *places: Place) -> tuple[Source, ...]:
    return (Source("s3://b", places, Estimate(Amount.within(gb, 2), "your estimate")),)


def test_an_hour_and_its_boot() -> None:
    found = pricing().quote(work(), OFFER)
    assert (found.run_s, found.boot_s, found.setup_s) == (3600, 120, 0)
    assert found.usd == pytest.approx(20 * 3720 / 3600)
    assert found.compute_usd == pytest.approx(20)
    assert found.seconds == pytest.approx(3720 + found.wait_s)


def test_nodes_and_points_multiply_money_and_waves_multiply_time() -> None:
    one = pricing().quote(work(), OFFER)
    nodes = pricing().quote(work(stage=Stage("train", 4, HOUR)), OFFER)
    points = pricing().quote(work(points=6, waves=3), OFFER)
    assert nodes.usd == pytest.approx(4 * one.usd)
    assert nodes.seconds == one.seconds
    assert points.usd == pytest.approx(6 * one.usd)
    assert points.seconds - points.wait_s == pytest.approx(3 * (one.seconds - one.wait_s))


def test_spot_counts_what_is_done_over() -> None:
    found = pricing().quote(work(stage=Stage("train", 8, HOUR)), SPOT)
    assert found.preemptions == pytest.approx(8 * SPOT_RATE * 3720 / 3600, rel=0.3)
    assert found.preemption_usd > 0
    kept = pricing().quote(
        work(stage=Stage("train", 8, HOUR), checkpoints=Checkpoints(300, 1)), SPOT
    )
    assert 0 < kept.preemption_usd < found.preemption_usd
    assert kept.seconds < found.seconds


def test_preemptions_are_learned() -> None:
    rough = History(exposures=(Exposure("aws", "us-east-1", "p4d", 100, 50),))
    calm = History(exposures=(Exposure("aws", "us-east-1", "p4d", 1000, 0),))
    prices = [pricing(h).quote(work(), SPOT).usd for h in (calm, History(), rough)]
    assert prices == sorted(prices)
    assert pricing(rough).preemptions(SPOT).value == pytest.approx(0.46, abs=0.02)
    other = replace(SPOT, region="us-west-2")
    assert pricing(rough).preemptions(other) == pricing().preemptions(other)


def test_data_is_read_from_the_nearest_place() -> None:
    far, near = Place("aws", "eu-west-1"), Place("aws", "us-east-1")
    there = pricing(volume=500).quote(work(reads=data(500, far)), OFFER)
    assert there.data_usd == pytest.approx(10)
    both = pricing(volume=500).quote(work(reads=data(500, far, near)), OFFER)
    assert both.data_usd == 0
    assert 0 < both.data_s < there.data_s
    assert both.usd == pytest.approx(both.compute_usd + both.boot_usd)


def test_outputs_are_kept_until_the_run_ends() -> None:
    found = pricing().quote(work(kept_gb=1000, kept_hours=73), OFFER)
    assert found.storage_usd == pytest.approx(1000 * 0.023 / 10)


def test_shortages_cost_time() -> None:
    short = Blocklist()
    for _ in range(20):
        short = short.with_shortage(OFFER, "zone", 0)
    seldom, often = pricing().quote(work(), OFFER), pricing(zones=short).quote(work(), OFFER)
    assert often.shortage > seldom.shortage
    assert often.seconds > seldom.seconds
    assert often.usd == seldom.usd


@given(
    st.floats(1, 1e6),
    st.floats(0.001, 100),
    st.booleans(),
    st.floats(0, 1e4),
    st.sampled_from(["aws", "vast", "nowhere", "local"]),
    st.booleans(),
)
def test_money_is_never_negative_and_lies_within_its_bar(
    seconds: float, price: float, spot: bool, gb: float, cloud: str, estimated: bool
) -> None:
    offer = Offer(cloud, "r", None, "m", 4, 16, price=price, spot=spot)
    offer = replace(offer, price_is_estimate=estimated)
    asked = Work(
        Stage("train", 2, EstimateSpec(time=seconds), has_setup=True),
        reads=data(gb, Place("gcp", "us-central1")),
        kept_gb=gb,
        kept_hours=5,
    )
    prices = pricing(volume=gb, egress=Egress.bundled())
    if prices.quote(asked, offer).usd == float("inf"):
        return
    found = prices.detail(asked, offer)
    assert 0 <= found.usd.low <= found.usd.value <= found.usd.high
    assert 0 <= found.seconds.low <= found.seconds.value <= found.seconds.high
    quote = found.parts
    parts = quote.compute_usd + quote.boot_usd + quote.preemption_usd
    parts += quote.data_usd + quote.storage_usd
    assert quote.usd == pytest.approx(parts)
    assert min(quote) >= 0
    assert StageCost.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found


@given(st.floats(60, 1e5), st.floats(0.01, 50), st.floats(0.01, 50), st.booleans())
def test_a_dearer_machine_never_costs_less(
    seconds: float, one: float, other: float, spot: bool
) -> None:
    asked = work(stage=Stage("train", 1, EstimateSpec(time=seconds)))
    cheap, dear = (replace(OFFER, price=p, spot=spot) for p in sorted((one, other)))
    assert pricing().quote(asked, cheap).usd <= pricing().quote(asked, dear).usd
    assert pricing().quote(asked, cheap).seconds == pricing().quote(asked, dear).seconds


def test_a_price_that_is_an_estimate_has_a_wider_bar() -> None:
    sure = pricing().detail(work(), SPOT).usd
    unsure = pricing().detail(work(), replace(SPOT, price_is_estimate=True)).usd
    assert unsure.value == sure.value
    assert unsure.low < sure.low < sure.high < unsure.high
