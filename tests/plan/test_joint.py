"""Pipelines placed as a whole: where data pulls, what is said about it, and plans made again."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from stix.plan.blocklist import Blocklist
from stix.plan.history import History, Seen, Shape, Transfer
from stix.plan.joint import Given, Goal, JointError, place_together
from stix.plan.jointplan import JointPlan
from stix.plan.offers import Offer
from stix.plan.place import PlanError
from stix.plan.placement import Block, Plan
from stix.plan.regions import Place
from stix.spec.models import PipelineSpec


def offer(cloud: str, region: str, kind: str, price: float, **more: Any) -> Offer:
    accelerators = {"A100": 8.0} if kind.startswith("gpu") else {}
    zone = more.pop("zone", None)
    return Offer(cloud, region, zone, kind, 8, 64, accelerators, price=price, **more)


EAST = [offer("aws", "us-east-1", "cpu", 0.40), offer("aws", "us-east-1", "gpu", 22.0)]
WEST = [offer("aws", "us-west-2", "cpu", 0.42), offer("aws", "us-west-2", "gpu", 23.0)]
GCP = [offer("gcp", "us-central1", "cpu", 0.30), offer("gcp", "us-central1", "gpu", 24.5)]
ALL = [*EAST, *WEST, *GCP]
GPU = {"accelerators": "A100:8"}


def pipeline(**stages: dict[str, Any]) -> PipelineSpec:
    full = {name: {"run": "true", **stage} for name, stage in stages.items()}
    return PipelineSpec.model_validate({"name": "p", "stages": full})


def chain(gb: str = "500GB") -> PipelineSpec:
    return pipeline(
        prepare={"outputs": {"data": "d"}, "estimate": {"time": "1h", "outputs": {"data": gb}}},
        train={
            "resources": GPU,
            "inputs": {"data": "prepare.data"},
            "outputs": {"model": "m"},
            "estimate": {"time": "2h", "outputs": {"model": "400GB"}},
        },
        test={
            "resources": GPU,
            "inputs": {"m": "train.model", "data": "prepare.data"},
            "estimate": "1h",
        },
    )


def regions(plan: JointPlan) -> list[str]:
    return [f"{s.offer.cloud}/{s.offer.region}" for s in plan.stages.values()]


def test_data_that_weighs_nothing_lets_each_stage_take_its_cheapest() -> None:
    plan = place_together(chain("0GB"), ALL)
    assert plan.stages["prepare"].offer == GCP[0]
    assert plan.egress_usd == 0


def test_heavy_data_keeps_the_stages_together() -> None:
    plan = place_together(chain(), ALL)
    assert regions(plan) == ["aws/us-east-1"] * 3
    assert plan.egress_usd == 0
    assert plan.gap == 0


def test_a_diamond_that_is_dearer_stage_by_stage() -> None:
    diamond = pipeline(
        source={"outputs": {"o": "o"}, "estimate": {"time": "1h", "outputs": {"o": "500GB"}}},
        left={
            "resources": GPU,
            "inputs": {"o": "source.o"},
            "outputs": {"o": "o"},
            "estimate": {"time": "1h", "outputs": {"o": "10GB"}},
        },
        right={"inputs": {"o": "source.o"}, "outputs": {"o": "o"}, "estimate": "1h"},
        join={"inputs": {"l": "left.o", "r": "right.o"}, "estimate": "1h"},
    )
    together = place_together(diamond, ALL)
    alone = {}
    for name, stage in diamond.stages.items():
        lonely = stage.model_copy(update={"inputs": {}, "needs": []})
        spec = PipelineSpec(name="p", stages={name: lonely})
        alone[name] = place_together(spec, ALL).stages[name].offer
    one_by_one = place_together(diamond, ALL, given=Given(pinned=alone))
    assert alone["source"] == GCP[0]
    assert one_by_one.usd.value > together.usd.value + 10


def test_where_the_input_lies_matters() -> None:
    spec = pipeline(
        read={"estimate": {"time": "1h", "inputs": {"s3://bucket/raw": "800GB"}}},
    )
    west = Given(data={"s3://bucket": Place("aws", "us-west-2")})
    plan = place_together(spec, ALL, given=west)
    assert regions(plan) == ["aws/us-west-2"]
    (edge,) = plan.edges
    assert (edge.source, edge.target, edge.scope, edge.usd.value) == (
        "s3://bucket/raw",
        "read",
        "same",
        0,
    )
    unknown = place_together(spec, ALL)
    assert unknown.stages["read"].offer.cloud == "aws"


def test_sizes_of_skypilot_count() -> None:
    spec = pipeline(a={"outputs": {"s3://b": 500}}, b={"resources": GPU, "needs": ["a"]})
    plan = place_together(spec, ALL)
    assert regions(plan) == ["aws/us-east-1"] * 2
    assert plan.edges[0].gb.value == 500
    reads = pipeline(a={"inputs": {"gs://b": 900}})
    assert regions(place_together(reads, ALL)) == ["gcp/us-central1"]
    assert place_together(reads, EAST).edges[0].usd.value == pytest.approx(900 * 0.12)


def test_history_tells_sizes_and_times() -> None:
    shape = Shape.of(GCP[0])
    runs = [Seen("prepare", shape, 1800, outputs={"data": 500.0}) for _ in range(3)]
    bare = pipeline(
        prepare={"outputs": {"data": "d"}},
        train={"resources": GPU, "inputs": {"data": "prepare.data"}},
    )
    blind = place_together(bare, ALL)
    assert blind.notes == ("the size of prepare.data is not known; counted as 0",)
    seeing = place_together(bare, ALL, given=Given(history=History(tuple(runs))))
    assert regions(blind) != regions(seeing) == ["aws/us-east-1"] * 2
    assert seeing.notes == ()
    assert seeing.stages["prepare"].cost.basis == "history"
    assert seeing.stages["prepare"].cost.parts.run_s == pytest.approx(1800)


def test_points_of_a_matrix_cost_and_move_each() -> None:
    spec = pipeline(
        a={"outputs": {"o": "o"}, "estimate": {"outputs": {"o": "10GB"}}},
        b={"inputs": {"o": "a.o"}, "matrix": {"k": [1, 2, 3, 4]}, "max_parallel": 2},
    )
    plan = place_together(spec, EAST)
    assert plan.stages["b"].points == 4
    assert plan.edges[0].gb.value == 40
    one = plan.stages["a"].cost
    four = plan.stages["b"].cost
    assert four.parts.compute_usd == pytest.approx(4 * one.parts.compute_usd)
    assert four.seconds.value > 1.9 * one.seconds.value


def test_totals_add_up() -> None:
    plan = place_together(chain("50GB"), ALL)
    stages = sum(stage.cost.usd.value for stage in plan.stages.values())
    edges = sum(edge.usd.value for edge in plan.edges)
    assert plan.usd.value == pytest.approx(stages + edges)
    assert plan.usd.low <= plan.usd.value <= plan.usd.high
    assert plan.seconds.low <= plan.seconds.value <= plan.seconds.high
    ends = [stage.end for stage in plan.stages.values()]
    assert plan.seconds.value == max(ends)
    wide = sum(stage.cost.usd.high for stage in plan.stages.values())
    assert plan.usd.high < wide  # errors of stages partly cancel


def test_the_plan_says_why_the_others_lost() -> None:
    slower = offer("aws", "us-east-1", "gpu-old", 25.0)
    plan = place_together(chain(), [*ALL, slower])
    train = plan.stages["train"]
    assert train.next_best is not None
    assert train.next_best.choice.offer == WEST[1]
    assert train.next_best.usd > 10
    assert train.lost == {"beaten": 1, "dearer": 2}
    assert train.excluded == {"accelerators": 3}
    assert {loser.code for loser in train.losers} == {"beaten", "dearer"}
    assert [c.offer for c in train.alternatives][-1] == slower
    prepare = plan.stages["prepare"]
    assert prepare.lost["data"] == 1
    (pulled,) = [loser for loser in prepare.losers if loser.code == "data"]
    assert pulled.choice.offer == GCP[0]
    assert "cheaper by itself" in pulled.why


def test_every_loss_is_one_of_the_whole_plan() -> None:
    """What is said of a loser is what the plan costs with the stage pinned to it."""
    spec, plan = chain("50GB"), place_together(chain("50GB"), ALL)
    for name, stage in plan.stages.items():
        for loser in stage.losers:
            if loser.code == "beaten":
                continue
            kept = {n: s.offer for n, s in plan.stages.items()} | {name: loser.choice.offer}
            other = place_together(spec, ALL, given=Given(pinned=kept))
            assert other.usd.value - plan.usd.value == pytest.approx(loser.usd, abs=1e-6)


def test_ordered_goes_before_money() -> None:
    spec = pipeline(a={"resources": {"ordered": [{"infra": "gcp"}, {"infra": "aws"}]}})
    dear = [*EAST, offer("gcp", "us-central1", "cpu", 9.0)]
    plan = place_together(spec, dear)
    assert plan.stages["a"].offer.cloud == "gcp"
    assert plan.stages["a"].lost["tier"] == 1


def test_goals() -> None:
    spec = pipeline(
        a={
            "resources": {"any_of": [{"accelerators": "T4"}, {"accelerators": "A100"}]},
            "estimate": {"time": "10h", "accelerators": "T4"},
        }
    )
    slow = Offer("aws", "us-east-1", None, "t4", 4, 16, {"T4": 1}, price=0.5)
    fast = Offer("aws", "us-east-1", None, "a100", 4, 16, {"A100": 1}, price=4.0)
    offers = [slow, fast]
    assert place_together(spec, offers).stages["a"].offer == slow
    assert place_together(spec, offers, Goal("time")).stages["a"].offer == fast
    assert place_together(spec, offers, Goal(deadline=4 * 3600)).stages["a"].offer == fast
    assert place_together(spec, offers, Goal("time", budget=6)).stages["a"].offer == slow
    with pytest.raises(JointError) as caught:
        place_together(spec, offers, Goal(deadline=60))
    assert caught.value.least
    assert caught.value.least > 3600
    hurried = place_together(spec, offers, Goal(deadline=4 * 3600)).stages["a"]
    assert hurried.lost == {"late": 1}


def test_a_deadline_of_the_file_is_told_and_not_planned_against() -> None:
    spec = chain().model_copy(update={"deadline": 60.0})
    assert "longer than the deadline" in " ".join(place_together(spec, ALL).notes)


def test_what_cannot_be_placed() -> None:
    spec = pipeline(a={"resources": {"accelerators": "H100"}}, b={})
    with pytest.raises(PlanError) as caught:
        place_together(spec, ALL)
    assert [stage.stage for stage in caught.value.unplaced] == ["a"]
    assert "H100" in caught.value.message
    with pytest.raises(PlanError) as caught:
        place_together(pipeline(b={}), ALL, given=Given(blocked=[Block(spot=False)]))
    assert caught.value.unplaced[0].nearest[0].reasons[0].code == "blocked"


def test_a_group_shares_a_region() -> None:
    parallel = pipeline(a={"resources": GPU}, b={}).model_copy(update={"execution": "parallel"})
    assert len(set(regions(place_together(parallel, ALL)))) == 1
    apart = parallel.model_copy(update={"inter_connection": False})
    assert len(set(regions(place_together(apart, ALL)))) == 2


def test_warm_machines_are_worth_their_boot() -> None:
    spec = pipeline(a={"estimate": "10m"}, b={"needs": ["a"], "estimate": "10m"})
    cold, warm = place_together(spec, ALL), place_together(spec, ALL, Goal(reuse=True))
    assert warm.warm == (("a", "b"),)
    assert warm.usd.value < cold.usd.value
    assert warm.seconds.value < cold.seconds.value
    assert warm.stages["b"].end == warm.seconds.value


def test_a_stock_out_moves_the_rest_with_the_data() -> None:
    spec, now = chain("20GB"), 10_000.0
    first = place_together(spec, ALL)
    assert regions(first) == ["aws/us-east-1"] * 3
    train = first.stages["train"].offer
    lost = Blocklist().with_shortage(train, "region", now)
    given = Given(
        done={"prepare": [Place.of(first.stages["prepare"].offer)]},
        sizes={"prepare.data": 20.0},
        zones=lost,
        now=now,
    )
    again = place_together(spec, ALL, given=given)
    assert list(again.stages) == ["train", "test"]
    assert regions(again) == ["aws/us-west-2"] * 2
    # Only the stage that found no room moves; the other stays where the first plan had it.
    old = replace(given, pinned={"test": first.stages["test"].offer})
    kept = place_together(spec, ALL, given=old)
    assert kept.stages["test"].offer == first.stages["test"].offer
    assert kept.stages["test"].pinned
    assert again.usd.value < kept.usd.value - 5
    later = replace(given, now=now + 100_000)
    assert regions(place_together(spec, ALL, given=later)) == ["aws/us-east-1"] * 2


@pytest.mark.parametrize("seed", range(40))
def test_a_new_plan_is_never_dearer_than_keeping_the_old_one(seed: int) -> None:
    rng = random.Random(seed)
    offers = [replace(o, price=round(o.price * rng.uniform(0.7, 1.4), 3)) for o in ALL]
    spec = chain(f"{rng.choice([0, 5, 50, 500])}GB")
    first = place_together(spec, offers)
    moved, done = rng.choice([("train", ["prepare"]), ("test", ["prepare", "train"])])
    short = first.stages[moved].offer
    given = Given(
        done={name: [Place.of(first.stages[name].offer)] for name in done},
        zones=Blocklist().with_shortage(short, rng.choice(["type", "region", "cloud"]), 0.0),
        now=60.0,
    )
    again = place_together(spec, offers, given=given)
    assert not any(block.covers(again.stages[moved].offer) for block in given.zones.blocks(60.0))
    rest = {name: s.offer for name, s in first.stages.items() if name not in (*done, moved)}
    kept = place_together(spec, offers, given=replace(given, pinned=rest))
    assert again.usd.value <= kept.usd.value + 1e-6


def test_a_replica_near_by_is_read() -> None:
    places = [Place("gcp", "us-central1"), Place("aws", "us-west-2")]
    given = Given(done={"prepare": places}, sizes={"prepare.data": 500.0})
    plan = place_together(chain(), ALL, given=given)
    assert regions(plan) == ["aws/us-west-2"] * 2
    assert plan.edges[0].origin == "aws/us-west-2"


def test_zones_that_were_short_are_asked_last_among_equals() -> None:
    zones = [offer("aws", "us-east-1", "cpu", 0.4, zone=f"us-east-1{z}") for z in "abc"]
    short = Blocklist()
    for _ in range(3):
        short = short.with_shortage(zones[0], "zone", 0).with_shortage(zones[2], "zone", 0)
    plan = place_together(pipeline(a={}), zones, given=Given(zones=short, now=86_400.0))
    assert plan.stages["a"].offer == zones[1]
    assert plan.stages["a"].cost.parts.shortage < 0.1
    fresh = place_together(pipeline(a={}), zones)
    assert fresh.stages["a"].offer == zones[0]


def test_a_bandwidth_that_was_seen_sets_the_time() -> None:
    a, b = Place.of(EAST[0]), Place.of(GCP[1])
    spec, offers = chain(), [EAST[0], GCP[1]]
    slow = History(transfers=(Transfer(a, b, 1.0, 100.0),))
    pins = Given(pinned={"prepare": EAST[0]})
    seen = place_together(spec, offers, given=replace(pins, history=slow))
    assumed = place_together(spec, offers, given=pins)
    assert seen.edges[0].seconds.value == pytest.approx(50_000)
    assert seen.seconds.value > assumed.seconds.value


def test_what_was_sent_this_month_counts_against_the_allowance() -> None:
    spec, offers = chain("90GB"), [EAST[0], GCP[1]]
    pins = Given(pinned={"prepare": EAST[0], "train": GCP[1], "test": GCP[1]})
    fresh = place_together(spec, offers, given=pins)
    later = place_together(spec, offers, given=replace(pins, used_gb={"aws": 500}))
    assert later.egress_usd == pytest.approx(2 * 90 * 0.09)
    assert fresh.egress_usd < later.egress_usd


def test_a_plan_is_data() -> None:
    slower = offer("aws", "us-east-1", "gpu-old", 25.0, price_is_estimate=True, spot=False)
    plan = place_together(chain("50GB"), [*ALL, slower], Goal(reuse=True))
    text = json.dumps(plan.to_dict(), allow_nan=False)
    assert JointPlan.from_dict(json.loads(text)) == plan
    flows = plan.plan()
    assert Plan.from_dict(json.loads(json.dumps(flows.to_dict()))) == flows
    assert {n: p.offer for n, p in flows.stages.items()} == {
        n: s.offer for n, s in plan.stages.items()
    }


def test_the_same_question_has_the_same_answer_in_any_order() -> None:
    plan = place_together(chain("50GB"), ALL)
    assert place_together(chain("50GB"), ALL[::-1]) == plan


def test_after_three_runs_the_plan_of_a_pipeline_is_right() -> None:
    """Money and time of whole pipelines, whose stages and boots vary by 15 %."""
    rng = random.Random(3)
    errors, paid, timed, count = [], 0, 0, 80
    here = EAST[0]
    for _ in range(count):
        middles = {f"s{n}": rng.uniform(60, 20_000) for n in range(4)}
        names = list(middles)
        spec = pipeline(**{n: {"needs": names[i - 1 : i]} for i, n in enumerate(names)})

        def run(middle: float) -> float:
            return middle * rng.lognormvariate(0, 0.15)

        history, zones = History(), Blocklist()
        for _ in range(3):
            for name, middle in middles.items():
                history = history.with_runs([Seen(name, Shape.of(here), run(middle))])
                zones = zones.with_nodes(here, 0.0, run(90))
        plan = place_together(spec, [here], given=Given(history=history, zones=zones))
        seconds = sum(run(middle) + run(90) for middle in middles.values())
        usd = seconds / 3600 * here.price
        errors.append(abs(plan.usd.value / usd - 1))
        paid += plan.usd.low <= usd <= plan.usd.high
        timed += plan.seconds.low <= seconds <= plan.seconds.high
    assert sorted(errors)[count // 2] < 0.15
    assert paid / count >= 0.9
    assert timed / count >= 0.9
