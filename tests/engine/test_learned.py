"""What the planner learns from the ledger."""

from __future__ import annotations

import math
import random

import asyncpg
import pytest

from stix.engine.learned import learned
from stix.ledger import Ledger
from stix.plan.amount import Amount
from stix.plan.estimates import Estimator, Stage
from stix.plan.history import Exposure
from stix.plan.offers import Offer
from tests.ledger.conftest import ledger, new_run, postgres, raw, url
from tests.ledger.test_history import OFFER, attempted, claimed, shift, stored

__all__ = ["ledger", "postgres", "raw", "url"]

HERE = Offer(**OFFER)  # type: ignore[arg-type]


@pytest.fixture
async def engine(ledger: Ledger) -> Ledger:
    await ledger.register_engine("e1", "host", 1, 600)
    return ledger


async def test_runs_become_estimates(engine: Ledger, raw: asyncpg.Connection) -> None:
    for number, seconds in enumerate((600, 630, 570)):
        fence = await claimed(engine, f"r{number}")
        await attempted(engine, fence, "a")
        await stored(engine, fence, "a", "output", "o", 3 * 2**30)
        times = {"came": 30, "sync": 30, "setup": 90, "run": 90 + seconds}
        await shift(raw, f"r{number}", "a", **times)
    known = await learned(engine, "p")
    estimator = Estimator(known.history)
    stage = Stage("a", has_setup=True)
    time = estimator.time(stage, HERE)
    assert (time.basis, time.runs) == ("history", 3)
    assert time.amount.value == pytest.approx(600, rel=0.01)
    assert time.amount.low < 570 and time.amount.high > 630
    assert estimator.setup(stage).amount.value == pytest.approx(60)
    assert estimator.output(stage, "o").amount.value == pytest.approx(3)
    boot, boots = known.zones.boot(HERE)
    assert boot.value == pytest.approx(30) and boots == 3
    assert (await learned(engine, "other")).history.runs == ()


async def test_shortages_are_forgotten(engine: Ledger) -> None:
    fence = await claimed(engine, "r1")
    shortage = {"offer": OFFER | {"later": "field"}, "scope": "zone", "at": 5000.0}
    await engine.start_attempt(fence, "a", 1, None)
    await engine.record_step(fence, "a", 1, "shortages", {"count": 1, "seen": [shortage]})
    zones = (await learned(engine, "p")).zones
    assert [block.zone for block in zones.blocks(5001.0)] == ["us-east-1a"]
    assert zones.blocks(5000.0 + 86400) == []
    assert zones.shortage(HERE, 5001.0) > zones.shortage(HERE, 5000.0 + 86400)


async def test_preemptions_are_counted(engine: Ledger, raw: asyncpg.Connection) -> None:
    spot = OFFER | {"spot": True}
    fence = await claimed(engine, "r1")
    await attempted(engine, fence, "a", offer=spot, state="failed", event={"kind": "preempted"})
    await attempted(engine, fence, "b", offer=spot)
    await raw.execute("UPDATE clusters SET closed = created + interval '3 h'")
    found = (await learned(engine, "p")).history.exposures
    assert found == (Exposure("aws", "us-east-1", "m5.large", 6.0, 1),)


BULK = (
    "INSERT INTO attempts (run_id, key, number, state, offer, steps, ended)"
    " VALUES ($1, $2, 1, 'succeeded', $3, jsonb_build_object('run', jsonb_build_object("
    "'result', '{}'::jsonb, 'ended', now() + $4 * interval '1 s')), now())"
)


async def test_three_runs_are_enough(engine: Ledger, raw: asyncpg.Connection) -> None:
    """The times of 60 stages, seen three times each, against what each takes the next time."""
    draw = random.Random(7)
    keys = tuple(f"s{number}" for number in range(60))
    usual = {key: draw.uniform(60, 7200) for key in keys}
    offer = '{"offer": {"cpus": 2, "accelerators": {}}}'
    for run in ("r1", "r2", "r3"):
        await engine.create_run(new_run(run, keys=keys))
        for key in keys:
            seconds = usual[key] * math.exp(draw.gauss(0, 0.1))
            await raw.execute(BULK, run, key, offer, seconds)
        await raw.execute(
            "INSERT INTO clusters (token, run_id, key, attempt, cloud, price_usd_h, created)"
            " SELECT run_id || key, run_id, key, 1, 'aws', 1, ended FROM attempts"
            " WHERE run_id = $1",
            run,
        )
    estimator = Estimator((await learned(engine, "p")).history)
    errors, covered = [], 0
    for key in keys:
        thought: Amount = estimator.time(Stage(key), HERE).amount
        errors.append(abs(thought.value / usual[key] - 1))
        truth = usual[key] * math.exp(draw.gauss(0, 0.1))
        covered += thought.low <= truth <= thought.high
    assert sum(errors) / len(errors) < 0.15
    assert covered >= 0.9 * len(keys)
