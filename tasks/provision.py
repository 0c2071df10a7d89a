"""Step ``provision``: nodes for the attempt, with an intent written before the provider is asked.

The intent's token is the provider's idempotency token. An engine that dies between asking and
hearing leaves an open intent; the next one asks again under the same token and gets the same
nodes, and the sweeper removes what no live run owns.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from stix.clouds.base import CreateRequest, Node
from stix.clouds.config import HOME_TAG, TOKEN_TAG
from stix.clouds.errors import AuthError, CapacityError, CircuitOpen, CloudError
from stix.engine.cloud_events import ELSEWHERE, event_of
from stix.engine.runtime import ATTEMPT, Attempt
from stix.engine.volumes import VolumeAway, attachments, names_of
from stix.ledger import Intent
from stix.plan.offers import Offer
from stix.plan.place import extras_on
from stix.recovery.actions import Decision, GiveUp
from stix.recovery.events import Capacity, Denied, Refused
from stix.recovery.order import Search
from stix.tasks.failures import StepFailed
from stix.tasks.prepare import give_back, prepare_nodes

SHORTAGES_KEPT = 20


@task(name="provision", persist_result=False)
async def provision(run_id: str, stage: str, attempt: int) -> None:
    """Create the nodes of this attempt, or find those that an earlier engine created, and wait
    until they take jobs.

    A lack of capacity and a refused login are answered here, offer by offer as the policy says:
    the attempt begins when it has its nodes.
    """
    current = ATTEMPT.get()
    while True:
        try:
            if not current.nodes:
                current.nodes = await _create(current)
            await prepare_nodes(current)
            return
        except ELSEWHERE as error:
            await give_back(current)
            await _elsewhere(current, error)


async def _create(attempt: Attempt) -> list[Node]:
    run = attempt.run
    ledger = run.runtime.ledger
    request = request_for(attempt)
    await ledger.open_intent(run.fence, _intent(attempt, request))
    run.runtime.guard.check()
    try:
        request = replace(request, volumes=await attachments(attempt))
        nodes = await attempt.cloud.create(request)
    except VolumeAway as error:
        raise StepFailed(Refused(detail=f"{error.message}; {error.fix}"), error.message) from error
    except CloudError as error:
        if isinstance(error, ELSEWHERE):
            if not error.created:  # else the sweeper looks, once the cloud lets us in again
                await ledger.settle_intent(attempt.token, "failed", error.message, run.fence)
            raise
        # Whatever else it was may have made something: the intent stays open until `release` has
        # looked, and if that fails, for the sweeper.
        raise StepFailed(event_of(error), f"no node: {error.message}") from error
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


def _intent(attempt: Attempt, request: CreateRequest) -> Intent:
    return Intent(
        token=attempt.token,
        key=attempt.key,
        attempt=attempt.number,
        cloud=attempt.choice.offer.cloud,
        request={
            "name": request.name,
            "count": request.count,
            "tags": dict(request.tags),
            "volumes": names_of(attempt.spec),
        },
    )


async def _elsewhere(attempt: Attempt, error: CapacityError | AuthError | CircuitOpen) -> None:
    """Choose the next offer, and wait where the policy says so.

    Raises:
        StepFailed: the policy gives up, or no other cloud is left.
    """
    event = event_of(error)
    assert isinstance(event, Capacity | Denied)
    here, policy = attempt.choice.offer, attempt.policy
    placement = attempt.run.plan.stages[attempt.point.stage]
    search = Search(placement, policy, attempt.choice, attempt.shortages)
    decision = search.refused(event, attempt.token)
    if isinstance(decision.action, GiveUp):
        raise StepFailed(event, f"{error.message} ({decision.reason})")
    attempt.shortages, attempt.choice = search.past, search.choice
    ledger, fence = attempt.run.runtime.ledger, attempt.run.fence
    # First the token, then the offer: a token is asked of one offer only, also after a crash.
    await attempt.finish_step("shortages", _with_shortage(attempt, here, event, decision))
    await ledger.start_attempt(fence, attempt.key, attempt.number, attempt.choice.to_dict())
    what = "waiting for room" if isinstance(event, Capacity) else "asking elsewhere"
    await ledger.update_stage(fence, attempt.key, reason=f"{what}: {error.message}")
    get_run_logger().info("%s: %s", error.message, decision.reason)
    clouds = attempt.run.runtime.clouds
    await clouds.wait_for_room(attempt.choice.offer.cloud, decision.action.after_s)


def _with_shortage(
    attempt: Attempt, offer: Offer, event: Capacity | Denied, decision: Decision
) -> dict[str, Any]:
    """How many offers had no room, and the latest of them: for people with the reasons, and for
    the plans of later runs. A refused login says nothing of later runs."""
    known = attempt.steps.get("shortages", {})
    seen, tried = known.get("seen", []), known.get("tried", [])
    now = {"offer": offer.to_dict(), "scope": event.scope, "at": time.time()}
    said = {
        "infra": offer.infra,
        "instance_type": offer.instance_type,
        "spot": offer.spot,
        "event": event.to_dict(),
        "decision": decision.reason,
    }
    return {
        "count": attempt.shortage_count + 1,
        "seen": ([*seen, now] if isinstance(event, Capacity) else [*seen])[-SHORTAGES_KEPT:],
        "tried": [*tried, said][-SHORTAGES_KEPT:],
    }


def request_for(attempt: Attempt) -> CreateRequest:
    """The wish for the nodes of an attempt; the same after a crash."""
    wanted = extras_on(attempt.spec.resources, attempt.choice.offer, attempt.spec.num_nodes)
    tags = {
        **wanted.labels,
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
        disk_gib=wanted.disk_gib,
        image=wanted.image,
        ports=wanted.ports,
    )
