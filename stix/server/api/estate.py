"""What we have at the clouds, and sweeping it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from stix.server.sweeper import Sweeper

router = APIRouter()


class SweepRequest(BaseModel):
    """The body of ``sweep``."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = False


@router.get("/resources")
async def resources(request: Request) -> dict[str, Any]:
    """Nodes and other resources of ours on all clouds, each with a verdict; removes nothing."""
    return (await _sweeper(request).look()).to_dict()


@router.post("/sweep")
async def sweep(request: Request, body: SweepRequest) -> dict[str, Any]:
    """Remove what nobody owns, now."""
    return (await _sweeper(request).sweep_once(dry_run=body.dry_run)).to_dict()


def _sweeper(request: Request) -> Sweeper:
    """The server's own: it remembers since when a run has had no engine."""
    sweeper: Sweeper = request.app.state.sweeper
    return sweeper
