"""A stage with a volume runs where the volume is."""

from __future__ import annotations

from typing import Any

import pytest

from stix.plan.joint import Given, place_together
from stix.plan.offers import Offer
from stix.plan.place import PlanError
from stix.plan.where import Where
from stix.spec.models import PipelineSpec

LOCAL = Offer("local", "-", None, "box", 8, 32, capacity=1, shared=True, lacks=("new_volumes",))
DOCKER = Offer("docker", "-", None, "box", 8, 32, shared=True, lacks=("new_volumes",))
EAST = Offer("aws", "us-east-1", None, "m5", 4, 16, price=0.2, lacks=("new_volumes",))
WEST = Offer("aws", "us-west-2", None, "m5", 4, 16, price=0.1, lacks=("new_volumes",))
ANYWHERE = Offer("runpod", "*", None, "l4", 4, 16, price=0.5, lacks=("new_volumes",))
KIND = Offer("kubernetes", "kind", None, "4cpu", 4, 16, price=0.3)
ALL = [LOCAL, DOCKER, EAST, WEST, ANYWHERE, KIND]
WHERES = {
    "engine": Where("engine", "docker"),
    "disk": Where("disk", "aws", "us-east-1", "us-east-1b"),
    "net": Where("net", "runpod", "EU-RO-1"),
    "claim": Where("claim", "kubernetes", "kind"),
}


def planned(volumes: dict[str, Any], **resources: Any) -> Offer:
    stage = {"run": "true", "volumes": volumes, "resources": resources}
    spec = PipelineSpec.model_validate({"name": "p", "stages": {"train": stage}})
    plan = place_together(spec, ALL, given=Given(volumes=WHERES)).plan()
    return plan.stages["train"].offer


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("engine", ("docker", "-", None)),
        ("disk", ("aws", "us-east-1", "us-east-1b")),
        ("net", ("runpod", "EU-RO-1", None)),
        ("claim", ("kubernetes", "kind", None)),
    ],
)
def test_the_volume_decides(name: str, place: tuple[str, ...]) -> None:
    offer = planned({"/data": name})
    assert (offer.cloud, offer.region, offer.zone) == place
    assert planned({"/data": {"name": name}}) == offer
    assert planned({}).cloud in ("local", "docker")


def test_what_a_stage_says_besides_has_to_agree() -> None:
    assert planned({"/data": "disk"}, infra="aws").region == "us-east-1"
    either = {"any_of": [{"infra": "aws/us-west-2"}, {"infra": "aws/us-east-1"}]}
    assert planned({"/data": "disk"}, **either).region == "us-east-1"
    with pytest.raises(PlanError) as refused:
        planned({"/data": "disk"}, infra="aws/us-west-2")
    assert "its volume disk is in aws/us-east-1/us-east-1b" in str(refused.value)
    assert "`stix volumes ls`" in refused.value.fix
    with pytest.raises(PlanError, match="its volume engine is in docker"):
        planned({"/data": "disk", "/more": "engine"})


def test_a_new_volume_goes_where_there_can_be_one() -> None:
    assert planned({"/scratch": {"size": 5}}).cloud == "kubernetes"
    with pytest.raises(PlanError, match="a new volume for each node, which aws does not have"):
        planned({"/scratch": {"size": 5}}, infra="aws")
