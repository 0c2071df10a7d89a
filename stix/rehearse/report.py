"""What is told of rehearsals: one JSON-safe map, for tables, pictures and programs alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stix.clouds.sim.scenario import Scenario
from stix.plan.shown import time
from stix.rehearse.market import Market
from stix.rehearse.record import Rehearsed, spread


def report(
    name: str, market: Market, scenario: Scenario, runs: Sequence[Rehearsed]
) -> dict[str, Any]:
    """The first rehearsal in detail, and all of them in numbers.

    Money in USD, times in virtual seconds from the start.
    """
    first = runs[0]
    return {
        "name": name,
        "market": market.source,
        "preempt_rate": scenario.preempt_rate,
        **first.to_dict(),
        "plan": {stage: _placed(market, stage) for stage in market.plan.stages},
        "spread": spread(runs) if len(runs) > 1 else None,
        "runs": [run.summary() for run in runs],
        "notes": [*market.notes, *first.notes, *_notes(market, scenario)],
    }


def _placed(market: Market, stage: str) -> Mapping[str, Any]:
    offer = market.plan.stages[stage].offer
    others = market.plan.stages[stage].alternatives
    return {"infra": offer.infra, **offer.to_dict(), "alternatives": len(others)}


def _notes(market: Market, scenario: Scenario) -> list[str]:
    spot = any(
        choice.offer.spot
        for placement in market.plan.stages.values()
        for choice in (placement.chosen, *placement.alternatives)
    )
    notes = [] if spot else ["no stage takes spot machines: nothing is preempted (`--use-spot`)"]
    notes += [
        f"{fault.kind} of {fault.place} from {time(fault.start)}"
        + (f" to {time(fault.end)}" if fault.end < float("inf") else " on")
        for fault in scenario.faults
    ]
    return [*notes, "movement of data takes no time and costs nothing here: see `stix plan`"]
