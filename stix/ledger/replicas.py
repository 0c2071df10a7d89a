"""Which store holds which artifact, as far as it was seen: a store itself knows it for sure."""

from __future__ import annotations

from collections.abc import Collection

from stix.ledger.base import Part
from stix.ledger.sql import Statement

SEEN = """seen AS (
        INSERT INTO replicas (digest, store)
        SELECT :digest, regexp_replace(:url::text, '/manifests/[^/]+/[^/]+$', '') FROM fence f
        ON CONFLICT DO NOTHING)"""
"""A part of the fenced statements that record an artifact with the URL of its manifest."""

_ADD = Statement.of("""
    INSERT INTO replicas (digest, store)
    SELECT :digest, store FROM unnest(:stores::text[]) AS these(store) ON CONFLICT DO NOTHING""")

_LIST = Statement.of("""
    SELECT digest, store FROM replicas
    WHERE :digests::text[] IS NULL OR digest = ANY(:digests) ORDER BY digest, created, store""")

_FORGET = Statement.of("""
    DELETE FROM replicas WHERE store = :store AND digest = ANY(:digests::text[])""")


class Replicas(Part):
    """Replicas of artifacts."""

    async def add_replicas(self, digest: str, stores: Collection[str]) -> None:
        """Record that these stores, named by their URLs, have an artifact."""
        await self._db.fetch(_ADD, digest=digest, stores=sorted(stores))

    async def replicas(self, digests: Collection[str] | None = None) -> dict[str, list[str]]:
        """Digest to the URLs of the stores that have it, the oldest first; of all where None."""
        wanted = None if digests is None else list(digests)
        found: dict[str, list[str]] = {}
        for row in await self._db.fetch(_LIST, digests=wanted):
            found.setdefault(str(row["digest"]), []).append(str(row["store"]))
        return found

    async def forget_replicas(self, store: str, digests: Collection[str]) -> None:
        """A store has these artifacts no longer."""
        await self._db.fetch(_FORGET, store=store, digests=list(digests))
