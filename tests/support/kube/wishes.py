"""What tests ask of a Kubernetes cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stix.clouds.base import CreateRequest, Node, NodeRef, Selector
from stix.clouds.config import CloudConfig
from stix.clouds.kubernetes import KubernetesCloud
from stix.plan.offers import Demand, Offer
from tests.support.kube.double import KubeDouble


def config(kube: KubeDouble, home: Path, **settings: Any) -> CloudConfig:
    known = {"kubeconfig": str(kube.kubeconfig()), "patience": 0.5, **settings}
    return CloudConfig(home, home, known, "home")


async def offer(cloud: KubernetesCloud, *, spot: bool = False, gpu: str = "") -> Offer:
    return next(
        each
        for each in await cloud.offers()
        if each.spot is spot and (not gpu or gpu in each.accelerators)
    )


async def wish(cloud: KubernetesCloud, token: str = "t", **changes: Any) -> CreateRequest:
    fields: dict[str, Any] = {"token": token, "count": 1, "name": token, "tags": {}}
    fields |= {"demand": Demand(cpus=1, memory_gib=1), **changes}
    if "offer" not in fields:
        fields["offer"] = await offer(cloud)
    return CreateRequest(**fields)


async def one(cloud: KubernetesCloud, token: str = "t", **changes: Any) -> Node:
    return (await cloud.create(await wish(cloud, token, **changes)))[0]


def name_of(each: Node) -> str:
    return each.ref.id.partition("/")[2]


async def listed(cloud: KubernetesCloud) -> dict[NodeRef, Node]:
    return {each.ref: each for each in await cloud.list(Selector())}
