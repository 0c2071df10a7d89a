"""Step ``place``: which offer of the plan this attempt takes, given what happened before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from stix.engine.runtime import ATTEMPT, Past
from stix.plan.placement import Block, Choice, Placement
from stix.recovery.actions import NextOffer, RetryHere


@task(name="place", persist_result=False)
async def place(run_id: str, stage: str, attempt: int) -> dict[str, Any]:
    """Say which offer this attempt takes."""
    offer = ATTEMPT.get().choice.offer
    spot = " spot" if offer.spot else ""
    get_run_logger().info("%s: %s%s at %.4f USD/h per node", stage, offer.infra, spot, offer.price)
    return {"infra": offer.infra, "instance_type": offer.instance_type, "usd_h": offer.price}


def choose(placement: Placement, past: Sequence[Past]) -> Choice:
    """The offer for the next attempt.

    After ``RetryHere`` the same one; after ``NextOffer`` the best of the plan that nothing since
    the last full round rules out, and when all are ruled out a new round begins.
    """
    if past and isinstance(past[-1].action, RetryHere):
        return past[-1].choice
    return placement.pick(_blocks(placement, past)) or placement.chosen


def untried(placement: Placement, past: Iterable[Past]) -> int:
    """How many offers of the plan nothing rules out in this round."""
    blocks = _blocks(placement, past)
    choices = (placement.chosen, *placement.alternatives)
    return sum(not any(b.covers(c.offer) for b in blocks) for c in choices)


def _blocks(placement: Placement, past: Iterable[Past]) -> list[Block]:
    blocks: list[Block] = []
    for tried in past:
        if isinstance(tried.action, NextOffer):
            if placement.pick(blocks) is None:
                blocks = []
            blocks.append(Block.of(tried.choice.offer, tried.action.skip_scope or "type"))
    return blocks
