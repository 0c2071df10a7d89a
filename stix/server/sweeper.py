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
from typing import Any

from stix.clouds.config import TOKEN_TAG
from stix.ledger import IntentRow, LedgerUnavailable, NotFound
from stix.server.context import Context
from stix.server.estate import Books, Judged, Thing, judge
from stix.server.inventory import Inventory
from stix.server.seen import Seen
from stix.storage.base import StorageError
from stix.tasks.buckets import END_S, drop_bucket

log = logging.getLogger("stix.sweeper")

EVERY_S = 15.0
GRACE_S = 600.0
"""How long a run may be without any living engine before its nodes are removed. An engine that
takes it over earlier goes on with them; later it finds them gone, as after a preemption."""


@dataclass
class Sweep:
    """What one sweep did; ``judged`` is all that it looked at."""

    judged: list[Judged] = field(default_factory=list, repr=False)
    nodes: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    intents: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    buckets: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        work = (self.nodes, self.resources, self.intents, self.clusters, self.secrets, self.buckets)
        return not (any(work) or self.errors)

    def to_dict(self) -> dict[str, Any]:
        """For the API."""
        return {
            "things": [judged.to_dict() for judged in self.judged],
            "nodes": self.nodes,
            "resources": self.resources,
            "intents": self.intents,
            "clusters": self.clusters,
            "buckets": self.buckets,
            "errors": self.errors,
        }


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
        seen = Seen(context.config.home / "cache" / "seen.json")
        self._inventory = Inventory(context.cloud, seen)
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

    async def sweep_once(self, *, dry_run: bool = False) -> Sweep:
        """Remove what nobody owns: what runs left that ended, are unknown, or have lost their
        engine for long, and what serves nobody any more.

        Args:
            dry_run: Only say what would be removed.
        """
        done = Sweep()
        # Clouds first: a run that is created after this has nothing in these lists.
        found = await self._inventory.take(await self._names())
        done.errors += [f"{each.cloud}: {each.error}" for each in found if each.error]
        failed = {each.cloud for each in found if each.error}
        everything = await self._context.ledger.open_intents()
        intents = [i for i in everything if self._lost(i)]
        things = [thing for each in found for thing in each.things]
        books = await self._books(things, everything, intents)
        done.judged = judge(things, books, time.time())
        if dry_run:
            return done
        doomed = [judged for judged in done.judged if judged.orphan]
        removed, errors = await self._inventory.remove(doomed)
        done.errors += [f"{cloud}: {words}" for cloud, words in errors]
        done.nodes += [thing.id for thing in removed if thing.is_node]
        done.resources += [f"{t.kind} {t.id}" for t in removed if not t.is_node]
        gone = {thing.key for thing in removed}
        standing = {_token(j.thing) for j in doomed if j.thing.key not in gone}
        await self._settle(intents, standing, failed, done)
        await self._close_clusters(failed, [t for t in things if t.key not in gone], done)
        await self._forget_secrets(done)
        await self._drop_buckets(done)
        return done

    async def look(self) -> Sweep:
        """Everything that we have at the clouds, with a verdict on each; removes nothing."""
        return await self.sweep_once(dry_run=True)

    async def _names(self) -> set[str]:
        """Clouds that are set up, and those where something of ours may be."""
        ledger = self._context.ledger
        intents, clusters = await asyncio.gather(
            ledger.open_intents(), ledger.clusters(open_only=True)
        )
        setups = [self._context.setup(name) for name in self._context.cloud_names]
        names = {setup.name for setup in setups if self._context.asks(setup)}
        return names | {i.cloud for i in intents} | {c.cloud for c in clusters}

    async def _books(
        self, things: Sequence[Thing], intents: Sequence[IntentRow], lost: Sequence[IntentRow]
    ) -> Books:
        given_up = {intent.token for intent in lost}
        runs = {thing.tags.get("stix-run", "") for thing in things} - {""}
        members: dict[str, set[str]] = {}
        for node in await self._context.ledger.nodes(open_only=True):
            members.setdefault(node.token, set()).add(node.id)
        return Books(
            home=self._context.config.home_id(),
            over={run: over for run in runs if (over := await self._over(run)) is not None},
            given_up=frozenset(given_up),
            members={token: frozenset(ids) for token, ids in members.items()},
            asked=frozenset(i.cloud for i in intents if i.token not in given_up),
        )

    def _lost(self, intent: IntentRow) -> bool:
        """Whether nobody will come back for what this intent made."""
        if intent.run_state in ("succeeded", "failed", "cancelled"):
            return True
        if intent.lease_live:
            self._dead_since.pop(intent.run_id, None)
            return False
        since = self._dead_since.setdefault(intent.run_id, time.monotonic())
        return time.monotonic() - since >= self._grace_s

    async def _over(self, run_id: str) -> bool | None:
        """Whether the run has ended; None where the ledger knows none of this name."""
        try:
            return (await self._context.ledger.run(run_id)).state.final
        except NotFound:
            return None

    async def _settle(
        self, intents: Sequence[IntentRow], standing: set[str], failed: set[str], done: Sweep
    ) -> None:
        for intent in intents:
            if intent.cloud in failed or intent.token in standing:
                continue  # its nodes may be there still
            await self._context.ledger.close_cluster(None, intent.token, "swept")
            await self._context.ledger.settle_intent(intent.token, "swept", None)
            done.intents.append(intent.token)

    async def _close_clusters(self, failed: set[str], left: Sequence[Thing], done: Sweep) -> None:
        """Close the books on clusters of ended runs: nobody else will, and they count money."""
        there = {_token(thing) for thing in left if thing.is_node}
        for cluster in await self._context.ledger.clusters(open_only=True):
            if cluster.cloud in failed or cluster.token in there:
                continue
            if await self._over(cluster.run_id) is not False:
                await self._context.ledger.close_cluster(None, cluster.token, "swept")
                done.clusters.append(cluster.token)

    async def _drop_buckets(self, done: Sweep) -> None:
        """Buckets of runs whose engine died before it could remove them."""
        ledger = self._context.ledger
        for row in await ledger.doom_buckets():
            try:
                async with asyncio.timeout(END_S):  # nodes must not wait for large ones
                    if await drop_bucket(ledger, row):
                        done.buckets.append(row.url)
            except StorageError as error:
                done.errors.append(f"{row.url}: {error.message}")
            except TimeoutError:
                done.errors.append(f"{row.url}: its removal takes long")

    async def _forget_secrets(self, done: Sweep) -> None:
        for run_id in self._context.vault.names():
            try:
                over = (await self._context.ledger.run(run_id)).state.final
            except NotFound:
                over = self._context.vault.age(run_id) > EVERY_S  # it may be just being created
            if over:
                self._context.vault.delete(run_id)
                done.secrets.append(run_id)


def _token(thing: Thing) -> str:
    return thing.tags.get(TOKEN_TAG, "")
