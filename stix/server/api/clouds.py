"""Clouds and their nodes."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from stix.clouds.base import CanChaos, Node
from stix.clouds.errors import UnsupportedFeature
from stix.ledger import NotFound
from stix.server.api.system import Here
from stix.server.context import Context
from stix.server.survey import list_nodes, survey

router = APIRouter()


class Chaos(BaseModel):
    """The body of ``chaos``."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["preempt", "kill"]


@router.get("/check")
async def check(context: Here) -> list[dict[str, Any]]:
    """Each installed cloud: whether it can be used, as whom, with how many offers."""
    return [report.to_dict() for report in await survey(context)]


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


def _shown(node: Node) -> dict[str, Any]:
    tags = node.tags
    return {
        **node.to_dict(),
        "id": node.ref.id,
        "run": tags.get("stix-run"),
        "stage": tags.get("stix-stage"),
        "attempt": tags.get("stix-attempt"),
    }
