"""Clusters and nodes, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from stix.ledger.base import Part
from stix.ledger.errors import NotFound
from stix.ledger.rows import ClusterRow, Fence, NodeRow, ReceiptRow
from stix.ledger.sql import (
    STAGE_EXISTS,
    Statement,
    event,
    fence,
    quiet_fence,
    quiet_statement,
    statement,
    unfenced,
)

_ADD = statement(
    fence(STAGE_EXISTS),
    """effect AS (
        INSERT INTO clusters (token, run_id, key, attempt, cloud, offer, price_usd_h)
        SELECT :cluster, f.run_id, :key, :attempt, :cloud, :offer, :price FROM fence f
        ON CONFLICT (token) DO NOTHING RETURNING token)""",
    """members AS (
        INSERT INTO nodes (token, rank, id, cloud, data)
        SELECT c.token, n.rank, n.id, :cloud, n.data FROM effect c,
            jsonb_to_recordset(:nodes) AS n(rank int, id text, data jsonb))""",
    """settled AS (
        UPDATE intents i SET outcome = 'created', settled = clock_timestamp()
        FROM fence f WHERE i.token = :cluster AND i.run_id = f.run_id AND i.outcome IS NULL)""",
    event(
        "cluster",
        "jsonb_build_object('token', :cluster::text, 'state', 'open', 'attempt', :attempt::int,"
        " 'cloud', :cloud::text, 'nodes', jsonb_array_length(:nodes),"
        " 'price_usd_h', :price::numeric::text)",
        key=":key",
    ),
)

_READY = quiet_statement(
    quiet_fence(),
    """effect AS (
        UPDATE nodes n SET data = m.data
        FROM fence f, clusters k, jsonb_to_recordset(:nodes) AS m(rank int, id text, data jsonb)
        WHERE k.token = :cluster AND k.run_id = f.run_id AND n.token = k.token
            AND n.rank = m.rank AND n.id = m.id)""",
)

_IS_OPEN = """EXISTS (
    SELECT FROM clusters k WHERE k.token = :cluster AND k.run_id = l.run_id AND k.closed IS NULL)"""

# One line per node. The quantity is rounded before it is multiplied, so that every line can be
# checked by hand; numeric arithmetic, no floating point.
_CLOSE_PARTS = (
    """shut AS (
        UPDATE clusters k SET closed = clock_timestamp(), reason = :reason FROM fence f
        WHERE k.token = :cluster AND k.run_id = f.run_id AND k.closed IS NULL
        RETURNING k.token, k.run_id, k.key, k.attempt, k.offer, k.price_usd_h, k.closed,
            round(extract(epoch FROM k.closed - k.created) / 3600, 6) AS hours)""",
    """members AS (
        UPDATE nodes n SET closed = s.closed FROM shut s WHERE n.token = s.token
        RETURNING n.rank, n.id, n.cloud)""",
    """settled AS (
        UPDATE intents i SET outcome = 'removed', settled = clock_timestamp()
        FROM shut s WHERE i.token = s.token AND i.outcome IS DISTINCT FROM 'swept')""",
    """lines AS (
        INSERT INTO receipts (token, rank, run_id, key, attempt, kind, description, quantity,
            unit, unit_price_usd, usd)
        SELECT s.token, m.rank, s.run_id, s.key, s.attempt, 'compute',
            m.cloud || ' ' || coalesce(s.offer->>'instance_type', '') || ' ' || m.id,
            s.hours, 'hour', s.price_usd_h, round(s.hours * s.price_usd_h, 6)
        FROM shut s, members m RETURNING run_id, usd)""",
    """paid AS (
        UPDATE runs r SET cost_usd = r.cost_usd + p.usd
        FROM (SELECT run_id, sum(usd) AS usd FROM lines GROUP BY run_id) p
        WHERE r.id = p.run_id)""",
    event(
        "cluster",
        "jsonb_build_object('token', s.token, 'state', 'closed', 'attempt', s.attempt,"
        " 'reason', :reason::text, 'usd', (SELECT coalesce(sum(usd), 0)::text FROM lines))",
        key="s.key",
        source="fence f, shut s",
    ),
)
_CLOSE = statement(fence(_IS_OPEN), *_CLOSE_PARTS)
_CLOSE_ANY = statement(
    unfenced("(SELECT run_id FROM clusters WHERE token = :cluster AND closed IS NULL)"),
    *_CLOSE_PARTS,
)

_CLUSTER = """
    SELECT token, run_id, key, attempt, cloud, offer, price_usd_h, created, closed, reason
    FROM clusters"""
_ONE_CLUSTER = Statement.of(f"{_CLUSTER} WHERE token = :cluster")
_CLUSTERS = Statement.of(f"""{_CLUSTER}
    WHERE (:run_id::text IS NULL OR run_id = :run_id)
        AND (NOT :open_only::boolean OR closed IS NULL) ORDER BY created, token""")
_NODES = Statement.of("""
    SELECT n.token, n.rank, n.id, n.cloud, n.data, n.closed, k.run_id, k.key, k.attempt, k.created
    FROM nodes n JOIN clusters k USING (token)
    WHERE (:run_id::text IS NULL OR k.run_id = :run_id)
        AND (NOT :open_only::boolean OR n.closed IS NULL) ORDER BY k.created, n.token, n.rank""")
_RECEIPTS = Statement.of("""
    SELECT token, rank, run_id, key, attempt, kind, description, quantity, unit, unit_price_usd,
        usd, created
    FROM receipts WHERE run_id = :run_id ORDER BY created, token, rank""")
_COST = Statement.of("""
    SELECT (SELECT coalesce(sum(usd), 0) FROM receipts WHERE run_id = :run_id)
        + (SELECT coalesce(round(sum(k.price_usd_h
            * extract(epoch FROM clock_timestamp() - k.created) / 3600), 6), 0)
           FROM clusters k JOIN nodes n USING (token)
           WHERE k.run_id = :run_id AND k.closed IS NULL) AS usd""")


def _node(rank: int, node: Mapping[str, Any]) -> dict[str, Any]:
    reference = node.get("ref", node)
    return {"rank": node.get("rank", rank), "id": reference["id"], "data": dict(node)}


class Money(Part):
    """Clusters, nodes, receipts."""

    async def add_cluster(self, held: Fence, cluster: Mapping[str, Any]) -> None:
        """Record that nodes exist and cost money from now; settles the intent of the same token.

        Args:
            cluster: ``key``, ``attempt``, ``token``, ``cloud``, ``offer``, ``nodes`` (each
                ``Node.to_dict()``), ``price_usd_h``: USD per hour **of one node**, as
                ``Offer.price``. The same token again changes nothing.
        """
        await self._write(
            held,
            _ADD,
            cluster=cluster["token"],
            key=cluster["key"],
            attempt=cluster["attempt"],
            cloud=cluster["cloud"],
            offer=cluster["offer"],
            nodes=[_node(rank, node) for rank, node in enumerate(cluster["nodes"])],
            price=Decimal(str(cluster["price_usd_h"])),
        )

    async def update_nodes(
        self, held: Fence, token: str, nodes: Sequence[Mapping[str, Any]]
    ) -> None:
        """Record what nodes of a cluster are now (each ``Node.to_dict()``, in the order of their
        ranks); how many there are and since when they cost money stays."""
        members = [_node(rank, node) for rank, node in enumerate(nodes)]
        await self._quiet(held, _READY, cluster=token, nodes=members)

    async def close_cluster(self, held: Fence | None, token: str, reason: str) -> None:
        """Record that the nodes are gone; writes one receipt line per node, once.

        Hours are counted by the database's clock from ``add_cluster``. A cluster that is closed
        already, and one never added, is left alone.
        """
        if held is None:
            await self._db.fetch(_CLOSE_ANY, cluster=token, reason=reason, op=None)
            return
        values = {"cluster": token, "reason": reason, "op": None}
        rows = await self._db.fetch(_CLOSE, run_id=held.run_id, token=held.token, **values)
        if rows:
            return
        found = await self._db.fetch(_ONE_CLUSTER, cluster=token)
        if found and found[0]["closed"] is None:
            if found[0]["run_id"] != held.run_id:
                raise NotFound(f"run {held.run_id} has no cluster {token}")
            raise await self._refusal(held, {})

    async def clusters(
        self, run_id: str | None = None, open_only: bool = False
    ) -> list[ClusterRow]:
        """Clusters of one run or of all, oldest first."""
        rows = await self._db.fetch(_CLUSTERS, run_id=run_id, open_only=open_only)
        return ClusterRow.all(rows)

    async def nodes(self, run_id: str | None = None, open_only: bool = False) -> list[NodeRow]:
        """Nodes of a run, or of all runs."""
        rows = await self._db.fetch(_NODES, run_id=run_id, open_only=open_only)
        return NodeRow.all(rows)

    async def receipts(self, run_id: str) -> list[ReceiptRow]:
        """The lines of the run's receipt."""
        return ReceiptRow.all(await self._db.fetch(_RECEIPTS, run_id=run_id))

    async def cost(self, run_id: str) -> Decimal:
        """USD of the receipt, and of the open clusters up to now."""
        rows = await self._db.fetch(_COST, run_id=run_id)
        return Decimal(rows[0]["usd"])
