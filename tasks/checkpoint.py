"""Checkpoints: a directory of the first node, copied at rest on an interval and put back later.

The agent makes a copy in which no file changed meanwhile; that copy goes into the store of
artifacts, and only then into the ledger, so that what an attempt finds is always whole. Programs
need not know: those that do find the directory in ``STIX_CHECKPOINT_DIR``.
"""

from __future__ import annotations

import asyncio
import logging
import posixpath
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from stix.clouds.base import Node
from stix.clouds.errors import CloudError
from stix.engine.runtime import Attempt
from stix.errors import StixError
from stix.ledger import Fenced
from stix.recovery.events import Event, NodeLost, Preempted
from stix.remote.agent import HostAgent
from stix.remote.base import RemoteError, Runner
from stix.remote.local import LocalRunner
from stix.storage.artifacts import Stored
from stix.tasks.environment import checkpoint_path

SETTLE_S = 30.0
"""How long the agent waits for a moment in which nothing changes."""
LAST_S = 60.0
"""How long the last copy of an attempt that ended badly may take; its node may be gone."""

GONE = (NodeLost, Preempted)
"""Nobody answers on such a node, and the next attempt need not wait for that."""

log = logging.getLogger("stix.engine")


@asynccontextmanager
async def checkpointing(attempt: Attempt | None) -> AsyncIterator[None]:
    """Copy on the interval for as long as the block lasts; nothing where none is asked for."""
    if attempt is None or attempt.spec.checkpoint is None:
        yield
        return
    keeper = asyncio.create_task(_keep(attempt, attempt.spec.checkpoint.every))
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def last_checkpoint(attempt: Attempt, event: Event) -> None:
    """One more copy of an attempt that ended badly, while its node is there; silent where not."""
    if attempt.spec.checkpoint is None or not attempt.ready or isinstance(event, GONE):
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_S):
            await take(attempt)


async def take(attempt: Attempt) -> bool:
    """One copy, if there is anything new; whether there was. What fails is told in the log."""
    wanted = attempt.spec.checkpoint
    assert wanted is not None
    try:
        stored = await _copied(attempt)
    except Fenced:
        raise
    except (StixError, OSError) as error:
        log.warning("%s: no checkpoint: %s", attempt.token, error)
        return False
    ledger, run = attempt.run.runtime.ledger, attempt.run
    latest = await ledger.latest_checkpoint(run.run_id, attempt.key)
    if stored is None or (latest is not None and latest.digest == stored.digest):
        return False
    number = int(latest.name) + 1 if latest is not None else 1
    facts = {
        "attempt": attempt.number,
        "name": f"{number:08d}",
        "digest": stored.digest,
        "bytes": stored.bytes,
        "files": stored.files,
        "url": run.runtime.store.url_of(stored.digest),
    }
    await ledger.add_checkpoint(run.fence, attempt.key, wanted.keep, facts)
    return True


async def latest_digest(attempt: Attempt) -> str:
    """What the attempt begins with; empty where there is nothing."""
    if attempt.spec.checkpoint is None:
        return ""
    latest = await attempt.run.runtime.ledger.latest_checkpoint(attempt.run.run_id, attempt.key)
    return latest.digest if latest is not None else ""


async def _keep(attempt: Attempt, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        await take(attempt)


async def _copied(attempt: Attempt) -> Stored | None:
    """A copy at rest, in the store; None where there is nothing or no rest."""
    head = min(attempt.nodes, key=lambda node: node.rank)
    runner = await _runner(attempt, head)
    copy = posixpath.join(head.directory, "checkpoint")
    # <base>/nodes/<id>: the agent that made the node lies at the base.
    agent = HostAgent(runner, posixpath.dirname(posixpath.dirname(head.directory)))
    found = await agent.snapshot(checkpoint_path(head, attempt), copy, SETTLE_S)
    if found["state"] == "restless":
        log.warning("%s: no checkpoint: its files never rest", attempt.token)
    if found["state"] != "taken":
        return None
    store = attempt.run.runtime.store
    if isinstance(runner, LocalRunner):
        return await asyncio.to_thread(store.put_path, Path(copy))
    with tempfile.TemporaryDirectory(prefix="stix-checkpoint-") as folder:
        here = Path(folder) / "checkpoint"
        await runner.get(copy, here)
        return await asyncio.to_thread(store.put_path, here)


async def _runner(attempt: Attempt, node: Node) -> Runner:
    try:
        return await attempt.cloud.runner(node)
    except CloudError as error:
        raise RemoteError(error.message) from error
