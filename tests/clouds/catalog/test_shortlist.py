"""The short list gives the plan that all offers would give, from a fraction of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from stix.clouds.catalog import Catalog
from stix.clouds.catalog.market import NO_ADAPTER, Own, anywhere, market
from stix.clouds.catalog.shortlist import every_offer, shortlist
from stix.plan.answer import Asked
from stix.plan.joint import Goal, place_together
from stix.plan.jointplan import JointPlan
from stix.plan.match import matches
from stix.plan.offers import Offer
from stix.plan.place import PlanError, wish_of
from stix.spec.models import PipelineSpec

CATALOG = Catalog.load()
ALL = every_offer(CATALOG)

RESOURCES: list[dict[str, Any]] = [
    {},
    {"cpus": "4+", "memory": "16+"},
    {"cpus": 8, "use_spot": True},
    {"accelerators": "A100:8"},
    {"accelerators": "a100-80gb:4", "use_spot": True},
    {"accelerators": {"H100": 8, "A100-80GB": 8}},
    {"any_of": [{"accelerators": "L4:1", "infra": "gcp"}, {"accelerators": "T4:1"}]},
    {"ordered": [{"accelerators": "H100:8", "infra": "aws"}, {"accelerators": "H100:8"}]},
    {"infra": "aws/us-east-1", "cpus": "16+"},
    {"infra": "gcp/us-central1/us-central1-a", "accelerators": "A100:1"},
    {"instance_type": "p4d.24xlarge", "infra": "aws"},
    {"accelerators": "V100:1", "max_hourly_cost": 2.0},
    {"infra": "azure", "memory": "64+"},
    {"accelerators": "tpu-v5e-8"},
]


def pipeline(*resources: dict[str, Any], **stage: Any) -> PipelineSpec:
    stages = {f"s{n}": {"run": "true", "resources": r, **stage} for n, r in enumerate(resources)}
    return PipelineSpec.model_validate({"name": "p", "stages": stages})


def short(spec: PipelineSpec, **how: Any) -> Any:
    wishes = [wish_of(name, stage) for name, stage in spec.resolved().stages.items()]
    return shortlist(CATALOG, wishes, **how)


def choices(plan: JointPlan) -> dict[str, Offer]:
    return {name: stage.offer for name, stage in plan.stages.items()}


def codes(spec: PipelineSpec, name: str) -> Counter[str]:
    """By asking of every offer."""
    [need] = [n for tier in wish_of(name, spec.resolved().stages[name]).tiers for n in tier]
    return Counter(why.code for offer in ALL if (why := matches(need, offer)) is not None)


@pytest.mark.parametrize("resources", RESOURCES, ids=str)
@pytest.mark.parametrize("minimize", ["cost", "time"])
def test_the_plan_is_that_of_all_offers(resources: dict[str, Any], minimize: Any) -> None:
    spec = pipeline(resources)
    found = short(spec)
    here = place_together(spec, found.offers, Goal(minimize))
    there = place_together(spec, ALL, Goal(minimize))
    assert choices(here) == choices(there)
    assert here.usd == there.usd and here.seconds == there.seconds
    assert len(found.offers) < len(ALL) / 8


def test_a_whole_dag_too_where_time_depends_on_the_machine() -> None:
    said = {"estimate": {"time": "3h", "accelerators": "A100:8"}}
    spec = pipeline(*[r for r in RESOURCES if "ordered" not in r], **said)
    found = short(spec, paced=True)
    for minimize in ("cost", "time"):
        here = place_together(spec, found.offers, Goal(minimize))
        there = place_together(spec, ALL, Goal(minimize))
        assert choices(here) == choices(there)


@pytest.mark.parametrize("resources", [{"accelerators": "A100:8"}, {"infra": "aws/us-east-1"}])
def test_every_price_is_counted_once(resources: dict[str, Any]) -> None:
    spec = pipeline(resources)
    found = short(spec)
    plan = place_together(spec, found.offers).stages["s0"]
    serving = 1 + sum(plan.lost.values()) + found.beaten["s0"]
    assert serving + sum(found.excluded["s0"].values()) == len(ALL)
    assert serving == len(ALL) - sum(codes(spec, "s0").values())


def test_it_says_which_rule_excludes_how_many() -> None:
    spec = pipeline({"accelerators": "A100:8"})
    assert short(spec).excluded["s0"].keys() == {"spot", "accelerators"}
    assert short(spec).excluded["s0"]["spot"] == sum(offer.spot for offer in ALL)


def test_near_misses_are_among_them() -> None:
    spec = pipeline({"accelerators": "A100:8", "max_hourly_cost": 4.0, "use_spot": True})
    there = {(o.infra, o.instance_type) for o in short(spec).offers}
    nearest = min(
        (o for o in ALL if o.spot and o.accelerators == {"A100": 8}), key=lambda o: o.price
    )
    assert nearest.price > 4.0
    assert (nearest.infra, nearest.instance_type) in there


def test_a_cloud_that_answers_for_itself_is_not_taken_from_the_catalog() -> None:
    spec = pipeline({"accelerators": "A100:8"})
    mine = Offer("aws", "us-east-1", "us-east-1a", "mine", 96, 1152, {"A100": 8}, 1.0)
    found = market(spec, Own([mine], ["aws"], {"gcp": "no credentials"}, ["azure"]), CATALOG)
    assert [offer for offer in found.offers if offer.cloud == "aws"] == [mine]
    assert found.elsewhere["gcp"] == "no credentials"
    assert found.elsewhere["lambda"] == NO_ADAPTER
    assert not {"aws", "azure"} & found.elsewhere.keys()
    told = anywhere(spec, Asked(), Own([mine], ["aws"]), CATALOG)
    assert told["stages"][0]["chosen"]["offer"]["instance_type"] == "mine"
    assert told["stages"][0]["enabled"] is True


def test_what_fits_nowhere_is_explained_over_all_there_is() -> None:
    with pytest.raises(PlanError, match="s0") as caught:
        anywhere(pipeline({"infra": "aws/us-easst-1", "cpus": "2+"}), Asked(), None, CATALOG)
    assert "did you mean us-east-1" in caught.value.fix
