"""Times and sizes of stages: who is believed, and how right the bars are."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from stix.plan.amount import Amount, dependent, independent, student
from stix.plan.estimates import (
    DEFAULT_S,
    RUNS_KEPT,
    Estimator,
    Stage,
    compared,
    predicted,
    speed,
)
from stix.plan.history import Exposure, History, Seen, Shape, Transfer
from stix.plan.offers import Offer
from stix.plan.regions import Place
from stix.spec.estimate import EstimateSpec

A100 = Offer("aws", "us-east-1", None, "p4d", 96, 1152, {"A100": 8}, price=22)
H100 = Offer("gcp", "us-central1", None, "a3", 208, 1872, {"H100": 8}, price=88)
CPU4 = Offer("aws", "us-east-1", None, "m7i.xlarge", 4, 16, price=0.2)
CPU32 = Offer("aws", "us-east-1", None, "m7i.8xlarge", 32, 128, price=1.6)
ODD = Offer("aws", "us-east-1", None, "x", 8, 32, {"Abacus": 1}, price=1)


def seen(offer: Offer, *times: float, stage: str = "train", **more: Any) -> list[Seen]:
    return [Seen(stage, Shape.of(offer), time, **more) for time in times]


def stage(**said: Any) -> Stage:
    return Stage("train", said=EstimateSpec(**said))


def test_who_is_believed() -> None:
    nothing, history = Estimator(History()), Estimator(History(tuple(seen(A100, 100, 100, 100))))
    assert nothing.time(stage(), A100).amount.value == DEFAULT_S
    assert nothing.time(stage(), A100).basis == "assumed"
    said = nothing.time(stage(time=600), A100)
    assert (said.amount.value, said.basis) == (600, "your estimate")
    known = history.time(stage(time=600), A100)
    assert (known.basis, known.runs) == ("history", 3)
    assert known.amount.value == pytest.approx(100)


def test_bars_narrow_with_what_is_known() -> None:
    def width(amount: Amount) -> float:
        return amount.high / amount.low

    guess = Estimator(History()).time(stage(), A100).amount
    said = Estimator(History()).time(stage(time=600), A100).amount
    runs = [Estimator(History(tuple(seen(A100, *[100] * n)))) for n in (1, 3, 20)]
    widths = [width(guess), width(said), *(width(r.time(stage(), A100).amount) for r in runs)]
    assert widths == sorted(widths, reverse=True)


def test_other_accelerators_are_scaled_by_what_they_can_do() -> None:
    said = Estimator(History()).time(stage(time=3600, accelerators="A100:8"), H100)
    assert 3600 / 3.2 < said.amount.value < 3600 / 1.5
    elsewhere = Estimator(History(tuple(seen(A100, 3600, 3600, 3600)))).time(stage(), H100)
    assert elsewhere.basis == "history elsewhere"
    assert elsewhere.amount.value == pytest.approx(said.amount.value)
    same = Estimator(History(tuple(seen(A100, 3600, 3600, 3600)))).time(stage(), A100)
    assert elsewhere.amount.high / elsewhere.amount.low > same.amount.high / same.amount.low


def test_a_time_without_a_machine_holds_everywhere() -> None:
    estimator = Estimator(History())
    times = {estimator.time(stage(time=60), offer).amount.value for offer in (A100, H100, CPU4)}
    assert times == {60}


def test_more_cpus_are_not_thought_faster_before_they_were_seen() -> None:
    history = Estimator(History(tuple(seen(CPU4, 100, 100))))
    assert history.time(stage(), CPU32).amount.value == pytest.approx(100)
    both = Estimator(History((*seen(CPU4, 100, 100), *seen(CPU32, 20, 20))))
    assert both.time(stage(), CPU32).amount.value == pytest.approx(20)
    middle = Offer("gcp", "r", None, "m", 24, 96)
    assert both.time(stage(), middle).amount.value == pytest.approx(20)  # nearer to 32 than to 4


def test_speeds() -> None:
    assert compared(Shape.of(A100), Shape.of(A100)) == (1, 0)
    faster, error = compared(Shape.of(A100), Shape.of(H100))
    assert faster < 1 < faster * 4
    assert error > 0
    assert compared(Shape.of(A100), Shape.of(ODD))[0] == 1
    assert speed(Shape.of(ODD)) is None
    one, eight = speed(Shape("T4", 1)), speed(Shape("T4", 8))
    assert one and eight
    assert one * 4 < eight < one * 8


def test_setup_and_sizes() -> None:
    nothing = Estimator(History())
    assert nothing.setup(Stage("train")).amount == (0, 0, 0)
    assert nothing.setup(Stage("train", has_setup=True)).amount.value > 0
    runs = seen(A100, 10, 10, setup_seconds=50, outputs={"model": 4.0}, inputs={"s3://b": 7.0})
    known = Estimator(History(tuple(runs)))
    assert known.setup(Stage("train", has_setup=True)).amount.value == pytest.approx(50)
    assert known.output(stage(outputs={"model": 9}), "model").amount.value == pytest.approx(4)
    assert known.input(stage(), "s3://b").amount.value == pytest.approx(7)
    assert nothing.output(stage(outputs={"model": 9}), "model").amount == (9, 4.5, 18)
    assert nothing.output(stage(), "model").amount.value == 0
    empty = seen(A100, 10, setup_seconds=0, outputs={"model": 0.0})
    none = Estimator(History(tuple(empty)))
    assert none.output(stage(outputs={"model": 9}), "model").amount.value == 0
    assert none.setup(Stage("train", has_setup=True)).amount.value == 0


def test_only_the_latest_runs_count() -> None:
    history = History((*seen(A100, *[1000] * 50), *seen(A100, *[10] * RUNS_KEPT)))
    assert Estimator(history).time(stage(), A100).amount.value == pytest.approx(10)
    assert Estimator(history.with_runs(seen(A100, 10))).time(stage(), A100).runs == RUNS_KEPT


@pytest.mark.parametrize("spread", [0.05, 0.1, 0.2, 0.3])
def test_after_three_runs_estimates_are_right(spread: float) -> None:
    """Stages of very different length; the time of a run is off its middle by ``spread``."""
    rng = random.Random(7)
    errors, within, next_within, count = [], 0, 0, 1500
    for _ in range(count):
        truth = math.exp(rng.uniform(math.log(20), math.log(50_000)))
        offer = rng.choice([A100, H100, CPU4])
        runs = seen(offer, *(truth * math.exp(rng.gauss(0, spread)) for _ in range(3)))
        wrong = EstimateSpec(time=truth * rng.choice([0.3, 4]))
        found = Estimator(History(tuple(runs))).time(Stage("train", said=wrong), offer).amount
        errors.append(abs(found.value / truth - 1))
        within += found.low <= truth <= found.high
        following = truth * math.exp(rng.gauss(0, spread))
        next_within += found.low <= following <= found.high
    errors.sort()
    assert errors[count // 2] < 0.15
    if spread <= 0.1:
        assert errors[int(count * 0.95)] < 0.15
    assert within / count >= 0.9
    assert next_within / count >= 0.9


def test_a_single_run_gives_a_bar() -> None:
    found = predicted([100])
    assert found.low < 100 < found.high < 300


def test_students_t() -> None:
    for freedom, expected in ((3, 3.182), (5, 2.571), (10, 2.228), (100, 1.984)):
        assert student(freedom) == pytest.approx(expected, rel=0.01)


def test_sums_of_amounts() -> None:
    parts = [Amount(10, 7, 14), Amount(20, 16, 23)]
    assert independent(parts) == (30, 25, 35)
    assert dependent(parts) == (30, 23, 37)
    assert independent([]) == (0, 0, 0)


def test_history_as_data() -> None:
    history = History(
        tuple(seen(A100, 10, setup_seconds=3, outputs={"m": 1.0})),
        (Exposure("aws", "us-east-1", "p4d", 8.0, 1),),
        (Transfer(Place("aws", "us-east-1"), Place("gcp", "r", "z"), 10, 5),) * 2,
    )
    again = History.from_dict(json.loads(json.dumps(history.to_dict())))
    assert again == history
    assert again.bandwidths() == {(Place("aws", "us-east-1"), Place("gcp", "r", "z")): 2}
    assert again.preempted(A100) == (8, 1)
    assert again.preempted(H100) == (0, 0)
    assert str(Shape.of(A100, 2)) == "2 x A100:8"
    assert str(Shape.of(CPU4)) == "4 CPUs"
