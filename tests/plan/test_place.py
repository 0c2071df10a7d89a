"""Placement: who may serve, in which order, and what is said where nobody can."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stix.errors import StixError
from stix.plan.match import Need, matches
from stix.plan.offers import Demand, Offer
from stix.plan.place import PlanError, demand_of, extras_on, place
from stix.plan.placement import Block, Placement, Plan
from stix.spec.models import PipelineSpec, Resources

LOCAL = Offer("local", "-", None, "this-machine", 8, 32, capacity=1, shared=True)
RACK = Offer("ssh", "rack", None, "16cpu", 16, 64, {"A100": 4}, price=0.0, capacity=3, shared=True)
SMALL = Offer("aws", "us-east-1", "us-east-1a", "m5.large", 2, 8, price=0.096)
LARGE = Offer("aws", "us-east-1", "us-east-1a", "m5.4xlarge", 16, 64, price=0.768)
SMALL_SPOT = Offer("aws", "us-east-1", "us-east-1b", "m5.large", 2, 8, price=0.035, spot=True)
EUROPE = Offer("aws", "eu-west-1", "eu-west-1a", "m5.large", 2, 8, price=0.107)
GPU8 = Offer("aws", "us-east-1", "us-east-1a", "p4d", 96, 1152, {"A100": 8}, price=32.77)
GCP = Offer("gcp", "us-central1", "us-central1-a", "a2", 12, 85, {"A100": 1}, price=3.67)
ALL = [LOCAL, RACK, SMALL, LARGE, SMALL_SPOT, EUROPE, GPU8, GCP]
CLOUDS = [SMALL, LARGE, SMALL_SPOT, EUROPE, GPU8, GCP]


def pipeline(num_nodes: int = 1, **resources: Any) -> PipelineSpec:
    stage = {"run": "true", "num_nodes": num_nodes, "resources": resources}
    return PipelineSpec.model_validate({"name": "p", "stages": {"train": stage}})


def placed(offers: list[Offer], num_nodes: int = 1, **resources: Any) -> Placement:
    return place(pipeline(num_nodes, **resources), offers).stages["train"]


def refused(offers: list[Offer], num_nodes: int = 1, **resources: Any) -> PlanError:
    with pytest.raises(PlanError) as caught:
        place(pipeline(num_nodes, **resources), offers)
    return caught.value


def path(placement: Placement) -> list[str]:
    return [c.offer.instance_type for c in (placement.chosen, *placement.alternatives)]


def test_nothing_asked_reserves_nothing_and_takes_the_cheapest() -> None:
    placement = placed(ALL)
    assert placement.offer == LOCAL
    assert placement.chosen.demand == Demand() == demand_of(Resources())


def test_the_demand_is_what_was_asked_under_the_names_of_the_offer() -> None:
    placement = placed(ALL, cpus="4+", memory=16, accelerators="a100:2", infra="ssh")
    assert placement.chosen.demand == Demand(4, 16, {"A100": 2})


def test_candidates_come_by_money_then_waste_then_name() -> None:
    twin = Offer("aws", "us-east-1", "us-east-1c", "m5.large", 2, 8, price=0.096)
    roomy = Offer("aws", "us-east-1", "us-east-1a", "big", 4, 8, price=0.096)
    offers = [LARGE, EUROPE, roomy, twin, SMALL]
    placement = placed(offers, cpus="2+", infra="aws")
    chain = [placement.chosen, *placement.alternatives]
    assert [c.offer for c in chain] == [SMALL, twin, roomy, EUROPE, LARGE]
    assert placed(offers[::-1], cpus="2+", infra="aws").alternatives == placement.alternatives


def test_ordered_beats_money() -> None:
    resources: dict[str, Any] = {
        "ordered": [{"infra": "aws/eu-west-1"}, {"infra": "aws/us-east-1", "cpus": "2+"}]
    }
    assert placed(CLOUDS, **resources).offer == EUROPE
    assert path(placed(CLOUDS, **resources)) == ["m5.large", "m5.large", "m5.4xlarge", "p4d"]


def test_any_of_is_one_market() -> None:
    resources: dict[str, Any] = {
        "any_of": [{"infra": "aws/eu-west-1"}, {"infra": "aws/us-east-1", "cpus": "2+"}]
    }
    assert placed(CLOUDS, **resources).offer == SMALL


def test_an_offer_that_serves_two_alternatives_stands_once() -> None:
    resources: dict[str, Any] = {"any_of": [{"infra": "aws"}, {"infra": "aws/us-east-1"}]}
    placement = placed([SMALL, EUROPE], **resources)
    assert [placement.offer, *(c.offer for c in placement.alternatives)] == [SMALL, EUROPE]


@pytest.mark.parametrize(
    ("infra", "expected"),
    [
        ("*/us-east-1", "m5.large"),
        ("*/*/us-central1-a", "a2"),
        ("aws/*/eu-west-1a", "m5.large"),
        ("*", "this-machine"),
        ("ssh/rack", "16cpu"),
    ],
)
def test_holes_in_infra(infra: str, expected: str) -> None:
    assert placed(ALL, infra=infra).offer.instance_type == expected


def test_spot_is_a_market_of_its_own() -> None:
    assert placed(ALL, use_spot=True).offer == SMALL_SPOT
    assert SMALL_SPOT not in [c.offer for c in placed(ALL, infra="aws").alternatives]
    error = refused([SMALL, EUROPE], use_spot=True)
    assert "wants spot, this is on demand" in error.message
    assert "use_spot" in error.fix


def test_the_limit_of_price_is_per_node() -> None:
    assert placed(CLOUDS, num_nodes=4, max_hourly_cost=0.1).offer == SMALL
    assert placed(CLOUDS, num_nodes=4, max_hourly_cost=0.1).usd_per_hour == pytest.approx(0.384)
    error = refused(CLOUDS, infra="gcp", max_hourly_cost=1.0)
    assert "costs 3.67 USD/h, the limit is 1" in error.message
    assert "max_hourly_cost" in error.fix


def test_an_exact_amount_is_exact_on_a_machine_of_our_own_and_a_part_of_a_shared_one() -> None:
    assert placed(CLOUDS, cpus=16).offer == LARGE
    assert placed(ALL, cpus=3).offer == LOCAL
    assert "wants exactly 3 CPUs, has 2" not in refused(CLOUDS, cpus=3).message
    assert "4+" in refused(CLOUDS, cpus=3).fix
    assert placed(CLOUDS, accelerators="A100:8").offer == GPU8
    assert refused(CLOUDS, accelerators="A100:4").unplaced[0].stage == "train"


@pytest.mark.parametrize(
    ("num_nodes", "cpus", "fits"),
    [(3, "16", True), (6, "8", True), (7, "8", False), (3, None, True), (500, None, True)],
)
def test_nodes_share_machines_up_to_their_size(
    num_nodes: int, cpus: str | None, fits: bool
) -> None:
    if fits:
        assert placed([RACK], num_nodes, cpus=cpus).num_nodes == num_nodes
    else:
        assert "has room for 6" in refused([RACK], num_nodes, cpus=cpus).message


def test_nodes_of_a_stage_need_machines_of_their_own_elsewhere() -> None:
    two = Offer("x", "r", None, "t", 8, 8, capacity=2)
    assert placed([two], 2, cpus="1+").offer == two
    assert "needs 3 nodes, has room for 2" in refused([two], 3, cpus="1+").message


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("A10O:1", "did you mean A100?"),
        ("a100-80:1", "did you mean A100?"),
        ("zzz:1", "known here: A100"),
    ],
)
def test_misspelt_accelerators_get_a_suggestion(wanted: str, hint: str) -> None:
    assert hint in refused(ALL, accelerators=wanted).fix


def test_misspelt_places_get_a_suggestion() -> None:
    assert "did you mean us-east-1 by us-eest-1?" in refused(ALL, infra="aws/us-eest-1").fix
    assert "did you mean m5.large by m5.lrge?" in refused(ALL, instance_type="m5.lrge").fix


def test_no_offers_at_all() -> None:
    assert "stix check" in refused([]).fix


def test_every_stage_that_has_no_place_is_named_with_the_nearest_offers() -> None:
    stages = {
        "good": {"run": "true"},
        "huge": {"run": "true", "resources": {"cpus": "90+", "infra": "ssh"}},
        "gpu": {"run": "true", "resources": {"accelerators": "H100:8"}},
    }
    spec = PipelineSpec.model_validate({"name": "p", "stages": stages})
    with pytest.raises(PlanError) as caught:
        place(spec, ALL)
    error = caught.value
    assert [stage.stage for stage in error.unplaced] == ["huge", "gpu"]
    assert error.unplaced[0].nearest[0].offer == RACK
    assert "'huge' cannot be placed: nothing serves 90 CPUs on ssh" in error.message
    assert "ssh/rack 16cpu: needs 90 CPUs, has 16" in error.message
    assert "did you mean" in error.fix or "known here" in error.fix


def test_defaults_of_the_pipeline_count() -> None:
    spec = PipelineSpec.model_validate(
        {
            "name": "p",
            "defaults": {"resources": {"infra": "gcp"}},
            "stages": {"a": {"run": "true"}},
        }
    )
    assert place(spec, ALL).stages["a"].offer == GCP


def test_rejections_are_explained_and_counted() -> None:
    placement = placed(ALL, accelerators="A100:8")
    codes = [[reason.code for reason in r.reasons] for r in placement.rejected if r.offer == SMALL]
    assert placement.rejected_count == len(ALL) - 1
    assert placement.rejected[0].offer in (RACK, GCP)
    assert codes == [["accelerators"]]


def test_a_plan_survives_json() -> None:
    plan = place(pipeline(2, cpus="2+", accelerators="A100:1"), ALL)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("type", ["m5.4xlarge", "m5.large"]),
        ("zone", ["m5.large"]),
        ("region", ["m5.large"]),
        ("cloud", []),
    ],
)
def test_a_shortage_blocks_its_scope(scope: str, left: list[str]) -> None:
    offers = [SMALL, LARGE, EUROPE, SMALL_SPOT]
    block = Block.of(SMALL, scope)
    assert not block.covers(SMALL_SPOT)
    open_offers = [o for o in offers if not o.spot and not block.covers(o)]
    assert [o.instance_type for o in open_offers] == left
    placement = placed(offers, infra="aws")
    choice = placement.pick([block])
    assert (choice is None) is (not left)
    if choice is not None:
        assert (
            choice.offer
            == place(pipeline(infra="aws"), offers, blocked=[block]).stages["train"].offer
        )


def test_all_blocked_is_said() -> None:
    with pytest.raises(PlanError) as caught:
        place(pipeline(), [SMALL], blocked=[Block.of(SMALL, "zone")])
    assert "wait until there is room" in caught.value.fix


def test_matches_gives_the_first_reason() -> None:
    reason = matches(Need(cloud="gcp", cpus=99), SMALL)
    assert reason is not None
    assert reason.code == "infra"
    assert matches(Need(cloud="aws", cpus=2), SMALL) is None


def test_a_thousand_offers_make_a_short_explanation() -> None:
    offers = [
        Offer("c", f"r{i % 30}", f"z{i}", f"t{i}", 1 + i % 64, 4, price=i / 1000)
        for i in range(1000)
    ]
    stages = {f"s{i}": {"run": "true", "resources": {"cpus": "32+"}} for i in range(20)}
    plan = place(PipelineSpec.model_validate({"name": "p", "stages": stages}), offers)
    assert len(plan.stages) == 20
    assert {p.offer.instance_type for p in plan.stages.values()} == {"t31"}
    assert all(len(p.rejected) == 10 for p in plan.stages.values())


def test_clouds_that_said_nothing_are_told() -> None:
    silent = {"ssh": StixError("ssh/rack/n1 refused the login", fix="check the user")}
    assert place(pipeline(), ALL, silent=silent).stages["train"]
    with pytest.raises(PlanError) as caught:
        place(pipeline(), [], silent=silent)
    assert "ssh offers nothing: ssh/rack/n1 refused the login" in caught.value.message
    assert caught.value.fix == "check the user"


ARM = Offer("aws", "us-east-1", "us-east-1a", "m7g.large", 2, 8, price=0.08, arch="arm64")
X86 = Offer("aws", "us-east-1", "us-east-1a", "m7i.large", 2, 8, price=0.1, arch="x86_64")
GRACE = Offer("lambda", "us", None, "gh200", 64, 432, {"GH200": 1}, price=1.5, arch="arm64")


def test_programs_are_thought_to_be_built_for_x86() -> None:
    """A cheaper machine on which they do not start is no bargain."""
    offers = [ARM, X86, GRACE]
    assert path(placed(offers, cpus="2+")) == ["m7i.large"]
    assert path(placed(offers, cpus=2, arch="any")) == ["m7g.large", "m7i.large"]
    assert path(placed(offers, cpus=2, arch="arm64")) == ["m7g.large"]
    assert "wants x86_64, this is arm64" in str(refused([ARM], cpus=2))
    assert "arch: any" in refused([ARM], cpus=2).fix


def test_a_machine_or_accelerator_that_is_named_brings_its_processor() -> None:
    offers = [ARM, X86, GRACE]
    assert path(placed(offers, instance_type="m7g.large")) == ["m7g.large"]
    assert path(placed(offers, accelerators="GH200")) == ["gh200"]
    assert placed([LOCAL, ARM], cpus=2).offer == LOCAL  # which does not say, and will do


def test_a_cloud_that_offers_nothing_is_named_with_what_tells_why() -> None:
    fix = refused([Offer("local", "-", None, "box", 2, 8.0)], infra="aws").fix
    assert "`stix check aws`" in fix


def test_what_a_cloud_lacks_rules_it_out() -> None:
    bare = Offer("local", "-", None, "box", 2, 8.0, lacks=("image", "container", "disk_size"))
    rich = Offer("gcp", "eu", None, "n2", 2, 8.0, price=1.0, lacks=("container",))
    assert path(placed([bare, rich], image_id="ubuntu")) == ["n2"]
    assert path(placed([bare, rich], disk_size=100)) == ["n2"]
    assert path(placed([bare, rich], disk_size=256, ports=[80], labels={"a": "b"}))[0] == "box"
    assert "container" in str(refused([bare, rich], image_id="docker:ubuntu"))
    found = extras_on(Resources(image_id={"eu": "one", "us": "two"}, disk_size=100), rich, 1)
    assert (found.image, found.disk_gib) == ("one", 100)
    both = Resources(any_of=[{"infra": "local"}, {"infra": "gcp", "labels": {"a": "b"}}])
    assert extras_on(both, rich, 1).labels == {"a": "b"}
