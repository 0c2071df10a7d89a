"""Where a pipeline would run, and for how much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from stix.engine.learned import learned
from stix.plan.answer import Asked, Market, answer
from stix.plan.blocklist import Blocklist
from stix.plan.joint import Given, Goal
from stix.plan.place import PlanError
from stix.server.api.submit import read_spec
from stix.server.api.system import Here
from stix.server.survey import CloudReport, survey
from stix.server.volumewants import demand_volumes
from stix.spec.models import PipelineSpec

router = APIRouter()


class PlanRequest(BaseModel):
    """The body of ``POST /plan``.

    Attributes:
        spec: Canonical form of the pipeline.
        minimize, deadline, budget: What makes a plan good; seconds and USD.
        pareto: Whether to list every plan that no other beats in both money and time.
        catalog: Whether clouds that are not enabled are priced too, from the catalog.
        alternatives: How many other offers to tell for each stage; all where not given.
    """

    model_config = ConfigDict(extra="forbid")

    spec: dict[str, Any]
    minimize: Literal["cost", "time"] = "cost"
    deadline: float | None = Field(default=None, gt=0)
    budget: float | None = Field(default=None, ge=0)
    pareto: bool = False
    catalog: bool = False
    alternatives: int | None = Field(default=None, ge=0)


@router.post("/plan")
async def plan(context: Here, body: PlanRequest) -> Any:
    """Where each stage would run now, and at what price."""
    pipeline = read_spec(body.spec)
    volumes = await demand_volumes(context, pipeline)
    found, known = await asyncio.gather(survey(context), learned(context.ledger, pipeline.name))
    silent = {
        cloud.name: cloud.error
        for cloud in found
        if cloud.error is not None and cloud.state != "unset"
    }
    stores = await asyncio.to_thread(context.store.places)
    given = Given(
        history=known.history,
        zones=known.zones,
        silent=silent,
        now=time.time(),
        volumes=volumes,
        stores=list(stores.values()),
    )
    asked = Asked(
        goal=Goal(body.minimize, body.deadline, body.budget),
        given=given,
        front=body.pareto,
        alternatives=body.alternatives,
    )
    answered = partial(_answer, pipeline, found, catalog=body.catalog)
    try:
        return await asyncio.to_thread(answered, asked)
    except PlanError:
        if not known.zones.blocks(given.now):
            raise
    # A place that had no room a short time ago is the last to be tried, and better than none.
    return await asyncio.to_thread(
        answered, replace(asked, given=replace(given, zones=Blocklist()))
    )


def _answer(
    pipeline: PipelineSpec, found: Sequence[CloudReport], asked: Asked, *, catalog: bool
) -> dict[str, Any]:
    from stix.clouds.catalog.market import Own, anywhere

    offers = [offer for cloud in found for offer in cloud.offers]
    if not catalog:
        return answer(pipeline, Market(offers), asked)
    enabled = [cloud.name for cloud in found if cloud.error is None]
    why = {cloud.name: cloud.error.message for cloud in found if cloud.error is not None}
    return anywhere(pipeline, asked, Own(offers, enabled, why))
