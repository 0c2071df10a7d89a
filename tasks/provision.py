"""Step ``provision``: nodes for the attempt, with an intent written before the provider is asked.

The intent's token is the provider's idempotency token. An engine that dies between asking and
hearing leaves an open intent; the next one asks again under the same token and gets the same
nodes, and the sweeper removes what no live run owns.
"""

from __future__ import annotations

import time
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from stix.clouds.base import CreateRequest, Node
from stix.clouds.config import HOME_TAG, TOKEN_TAG
from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    UnsupportedFeature,
)
from stix.engine.runtime import ATTEMPT, Attempt, Past
from stix.ledger import Intent
from stix.plan.offers import Offer
from stix.recovery.actions import GiveUp, NextOffer
from stix.recovery.decide import Market, decide
from stix.recovery.events import Capacity, Event, NodeLost, Refused
from stix.tasks.failures import StepFailed
from stix.tasks.place import choose, untried

SHORTAGES_KEPT = 20


@task(name="provision", persist_result=False)
async def provision(run_id: str, stage: str, attempt: int) -> None:
    """Create the nodes of this attempt, or find those that an earlier engine created.

    A lack of capacity is answered here, offer by offer as the policy says: the attempt begins
    when it has its nodes.
    """
    current = ATTEMPT.get()
    while True:
        try:
            current.nodes = await _create(current)
            return
        except CapacityError as error:
            await _elsewhere(current, error)


async def _create(attempt: Attempt) -> list[Node]:
    run = attempt.run
    ledger = run.runtime.ledger
    request = request_for(attempt)
    await ledger.open_intent(
        run.fence,
        Intent(
            token=attempt.token,
            key=attempt.key,
            attempt=attempt.number,
            cloud=attempt.choice.offer.cloud,
            request={"name": request.name, "count": request.count, "tags": dict(request.tags)},
        ),
    )
    run.runtime.guard.check()
    try:
        nodes = await attempt.cloud.create(request)
    except CloudError as error:
        if isinstance(error, CapacityError):
            await ledger.settle_intent(attempt.token, "failed", error.message, run.fence)
            raise
        # Whatever else it was may have made something: the intent stays open until `release` has
        # looked, and if that fails, for the sweeper.
        raise StepFailed(_event(error), f"no node: {error.message}") from error
    await ledger.add_cluster(
        run.fence,
        {
            "key": attempt.key,
            "attempt": attempt.number,
            "token": attempt.token,
            "cloud": attempt.choice.offer.cloud,
            "offer": attempt.choice.offer.to_dict(),
            "nodes": [node.to_dict() for node in nodes],
            "price_usd_h": attempt.choice.offer.price,
        },
    )
    return nodes


def _event(error: CloudError) -> Event:
    words = f"{error.message}; {error.fix}" if error.fix else error.message
    if isinstance(error, AuthError | InvalidRequest | UnsupportedFeature):
        return Refused(detail=words)
    return NodeLost(detail=words)


async def _elsewhere(attempt: Attempt, error: CapacityError) -> None:
    """Choose the next offer, and wait where the policy says so.

    Raises:
        StepFailed: the policy gives up.
    """
    event = Capacity(scope=error.scope, detail=error.message)
    placement = attempt.run.plan.stages[attempt.point.stage]
    shortages = attempt.shortages
    here = Past(attempt.choice, NextOffer(skip_scope=error.scope))
    left = untried(placement, [*shortages, here])
    rounds = 1 + len(shortages) // (1 + len(placement.alternatives))
    decision = decide(
        attempt.policy,
        event,
        [Capacity() for _ in shortages],
        market=Market(untried=left, rounds=rounds),
        seed=attempt.token,
    )
    if isinstance(decision.action, GiveUp):
        raise StepFailed(event, f"{error.message} ({decision.reason})")
    attempt.shortages.append(Past(attempt.choice, decision.action))
    attempt.choice = choose(placement, attempt.shortages)
    ledger, fence = attempt.run.runtime.ledger, attempt.run.fence
    # First the token, then the offer: a token is asked of one offer only, also after a crash.
    await attempt.finish_step("shortages", _with_shortage(attempt, here.choice.offer, error.scope))
    await ledger.start_attempt(fence, attempt.key, attempt.number, attempt.choice.to_dict())
    await ledger.update_stage(fence, attempt.key, reason=f"waiting for room: {error.message}")
    get_run_logger().info("%s: %s", error.message, decision.reason)
    clouds = attempt.run.runtime.clouds
    await clouds.wait_for_room(attempt.choice.offer.cloud, decision.action.after_s)


def _with_shortage(attempt: Attempt, offer: Offer, scope: str) -> dict[str, Any]:
    """How many shortages there were, and the latest of them, for the plans of later runs."""
    seen = attempt.steps.get("shortages", {}).get("seen", [])
    latest = {"offer": offer.to_dict(), "scope": scope, "at": time.time()}
    return {"count": attempt.shortage_count + 1, "seen": [*seen, latest][-SHORTAGES_KEPT:]}


def request_for(attempt: Attempt) -> CreateRequest:
    """The wish for the nodes of an attempt; the same after a crash."""
    tags = {
        **attempt.spec.resources.labels,
        "stix-run": attempt.run.run_id,
        "stix-stage": attempt.key,
        "stix-attempt": str(attempt.number),
        TOKEN_TAG: attempt.token,
        HOME_TAG: attempt.run.runtime.config.home_id(),
    }
    return CreateRequest(
        token=attempt.token,
        offer=attempt.choice.offer,
        demand=attempt.choice.demand,
        count=attempt.spec.num_nodes,
        name=f"{attempt.run.run_id}-{attempt.key}-{attempt.number}",
        tags=tags,
    )
