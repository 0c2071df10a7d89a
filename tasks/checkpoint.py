"""Checkpoints: a directory of the first node, copied at rest on an interval and put back later.

The agent makes a copy in which no file changed meanwhile; that copy goes into the store of
artifacts, and only then into the ledger, so that what an attempt finds is always whole. What did
not change is not copied again. Programs need not know: those that do find the directory in
``STIX_CHECKPOINT_DIR``.
"""

from __future__ import annotations

import asyncio
import logging
import posixpath
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from stix.clouds.base import Node
from stix.clouds.errors import CloudError
from stix.engine.runtime import Attempt
from stix.errors import StixError
from stix.ledger import ArtifactRow, Fenced
from stix.recovery.events import Event, NodeLost, Preempted
from stix.remote.agent import HostAgent
from stix.remote.base import RemoteError, Runner
from stix.storage.artifacts import Stored
from stix.tasks.environment import checkpoint_path
from stix.tasks.push import push

SETTLE_S = 30.0
"""How long the agent waits for a moment in which nothing changes."""
LAST_S = 60.0
"""How long the last copy of an attempt that ended badly may take; its node may be gone."""
LISTEN_S = 50.0
DEAF_S = 5.0
"""Pause before a node that did not answer is listened to again."""

GONE = (NodeLost, Preempted)
"""Nobody answers on such a node, and the next attempt need not wait for that."""

METADATA = {
    "aws": "http://169.254.169.254",
    "azure": "http://169.254.169.254",
    "gcp": "http://metadata.google.internal",
}
"""Where a provider tells a spot node, and it alone, that it will be taken."""

log = logging.getLogger("stix.engine")


class Keeper:
    """Takes the checkpoints of one attempt, one at a time."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self._turn = asyncio.Lock()
        self._mark = ""

    async def every(self, seconds: float) -> None:
        """One checkpoint after each pause, until this is cancelled."""
        while True:
            await asyncio.sleep(seconds)
            await self.take()

    async def listen(self, node: Node) -> None:
        """One checkpoint when ``node`` is about to go: its agent was told to end, or its provider
        takes it."""
        offer = self.attempt.choice.offer
        provider = offer.cloud if offer.spot and offer.cloud in METADATA else ""
        url = METADATA.get(provider, "")
        while True:
            try:
                agent = await _agent(self.attempt, node)
                said = await agent.notice(node.directory, LISTEN_S, provider=provider, url=url)
            except (StixError, OSError, TimeoutError):
                await asyncio.sleep(DEAF_S)
                continue
            if said:
                break
        if said != "gone":
            log.info("%s: node %s is %s", self.attempt.token, node.ref.id, said)
            await self.take()
            with suppress(StixError, OSError, TimeoutError):
                await agent.notice_heard(node.directory)

    async def take(self) -> bool:
        """One copy, if there is anything new; whether there was. The log tells what fails."""
        async with self._turn:
            try:
                found = await self._copied()
            except Fenced:
                raise
            except (StixError, OSError, TimeoutError) as error:
                log.warning("%s: no checkpoint: %s", self.attempt.token, error)
                return False
            if found is None:
                return False
            stored, mark = found
            new = await self._record(stored)
            self._mark = mark
            return new

    async def _record(self, stored: Stored) -> bool:
        attempt, wanted = self.attempt, self.attempt.spec.checkpoint
        assert wanted is not None
        ledger, run = attempt.run.runtime.ledger, attempt.run
        latest = await ledger.latest_checkpoint(run.run_id, attempt.key)
        if latest is not None and latest.digest == stored.digest:
            return False
        number = int(latest.name) + 1 if latest is not None else 1
        facts = {
            "attempt": attempt.number,
            "name": f"{number:08d}",
            "digest": stored.digest,
            "bytes": stored.bytes,
            "files": stored.files,
            "url": attempt.store.url_of(stored.digest),
        }
        await ledger.add_checkpoint(run.fence, attempt.key, wanted.keep, facts)
        await ledger.add_replicas(stored.digest, attempt.store.written(stored.digest))
        return True

    async def _copied(self) -> tuple[Stored, str] | None:
        """A copy at rest, in the store, and its mark; None where nothing is new, or at rest."""
        head = _head(self.attempt)
        source, copy = checkpoint_path(head, self.attempt), copy_path(head)
        agent = await _agent(self.attempt, head)
        found = await agent.snapshot(source, copy, seconds=SETTLE_S, mark=self._mark)
        if found["state"] in ("restless", "busy"):
            log.warning("%s: no checkpoint: its files are %s", self.attempt.token, found["state"])
        if found["state"] != "taken":
            return None
        runner = await _runner(self.attempt, head)
        try:
            return await push(self.attempt, head, runner, copy), found["mark"]
        finally:
            await runner.run(["rm", "-rf", "--", copy], timeout=LAST_S)


@asynccontextmanager
async def checkpointing(attempt: Attempt | None) -> AsyncIterator[None]:
    """Copy on the interval for as long as the block lasts, and when a node says that it goes."""
    if attempt is None or attempt.spec.checkpoint is None:
        yield
        return
    keeper = Keeper(attempt)
    tasks = [asyncio.create_task(keeper.every(attempt.spec.checkpoint.every))]
    tasks += [asyncio.create_task(keeper.listen(node)) for node in attempt.nodes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def last_checkpoint(attempt: Attempt, event: Event) -> None:
    """One more copy of an attempt that ended badly, while its node is there; silent where not."""
    if attempt.spec.checkpoint is None or not attempt.ready or isinstance(event, GONE):
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_S):
            await Keeper(attempt).take()


async def latest_checkpoint(attempt: Attempt) -> ArtifactRow | None:
    """What the attempt begins with; None where there is nothing."""
    if attempt.spec.checkpoint is None:
        return None
    return await attempt.run.runtime.ledger.latest_checkpoint(attempt.run.run_id, attempt.key)


def copy_path(node: Node) -> str:
    """Where the agent puts a copy, until it is stored."""
    return posixpath.join(node.directory, "checkpoint")


def _head(attempt: Attempt) -> Node:
    return min(attempt.nodes, key=lambda node: node.rank)


async def _agent(attempt: Attempt, node: Node) -> HostAgent:
    # <base>/nodes/<id>: the agent that made the node lies at the base.
    base = posixpath.dirname(posixpath.dirname(node.directory))
    return HostAgent(await _runner(attempt, node), base)


async def _runner(attempt: Attempt, node: Node) -> Runner:
    try:
        return await attempt.cloud.runner(node)
    except CloudError as error:
        raise RemoteError(error.message) from error
