"""Step ``place``: which offer of the plan this attempt takes, given what happened before."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from stix.engine.runtime import ATTEMPT


@task(name="place", persist_result=False)
async def place(run_id: str, stage: str, attempt: int) -> dict[str, Any]:
    """Say which offer this attempt takes; ``stix.recovery.order`` chose it."""
    offer = ATTEMPT.get().choice.offer
    spot = " spot" if offer.spot else ""
    get_run_logger().info("%s: %s%s at %.4f USD/h per node", stage, offer.infra, spot, offer.price)
    return {"infra": offer.infra, "instance_type": offer.instance_type, "usd_h": offer.price}
