"""The end of a run that was not let finish: nothing of it stays, in the clouds or in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from stix.clouds.base import Node, NodeRef
from stix.clouds.errors import CloudError
from stix.engine.runtime import RunContext
from stix.ledger import Fence, Ledger
from stix.recovery.events import Cancelled
from stix.spec.states import AttemptState, RunState, StageState
from stix.tasks.buckets import drop_buckets

log = logging.getLogger("stix.engine")


async def end_early(
    run: RunContext, state: RunState, reason: str, error: Mapping[str, str] | None = None
) -> None:
    """Bring a run to ``state``: stages that did not end are cancelled, nodes left over removed.

    The flow of each stage removes its own nodes when it is cancelled. What is left over comes from
    an engine that died, when the run is cancelled before its stages are entered again.

    Args:
        error: What the run's row tells of the end; the reason, where not given.
    """
    await _release_leftovers(run, reason)
    await drop_buckets(run)
    await close_ledger(run.runtime.ledger, run.fence, state, reason, error)


async def close_ledger(
    ledger: Ledger,
    fence: Fence,
    state: RunState,
    reason: str,
    error: Mapping[str, str] | None = None,
) -> None:
    """Tell the ledger of the end of a run, of its open attempts, and of its open stages."""
    for row in await ledger.attempts(fence.run_id):
        if row.state is AttemptState.RUNNING:
            event = Cancelled(detail=reason).to_dict()
            await ledger.finish_attempt(
                fence, row.key, row.number, AttemptState.CANCELLED, event=event
            )
    for stage in await ledger.stages(fence.run_id):
        if not stage.state.final:
            await ledger.update_stage(fence, stage.key, state=StageState.CANCELLED, reason=reason)
    details = dict(error) if error is not None else {"message": reason or "cancelled"}
    await ledger.finish_run(fence, state, details)


async def _release_leftovers(run: RunContext, reason: str) -> None:
    ledger, clouds = run.runtime.ledger, run.runtime.clouds
    left: dict[str, list[NodeRef]] = {}
    where: Mapping[str, str] = {
        c.token: c.cloud for c in await ledger.clusters(run.run_id, open_only=True)
    }
    for row in await ledger.nodes(run.run_id, open_only=True):
        left.setdefault(row.token, []).append(Node.from_dict(row.data).ref)
    for token, cloud in where.items():
        run.runtime.guard.check()
        try:
            await clouds.get(cloud).terminate(left.get(token, []))
        except CloudError as error:  # the run ends all the same, and the sweeper tries again
            log.warning("%s: its nodes are not removed yet: %s", token, error)
            continue
        await ledger.close_cluster(run.fence, token, reason)
