"""Step ``release``: the attempt's nodes are removed and paid for. Runs whatever happened."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from prefect import task

from stix.clouds.base import Selector
from stix.clouds.config import TOKEN_TAG
from stix.clouds.errors import CloudError
from stix.engine.runtime import ATTEMPT, Attempt
from stix.ledger import Fenced
from stix.recovery.events import NodeLost
from stix.remote.base import RemoteError
from stix.tasks.failures import FAILURE
from stix.tasks.flush import leave_mounts
from stix.tasks.sync import remove_shared

log = logging.getLogger("stix.engine")

PATIENCE_S = 30.0
PAUSE_S = 5.0
LATER_S = 15.0


@task(name="release", persist_result=False)
async def release(run_id: str, stage: str, attempt: int) -> None:
    """Terminate the nodes, close the receipt, settle the intent. Idempotent."""
    await release_nodes(ATTEMPT.get(), "released")


async def release_nodes(attempt: Attempt, reason: str) -> None:
    """Remove every node that carries the attempt's token, known to us or not.

    A cloud that stays out of reach does not hold the stage up: the removal goes on beside the run,
    and the sweeper does what is left when the run is over. Until then the nodes cost money, and
    the ledger says so.
    """
    attempt.run.runtime.guard.check()
    await leave_mounts(attempt)
    await _hang_up(attempt)
    await remove_shared(attempt)
    # Where the node was lost, nobody answers: the next attempt need not wait for that.
    lost = attempt.steps.get(FAILURE, {}).get("kind") == NodeLost.kind
    deadline = time.monotonic() + (0 if lost else PATIENCE_S)
    while True:
        try:
            await _remove(attempt, reason)
            return
        except CloudError as error:
            log.warning("%s: its nodes are not removed yet: %s", attempt.token, error)
            if time.monotonic() > deadline:
                break
        await asyncio.sleep(PAUSE_S)
    later = asyncio.create_task(_later(attempt, reason), name=f"release {attempt.token}")
    attempt.run.releases.add(later)
    later.add_done_callback(attempt.run.releases.discard)


async def _hang_up(attempt: Attempt) -> None:
    for client in attempt.clients.values():
        with suppress(RemoteError, OSError):
            await client.close()
    attempt.clients.clear()


async def _remove(attempt: Attempt, reason: str) -> None:
    runtime = attempt.run.runtime
    runtime.guard.check()
    refs = [node.ref for node in attempt.nodes]
    if not refs:  # an engine may have died between the provider's answer and our record of it
        found = await attempt.cloud.list(Selector({TOKEN_TAG: attempt.token}))
        refs = [node.ref for node in found]
    await attempt.cloud.terminate(refs)
    runtime.clouds.freed(attempt.choice.offer.cloud)
    if attempt.nodes:
        await runtime.ledger.close_cluster(attempt.run.fence, attempt.token, reason)
    else:
        await runtime.ledger.settle_intent(attempt.token, "removed", reason, attempt.run.fence)


async def _later(attempt: Attempt, reason: str) -> None:
    while True:
        await asyncio.sleep(LATER_S)
        try:
            await _remove(attempt, reason)
            return
        except CloudError as error:
            log.warning("%s: its nodes are not removed yet: %s", attempt.token, error)
        except Fenced:
            return  # the run is another engine's now
