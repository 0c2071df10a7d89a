"""Buckets by name: each is written down before it is made, and struck off once it is gone.

A run that will use one first says so and then looks at its state; whoever deletes one first sets
its state and then looks who uses it. So of two at one time at least one sees the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stix.ledger.base import Part
from stix.ledger.rows import Fence
from stix.ledger.sql import Statement, quiet_fence, quiet_statement

MAKING, READY, DELETING = "making", "ready", "deleting"


@dataclass(frozen=True)
class BucketRow:
    """A bucket that runs use by its name.

    Attributes:
        url: Its URL, without what lies in it.
        region: Where it was made, or lies as far as that is known.
        made: STIX has made it, or is about to.
        state: ``making``, ``ready`` or ``deleting``.
    """

    url: str
    region: str
    made: bool
    state: str
    created: datetime


_USE = quiet_statement(
    quiet_fence(),
    """effect AS (
        INSERT INTO bucket_uses AS u (url, run_id, persistent)
        SELECT :url, f.run_id, :persistent::boolean FROM fence f
        ON CONFLICT (url, run_id) DO UPDATE SET persistent = u.persistent OR :persistent)""",
)

_ADD = quiet_statement(
    quiet_fence(),
    """effect AS (
        INSERT INTO buckets (url, region, made, state)
        SELECT :url, :region, :made::boolean,
            CASE WHEN :made THEN 'making' ELSE 'ready' END FROM fence f
        ON CONFLICT (url) DO NOTHING)""",
)

_MAKE = quiet_statement(
    quiet_fence(),
    """effect AS (
        UPDATE buckets b SET made = true, state = 'making' FROM fence f
        WHERE b.url = :url AND b.state = 'ready')""",
)

_READY = quiet_statement(
    quiet_fence(),
    """effect AS (
        UPDATE buckets b SET state = 'ready' FROM fence f
        WHERE b.url = :url AND b.state = 'making')""",
)

_FILLED = quiet_statement(
    quiet_fence(),
    """effect AS (
        UPDATE bucket_uses u
        SET filled = u.filled || jsonb_build_object(:place::text, :digest::text)
        FROM fence f WHERE u.url = :url AND u.run_id = f.run_id)""",
)

_LIST = Statement.of("""
    SELECT url, region, made, state, created FROM buckets
    WHERE :url::text IS NULL OR url = :url ORDER BY created, url""")

_HELD = Statement.of("""
    SELECT filled FROM bucket_uses WHERE url = :url AND run_id = :run_id""")

_BUSY = """
    SELECT FROM bucket_uses u JOIN runs r ON r.id = u.run_id
    WHERE u.url = b.url AND u.run_id IS DISTINCT FROM :run_id
      AND r.state NOT IN ('succeeded', 'failed', 'cancelled')"""

_DOOM = Statement.of(f"""
    UPDATE buckets b SET state = 'deleting'
    WHERE b.made
      AND EXISTS (SELECT FROM bucket_uses u WHERE u.url = b.url
                  AND (:run_id::text IS NULL OR u.run_id = :run_id))
      AND NOT EXISTS (SELECT FROM bucket_uses u WHERE u.url = b.url AND u.persistent)
      AND NOT EXISTS ({_BUSY})
    RETURNING url, region, made, state, created""")

_SPARE = Statement.of(f"""
    UPDATE buckets b SET state = 'ready'
    WHERE b.url = :url AND b.state = 'deleting' AND EXISTS ({_BUSY}) RETURNING url""")

_FORGET = Statement.of("""
    WITH gone AS (DELETE FROM buckets WHERE url = :url AND state = 'deleting' RETURNING url)
    DELETE FROM bucket_uses u USING gone g WHERE u.url = g.url
      AND (u.run_id = :run_id OR NOT EXISTS (SELECT FROM runs r WHERE r.id = u.run_id
           AND r.state NOT IN ('succeeded', 'failed', 'cancelled')))""")


class Buckets(Part):
    """Buckets."""

    async def use_bucket(self, held: Fence, url: str, *, persistent: bool) -> None:
        """The run uses a bucket from now on; it stays after the run where any of its uses says."""
        await self._quiet(held, _USE, url=url, persistent=persistent)

    async def buckets(self, url: str | None = None) -> list[BucketRow]:
        """The one of this URL where it is known, or all, the oldest first."""
        return [BucketRow(**row) for row in await self._db.fetch(_LIST, url=url)]

    async def add_bucket(self, held: Fence, url: str, region: str, *, made: bool) -> None:
        """Write one down that is there, or is to be made now; one that is known stays as it is."""
        await self._quiet(held, _ADD, url=url, region=region, made=made)

    async def remake_bucket(self, held: Fence, url: str) -> None:
        """One that was ``ready`` is there no longer, and is to be made now."""
        await self._quiet(held, _MAKE, url=url)

    async def bucket_ready(self, held: Fence, url: str) -> None:
        """It is made."""
        await self._quiet(held, _READY, url=url)

    async def bucket_filled(self, held: Fence, url: str, place: str, digest: str) -> None:
        """The run has copied an artifact to a place in the bucket."""
        await self._quiet(held, _FILLED, url=url, place=place, digest=digest)

    async def bucket_content(self, run_id: str, url: str) -> dict[str, Any]:
        """What the run has copied there: place to digest."""
        rows = await self._db.fetch(_HELD, url=url, run_id=run_id)
        return dict(rows[0]["filled"]) if rows else {}

    async def doom_buckets(self, run_id: str | None = None) -> list[BucketRow]:
        """Buckets that nobody needs any more: made by STIX, not to be kept, of ended runs alone.

        They are ``deleting`` from now on. Look by `spare_bucket` before you delete one.

        Args:
            run_id: Only those that this run uses, which counts as ended.
        """
        return [BucketRow(**row) for row in await self._db.fetch(_DOOM, run_id=run_id)]

    async def spare_bucket(self, url: str, run_id: str | None = None) -> bool:
        """Whether another run has begun to use it meanwhile, so that it stays."""
        return bool(await self._db.fetch(_SPARE, url=url, run_id=run_id))

    async def forget_bucket(self, url: str, run_id: str | None = None) -> None:
        """It is gone."""
        await self._db.fetch(_FORGET, url=url, run_id=run_id)
