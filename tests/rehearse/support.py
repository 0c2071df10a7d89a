"""Pipelines and markets for rehearsals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stix.clouds.sim.scenario import Scenario
from stix.plan.joint import place_together
from stix.plan.offers import Offer
from stix.rehearse.driver import How, rehearse
from stix.rehearse.market import Market, market_of
from stix.rehearse.record import AttemptRecord, Rehearsed, StageRecord
from stix.spec.loader import load_file
from stix.spec.models import PipelineSpec


def read(folder: Path, text: str) -> PipelineSpec:
    path = folder / "p.yaml"
    path.write_text(text)
    return load_file(path).pipeline


def stage(more: str = "", name: str = "main") -> str:
    return f"name: p\nstages:\n  {name}:\n    run: 'true'\n{more}"


def offers(*places: str, spot: bool = False) -> list[Offer]:
    """``cloud/region/zone``, each a little dearer than the one before."""
    made = []
    for number, place in enumerate(places):
        cloud, region, zone = place.split("/")
        price = 1.0 + number / 1000
        made.append(Offer(cloud, region, zone, "box", 4, 16.0, price=price, spot=spot))
    return made


def market(pipeline: PipelineSpec, there: Sequence[Offer]) -> Market:
    return Market(tuple(there), place_together(pipeline, there).plan(), "simulated")


def go(
    pipeline: PipelineSpec,
    scenario: Scenario | None = None,
    there: Sequence[Offer] = (),
    **how: Any,
) -> Rehearsed:
    """One rehearsal, on the given offers or the made-up market."""
    on = market(pipeline, there) if there else market_of(pipeline)
    return rehearse(pipeline, on, scenario or Scenario(boot_spread=0, boot_s=100), How(**how))


def row(done: Rehearsed, key: str = "main") -> StageRecord:
    return next(stage for stage in done.stages if stage.key == key)


def attempts(done: Rehearsed) -> list[AttemptRecord]:
    return [attempt for stage in done.stages for attempt in stage.attempts]


def asked(attempt: AttemptRecord) -> list[str]:
    """Where an attempt asked, in order."""
    return [*(one.offer.infra for one in attempt.tries), attempt.offer.infra]


def states(done: Rehearsed) -> dict[str, str]:
    return {stage.key: str(stage.state) for stage in done.stages}


def kinds(events: Iterable[Any]) -> list[str]:
    return [event.kind for event in events]
