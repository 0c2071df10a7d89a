"""Clouds and their nodes."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from stix.clouds import registry
from stix.clouds.base import CanChaos, Node
from stix.clouds.errors import CloudError, UnsupportedFeature
from stix.clouds.features import features_of
from stix.clouds.wrappers.breaker import circuit_open
from stix.errors import StixError
from stix.ledger import CircuitRow, NotFound
from stix.server.api.system import Here
from stix.server.context import Context
from stix.server.survey import list_nodes, list_quotas, survey

router = APIRouter()


class Chaos(BaseModel):
    """The body of ``chaos``."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["preempt", "kill"]


@router.get("/check")
async def check(context: Here, clouds: str = "", quotas: str = "") -> list[dict[str, Any]]:
    """Each installed cloud: whether it can be used, as whom, with how many offers.

    ``clouds`` names those to ask, with commas between; ``quotas`` the region whose quotas to tell.
    """
    named = [name for name in clouds.split(",") if name]
    reports, circuits = await asyncio.gather(survey(context, named), context.ledger.open_circuits())
    rows = [report.to_dict() for report in reports]
    for row in rows:
        row["circuits"] = [_circuit(each) for each in circuits if each.cloud == row["name"]]
    if quotas:
        await asyncio.gather(*(_add_quotas(context, row, quotas) for row in rows))
    return rows


@router.get("/features")
async def features(context: Here) -> list[dict[str, Any]]:
    """Each installed cloud: which feature it has, computed from its adapter."""
    return [_features(name) for name in context.cloud_names]


@router.get("/nodes")
async def nodes(context: Here) -> list[dict[str, Any]]:
    """Our nodes on all clouds, as these report them now."""
    return [_shown(node) for found in await list_nodes(context) for node in found.nodes]


@router.post("/nodes/{node_id}/chaos", status_code=202)
async def chaos(context: Here, node_id: str, body: Chaos) -> dict[str, Any]:
    """Hurt a node on purpose."""
    node = await _find(context, node_id)
    cloud = context.cloud(node.ref.cloud)
    if not isinstance(cloud, CanChaos):
        raise UnsupportedFeature(
            f"nodes of {node.ref.cloud} cannot be hurt on purpose", fix="use the cloud `local`"
        )
    if body.action == "preempt":
        await cloud.preempt(node.ref)
    else:
        await cloud.kill(node.ref)
    return {"id": node.ref.id, "action": body.action}


async def _find(context: Context, node_id: str) -> Node:
    for found in await list_nodes(context):
        for node in found.nodes:
            if node.ref.id == node_id:
                return node
    raise NotFound(f"there is no node {node_id}", fix="`stix nodes` lists them")


async def _add_quotas(context: Context, row: dict[str, Any], region: str) -> None:
    if not row["enabled"]:
        return
    found = await list_quotas(context, row["name"], region)
    if isinstance(found, StixError):
        row["quotas"], row["quotas_error"] = [], found.message
    else:
        row["quotas"] = [dict(quota.__dict__) for quota in found]


def _circuit(circuit: CircuitRow) -> dict[str, Any]:
    return {
        "region": circuit.region,
        "since": circuit.opened,
        "failures": circuit.failures,
        "next_try_s": round(circuit.wait_s, 1),
        "message": circuit_open(circuit).message,
    }


def _features(name: str) -> dict[str, Any]:
    try:
        return {"name": name, "features": features_of(registry.load(name)), "error": None}
    except CloudError as error:
        return {"name": name, "features": {}, "error": error.message}


def _shown(node: Node) -> dict[str, Any]:
    tags = node.tags
    return {
        **node.to_dict(),
        "id": node.ref.id,
        "run": tags.get("stix-run"),
        "stage": tags.get("stix-stage"),
        "attempt": tags.get("stix-attempt"),
    }
