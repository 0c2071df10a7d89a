"""Receipts to the cent, by the database's clock."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import asyncpg
import pytest

from stix.ledger import Intent

CENT = Decimal("0.01")


def cluster(token: str, price: object, count: int = 1) -> dict[str, Any]:
    nodes = [{"ref": {"cloud": "aws", "id": f"{token}-{i}"}, "rank": i} for i in range(count)]
    offer = {"instance_type": "p4d"}
    return {
        "key": "a",
        "attempt": 1,
        "token": token,
        "cloud": "aws",
        "offer": offer,
        "nodes": nodes,
        "price_usd_h": price,
    }


async def age(raw: asyncpg.Connection, token: str, seconds: float) -> None:
    await raw.execute(
        "UPDATE clusters SET created = clock_timestamp() - $2 * interval '1 s' WHERE token = $1",
        token,
        seconds,
    )


@pytest.mark.parametrize(
    ("price", "hours", "count", "usd"),
    [
        (0.35, 10, 1, "3.50"),
        ("32.7726", 2.5, 4, "327.73"),
        (0.1, 3, 1, "0.30"),
        (Decimal("98.32"), 24 * 31, 8, "585200.64"),
        (0, 5, 2, "0.00"),
    ],
)
async def test_receipt(
    world: Any, raw: asyncpg.Connection, price: object, hours: float, count: int, usd: str
) -> None:
    await world.ledger.add_cluster(world.fence, cluster("t", price, count))
    before = await raw.fetchval("SELECT clock_timestamp()")
    await age(raw, "t", hours * 3600)
    open_cost = await world.ledger.cost(world.run)
    (summary,) = await world.ledger.runs(1)
    await world.ledger.close_cluster(world.fence, "t", "done")
    waited = await raw.fetchval("SELECT clock_timestamp()") - before
    slack = Decimal(str(waited.total_seconds())) / 3600 + Decimal("0.000001")
    lines = await world.ledger.receipts(world.run)
    assert [(line.rank, line.description) for line in lines] == [
        (i, f"aws p4d t-{i}") for i in range(count)
    ]
    unit = Decimal(str(price)).quantize(Decimal("0.000001"))
    for line in lines:
        assert (line.unit, line.unit_price_usd) == ("hour", unit)
        assert line.usd == (line.quantity * unit).quantize(Decimal("0.000001"), ROUND_HALF_UP)
        assert Decimal(hours) <= line.quantity <= Decimal(hours) + slack
    total = sum((line.usd for line in lines), Decimal(0))
    assert abs(total - Decimal(usd)) <= unit * count * slack + CENT / 2
    assert total == await world.ledger.cost(world.run)
    assert total == (await world.ledger.run(world.run)).cost_usd
    assert open_cost <= summary.cost_usd <= total + CENT


async def test_a_cluster_is_paid_once(world: Any, raw: asyncpg.Connection) -> None:
    ledger, fence = world.ledger, world.fence
    await ledger.add_cluster(fence, cluster("t", 1, 2))
    await age(raw, "t", 3600)
    await ledger.add_cluster(fence, cluster("t", 99, 2))  # repeated: the first price stays
    (row,) = await ledger.clusters(world.run)
    assert row.price_usd_h == 1 and row.closed is None
    await ledger.close_cluster(fence, "t", "done")
    first = await ledger.receipts(world.run)
    await ledger.close_cluster(fence, "t", "again")
    await ledger.close_cluster(None, "t", "swept")
    assert await ledger.receipts(world.run) == first
    (row,) = await ledger.clusters(world.run)
    assert row.reason == "done" and row.closed == row.closed
    assert await ledger.clusters(open_only=True) == []
    assert [n.closed is not None for n in await ledger.nodes()] == [True, True]


async def test_the_sweeper_closes_without_a_fence(world: Any) -> None:
    ledger, fence = world.ledger, world.fence
    await ledger.open_intent(fence, Intent("t", "a", 1, "aws", {}))
    await ledger.add_cluster(fence, cluster("t", 1))
    await ledger.finish_run(fence, "failed", None)
    await ledger.close_cluster(None, "t", "lost engine")
    await ledger.close_cluster(None, "unknown", "lost engine")
    await ledger.close_cluster(fence, "unknown", "never added")
    assert len(await ledger.receipts(world.run)) == 1
    assert await ledger.open_intents() == []
    assert (await ledger.run(world.run)).cost_usd == await ledger.cost(world.run)
    last = (await ledger.events(world.run, 0))[-1]
    assert (last.kind, last.key, last.data["reason"]) == ("cluster", "a", "lost engine")


async def test_a_thousand_lines_add_up(world: Any, raw: asyncpg.Connection) -> None:
    """0.1 has no exact binary form: a float sum of these would be off."""
    await world.ledger.add_cluster(world.fence, cluster("t", "0.1", 1000))
    await world.ledger.close_cluster(world.fence, "t", "done")
    await raw.execute("UPDATE receipts SET quantity = 1, usd = unit_price_usd")
    assert await world.ledger.cost(world.run) == Decimal("100.000000")
