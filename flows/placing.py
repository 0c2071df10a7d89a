"""The plan of a run: made at its start, and made again for what has not begun after a fail-over.

A plan is written to the ledger before anybody follows it, once for each cause, so that an engine
that takes the run over goes on with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prefect.logging import get_run_logger

from stix.engine.learned import learned
from stix.engine.runtime import Attempt, RunContext
from stix.engine.volumes import names_in, whereabouts
from stix.errors import StixError
from stix.ledger import AttemptRow, StageRow
from stix.plan.blocklist import Blocklist
from stix.plan.choose import Unplaced, choose
from stix.plan.joint import Given, JointError, place_together
from stix.plan.jointplan import JointPlan
from stix.plan.offers import Offer
from stix.plan.place import PlanError, wish_of
from stix.plan.placement import Block, Choice, Placement, Plan
from stix.plan.regions import Place
from stix.plan.where import Where
from stix.spec.models import PipelineSpec
from stix.spec.states import StageState

OFFERS_PATIENCE_S = 60.0
SAME_USD = 1e-6
GIB = 2**30

log = logging.getLogger("stix.engine")


async def gather_offers(run: RunContext) -> tuple[list[Offer], dict[str, StixError]]:
    """What the enabled clouds offer now, and which of them could not say, and why."""
    clouds = run.runtime.clouds
    silent: dict[str, StixError] = {}

    async def ask(name: str) -> list[Offer]:
        try:
            return list(await clouds.get(name).offers())
        except StixError as error:
            get_run_logger().warning("%s offers nothing: %s", name, error.message)
            silent[name] = error
            return []

    lists = await asyncio.gather(*(ask(name) for name in clouds.names))
    return [offer for offers in lists for offer in offers], silent


async def place_run(
    run: RunContext, offers: Sequence[Offer], silent: Mapping[str, StixError]
) -> None:
    """Place all stages that have not ended, or go on with the plan that the ledger has.

    Raises:
        PlanError: some stage fits nowhere.
        JointError: the stages do not fit together.
    """
    given = replace(await _given(run), silent=silent)
    joint, plan = await asyncio.to_thread(best, run.pipeline, offers, given)
    cause = f"resume {run.resumed}" if run.resumed else "start"
    summary = {**_totals(joint), "notes": list(joint.notes[:10])}
    if not await run.runtime.ledger.record_plan(
        run.fence, "planned", cause, _stored(plan.stages), summary
    ):
        plan = _as_recorded(plan, run.stage_rows.values())
    run.plan, run.joint = plan, joint


async def moved(attempt: Attempt) -> None:
    """An attempt has its nodes: where they are elsewhere than planned, place the rest again.

    Only stages that have not begun move. Whatever goes wrong, the plan stays as it is.
    """
    run, stage, offer = attempt.run, attempt.point.stage, attempt.choice.offer
    run.where[stage] = offer
    planned = run.plan.stages[stage].offer
    if _area(planned) == _area(offer):
        return
    try:
        async with run.replanning, asyncio.timeout(OFFERS_PATIENCE_S):
            await _replan(attempt, planned)
    except (PlanError, JointError, TimeoutError) as error:
        log.warning("run %s is not placed again: %s", run.run_id, error)


async def _replan(attempt: Attempt, planned: Offer) -> None:
    run = attempt.run
    rest = _not_begun(run)
    if not _could_change(run.plan.stages[name] for name in rest):
        return
    offers, silent = await gather_offers(run)
    given = replace(await _given(run, rest), silent=silent)
    old = {name: run.plan.stages[name].offer for name in rest}
    found = await asyncio.to_thread(better, run.pipeline, offers, given, old)
    if found is None:
        return
    before, joint, plan = found
    changes = {
        name: plan.stages[name]
        for name in _not_begun(run)
        if _key(plan.stages[name].offer) != _key(run.plan.stages[name].offer)
    }
    if not changes:
        return
    why = f"{attempt.key} went from {planned.infra} to {attempt.choice.offer.infra}"
    summary = {
        "why": why,
        "usd_before": round(before, 6),
        "usd_after": round(joint.usd.value, 6),
        "moved": {
            name: [_named(run.plan.stages[name].offer), _named(placement.offer)]
            for name, placement in changes.items()
        },
    }
    cause = f"{attempt.key}#{attempt.number}"
    ledger = run.runtime.ledger
    if await ledger.record_plan(
        run.fence, "replanned", cause, _stored(changes), summary, attempt.key
    ):
        get_run_logger().info("placed again, since %s: %s", why, ", ".join(changes))
        # Some may have begun by now, where they were to begin before.
        taken = {name: changes[name] for name in _not_begun(run) if name in changes}
        run.plan, run.joint = Plan({**run.plan.stages, **taken}), joint


def best(pipeline: PipelineSpec, offers: Sequence[Offer], given: Given) -> tuple[JointPlan, Plan]:
    """The best plan, with places that had no room a short time ago as the last to be tried.

    Where that leaves nothing for some stage, the shortages do not count. Among machines that cost
    nothing each stage takes the one that fits it best, whatever earlier runs took there.
    """
    try:
        joint = place_together(pipeline, offers, given=given)
    except (PlanError, JointError):
        if not given.zones.blocks(given.now):
            raise
        came = Blocklist(tuple(s for s in given.zones.sightings if not s.scope))
        joint = place_together(pipeline, offers, given=replace(given, zones=came))
    free = all(offer.price == 0 for offer in offers)
    blocks = [*given.blocked, *given.zones.blocks(given.now)]
    if not (free or blocks):
        return joint, joint.plan()
    alone = _alone(pipeline, joint.stages, offers, given.volumes)
    if free and pipeline.execution != "parallel":
        fits = {n: p.offer for n, p in alone.items() if p.offer != joint.stages[n].offer}
        if fits:
            pinned = {**fits, **given.pinned}
            joint = place_together(pipeline, offers, given=replace(given, pinned=pinned))
    placements = joint.plan().stages
    if free:
        return joint, Plan({n: _in_order(p, alone[n]) for n, p in placements.items()})
    return joint, Plan({n: _with_blocked(p, alone[n], blocks) for n, p in placements.items()})


def _alone(
    pipeline: PipelineSpec,
    names: Iterable[str],
    offers: Sequence[Offer],
    volumes: Mapping[str, Where],
) -> dict[str, Placement]:
    """What each stage would take by itself, were nothing blocked."""
    specs = pipeline.resolved().stages
    seen: dict[str, Placement | Unplaced] = {}
    found: dict[str, Placement] = {}
    for name in names:
        wish = wish_of(name, specs[name], volumes)
        asked = repr(replace(wish, stage=""))
        if asked not in seen:
            seen[asked] = choose(wish, offers, ())
        placement = seen[asked]
        if isinstance(placement, Placement):
            found[name] = replace(placement, stage=name)
    return found


def _in_order(placement: Placement, alone: Placement) -> Placement:
    """With the alternatives in the order of their fit."""
    others = tuple(c for c in (alone.chosen, *alone.alternatives) if c != placement.chosen)
    return replace(placement, alternatives=others)


def _with_blocked(placement: Placement, alone: Placement, blocks: Sequence[Block]) -> Placement:
    known = {_key(c.offer) for c in (placement.chosen, *placement.alternatives)}
    last = tuple(
        choice
        for choice in (alone.chosen, *alone.alternatives)
        if _key(choice.offer) not in known and any(b.covers(choice.offer) for b in blocks)
    )
    return replace(placement, alternatives=(*placement.alternatives, *last))


def better(
    pipeline: PipelineSpec,
    offers: Sequence[Offer],
    given: Given,
    old: Mapping[str, Offer],
) -> tuple[float, JointPlan, Plan] | None:
    """USD of keeping the old offers of stages, and the better plan.

    None where they are not blocked and nothing costs less.
    """
    pinned = {**given.pinned, **old}
    kept = place_together(pipeline, offers, given=replace(given, pinned=pinned))
    joint, plan = best(pipeline, offers, given)
    stands = not any(
        block.covers(offer)
        for name, offer in old.items()
        for block in (*given.blocked, *given.zones.blocks(given.now + kept.stages[name].start))
    )
    if stands and joint.usd.value >= kept.usd.value - SAME_USD:
        return None
    return kept.usd.value, joint, plan


async def _given(run: RunContext, rest: Collection[str] | None = None) -> Given:
    """What is known now. With ``rest``, all stages but these keep the offer they have."""
    ledger = run.runtime.ledger
    known = await learned(ledger, run.name)
    rows = _by_stage(run.stage_rows.values())
    done = {name for name, there in rows.items() if all(row.state.final for row in there)}
    pinned: dict[str, Offer] = {}
    blocked: list[Block] = []
    if rest is not None:
        for name, placement in run.plan.stages.items():
            if name not in done and name not in rest:
                pinned[name] = run.where.get(name) or placement.offer
        blocked = _blocks(await ledger.attempts(run.run_id))
    stores = await asyncio.to_thread(run.runtime.store.places)
    seen = await ledger.replicas(_outputs(rows, done))
    return Given(
        pinned=pinned,
        done={name: _lies(rows[name], stores, seen) for name in done},
        stores=list(stores.values()),
        sizes=await _sizes(run, done),
        blocked=blocked,
        zones=known.zones,
        history=known.history,
        now=time.time(),
        volumes=await whereabouts(ledger, names_in(run.pipeline)),
    )


def _outputs(rows: Mapping[str, Sequence[StageRow]], done: Collection[str]) -> list[str]:
    good = [row for name in done for row in rows[name] if row.state.good]
    return [str(digest) for row in good for digest in (row.outputs or {}).values()]


def _lies(
    rows: Sequence[StageRow], stores: Mapping[str, Place], seen: Mapping[str, Sequence[str]]
) -> list[Place]:
    """Where all outputs of a stage lie: in the stores that were seen to have them.

    Of outputs that were seen nowhere, or nowhere together, the main store is thought to have them:
    the price is then not right, but the stage can read them.
    """
    digests = [digest for row in rows if row.state.good for digest in (row.outputs or {}).values()]
    if not digests:
        return []
    common = [url for url in stores if all(url in seen.get(digest, ()) for digest in digests)]
    return [stores[url] for url in common or list(stores)[:1]]


async def _sizes(run: RunContext, done: Collection[str]) -> dict[str, float]:
    """``stage.output`` to GB of one point, for stages that have ended."""
    if not done:
        return {}
    found: dict[str, list[float]] = {}
    for row in await run.runtime.ledger.artifacts(run.run_id):
        point = run.points.get(row.key)
        if row.kind == "output" and point is not None and point.stage in done:
            found.setdefault(f"{point.stage}.{row.name}", []).append(row.bytes / GIB)
    return {name: sum(sizes) / len(sizes) for name, sizes in found.items()}


def _blocks(attempts: Iterable[AttemptRow]) -> list[Block]:
    """What attempts of this run were told to pass over, of machines that cost something."""
    blocks: list[Block] = []
    for row in attempts:
        action = (row.action or {}).get("action", {})
        if action.get("kind") == "next_offer" and row.offer:
            offer = Choice.from_dict(row.offer).offer
            if offer.price > 0:
                blocks.append(Block.of(offer, action.get("skip_scope") or "type"))
    return blocks


def _not_begun(run: RunContext) -> list[str]:
    """Stages of the plan no point of which has begun or ended."""
    rows = _by_stage(run.stage_rows.values())
    return [
        name
        for name in run.plan.stages
        if name not in run.where
        and all(row.state is StageState.PENDING for row in rows.get(name, ()))
    ]


def _could_change(placements: Iterable[Placement]) -> bool:
    """Whether they have a choice of places; where nothing costs anything each finds its own."""
    found = list(placements)
    offers = [c.offer for p in found for c in (p.chosen, *p.alternatives)]
    return len(set(map(_area, offers))) > 1 and any(offer.price > 0 for offer in offers)


def _as_recorded(plan: Plan, rows: Iterable[StageRow]) -> Plan:
    """The plan with the choices that the ledger has, as far as they are on offer still."""
    stages = dict(plan.stages)
    for row in rows:
        now = stages.get(row.stage)
        if now is None or not row.placement:
            continue
        kept = _key(Placement.from_dict(row.placement).offer)
        choices = (now.chosen, *now.alternatives)
        chosen = next((c for c in choices if _key(c.offer) == kept), now.chosen)
        others = tuple(c for c in choices if c != chosen)
        usd = chosen.offer.price * now.num_nodes
        stages[row.stage] = replace(now, chosen=chosen, alternatives=others, usd_per_hour=usd)
    return Plan(stages)


def _stored(placements: Mapping[str, Placement]) -> dict[str, Any]:
    """For the ledger: the choices; what else would do is found again from the offers."""
    return {
        name: replace(placement, alternatives=(), rejected=()).to_dict()
        for name, placement in placements.items()
    }


def _totals(joint: JointPlan) -> dict[str, Any]:
    return {"usd": round(joint.usd.value, 6), "seconds": round(joint.seconds.value, 3)}


def _by_stage(rows: Iterable[StageRow]) -> dict[str, list[StageRow]]:
    found: dict[str, list[StageRow]] = {}
    for row in rows:
        found.setdefault(row.stage, []).append(row)
    return found


def _area(offer: Offer) -> tuple[str, str]:
    return offer.cloud, offer.region


def _key(offer: Offer) -> tuple[object, ...]:
    return offer.cloud, offer.region, offer.zone, offer.instance_type, offer.spot


def _named(offer: Offer) -> str:
    return f"{offer.infra} {offer.instance_type}" + (" spot" if offer.spot else "")
