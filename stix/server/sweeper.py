"""The sweeper: removes what runs left behind when nobody was there to do it.

The third line of defence, after the stage's own ``finally`` and the takeover by another engine.
It trusts the ledger for what should exist and the clouds for what does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from stix.clouds.base import Node, NodeRef
from stix.clouds.config import HOME_TAG, TOKEN_TAG
from stix.errors import StixError
from stix.ledger import IntentRow, LedgerUnavailable, NotFound
from stix.server.context import Context
from stix.server.survey import list_nodes

log = logging.getLogger("stix.sweeper")

EVERY_S = 15.0
GRACE_S = 600.0
"""How long a run may be without any living engine before its nodes are removed. An engine that
takes it over earlier goes on with them; later it finds them gone, as after a preemption."""
_TERMINATE_TIMEOUT_S = 60.0


@dataclass
class Sweep:
    """What one sweep did."""

    nodes: list[str] = field(default_factory=list)
    intents: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.nodes or self.intents or self.clusters or self.secrets or self.errors)


class Sweeper:
    """Sweeps one home again and again.

    Args:
        context: The server's services.
        grace_s: See ``GRACE_S``.
    """

    def __init__(self, context: Context, grace_s: float = GRACE_S) -> None:
        self._context = context
        self._grace_s = grace_s
        self._dead_since: dict[str, float] = {}
        self._looked_at = 0.0

    async def serve(self) -> None:
        """Sweep now and every 15 seconds, for ever."""
        while True:
            try:
                await self._sweep_if_needed()
            except LedgerUnavailable as error:
                log.warning("not swept: %s", error)
            except Exception:
                log.exception("a sweep failed; the next one tries again")
            await asyncio.sleep(EVERY_S)

    async def _sweep_if_needed(self) -> None:
        """Asking every cloud costs connections: skip it while nothing can have changed."""
        begin = time.monotonic()
        active, quiet = await self._context.ledger.recent_activity()
        if self._looked_at and not active and quiet > begin - self._looked_at:
            return
        done = await self.sweep_once()
        if not done.empty:
            log.info("swept: %s", done)
        if not done.errors:
            self._looked_at = begin

    async def sweep_once(self) -> Sweep:
        """Remove the nodes of runs that ended, are unknown, or have lost their engine for long."""
        done = Sweep()
        # Clouds first: a run that is created after this has no node in these lists.
        found = await list_nodes(self._context)
        done.errors += [f"{each.name}: {each.error}" for each in found if each.error]
        failed = {each.name for each in found if each.error}
        intents = [i for i in await self._context.ledger.open_intents() if self._lost(i)]
        given_up = {intent.token for intent in intents}
        home = self._context.config.home_id()
        nodes = [n for each in found for n in each.nodes if n.tags.get(HOME_TAG) == home]
        doomed = [n for n in nodes if await self._is_doomed(n, given_up)]
        removed = await self._terminate(doomed, done)
        tokens = {n.tags.get(TOKEN_TAG, "") for n in removed} - {""}
        standing = {n.tags.get(TOKEN_TAG, "") for n in doomed} - tokens
        await self._settle(intents, standing, failed, done)
        await self._close_clusters(failed, nodes, done)
        await self._forget_secrets(done)
        return done

    def _lost(self, intent: IntentRow) -> bool:
        """Whether nobody will come back for what this intent made."""
        if intent.run_state in ("succeeded", "failed", "cancelled"):
            return True
        if intent.lease_live:
            self._dead_since.pop(intent.run_id, None)
            return False
        since = self._dead_since.setdefault(intent.run_id, time.monotonic())
        return time.monotonic() - since >= self._grace_s

    async def _is_doomed(self, node: Node, given_up: set[str]) -> bool:
        if node.tags.get(TOKEN_TAG) in given_up:
            return True
        return await self._is_over(node.tags.get("stix-run", ""))

    async def _is_over(self, run_id: str) -> bool:
        try:
            return (await self._context.ledger.run(run_id)).state.final
        except NotFound:
            return True

    async def _terminate(self, nodes: Sequence[Node], done: Sweep) -> list[Node]:
        removed: list[Node] = []
        by_cloud: dict[str, list[Node]] = {}
        for node in nodes:
            by_cloud.setdefault(node.ref.cloud, []).append(node)
        for name, mine in by_cloud.items():
            refs: list[NodeRef] = [node.ref for node in mine]
            try:
                async with asyncio.timeout(_TERMINATE_TIMEOUT_S):
                    await self._context.cloud(name).terminate(refs)
            except (StixError, TimeoutError) as error:
                done.errors.append(f"{name}: {error or 'terminate took too long'}")
                continue
            removed += mine
            done.nodes += [ref.id for ref in refs]
        return removed

    async def _settle(
        self, intents: Sequence[IntentRow], standing: set[str], failed: set[str], done: Sweep
    ) -> None:
        for intent in intents:
            if intent.cloud in failed or intent.token in standing:
                continue  # its nodes may be there still
            await self._context.ledger.close_cluster(None, intent.token, "swept")
            await self._context.ledger.settle_intent(intent.token, "swept", None)
            done.intents.append(intent.token)

    async def _close_clusters(self, failed: set[str], nodes: Sequence[Node], done: Sweep) -> None:
        """Close the books on clusters of ended runs: nobody else will, and they count money."""
        there = {n.tags.get(TOKEN_TAG) for n in nodes if n.ref.id not in done.nodes}
        for cluster in await self._context.ledger.clusters(open_only=True):
            if cluster.cloud in failed or cluster.token in there:
                continue
            if await self._is_over(cluster.run_id):
                await self._context.ledger.close_cluster(None, cluster.token, "swept")
                done.clusters.append(cluster.token)

    async def _forget_secrets(self, done: Sweep) -> None:
        for run_id in self._context.vault.names():
            try:
                over = (await self._context.ledger.run(run_id)).state.final
            except NotFound:
                over = self._context.vault.age(run_id) > EVERY_S  # it may be just being created
            if over:
                self._context.vault.delete(run_id)
                done.secrets.append(run_id)
