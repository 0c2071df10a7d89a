"""A plan as everything that is told of it: to scripts, tables and pictures alike.

It is one JSON-safe map, so that a server's answer and a plan made without one look the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from stix.errors import StixError
from stix.plan.joint import Given, Goal, JointError, Point, front_together, place_together
from stix.plan.jointplan import JointPlan, StagePlan
from stix.plan.offers import Offer
from stix.plan.shown import at_least, money, time
from stix.spec.models import PipelineSpec

STALE_DAYS = 14
_SAME = 1e-4


class Unmet(StixError):
    """No plan keeps to the deadline or the budget.

    Attributes:
        least: The least deadline (s) or budget (USD) that would do.
    """

    def __init__(self, message: str, fix: str, least: float) -> None:
        super().__init__(message, fix=fix)
        self.least = least


@dataclass(frozen=True)
class Market:
    """What can be rented, as far as a plan is concerned.

    Attributes:
        offers: To choose from.
        elsewhere: Cloud to why nothing can be rented there from here.
        excluded: Stage, code of a reason: how many prices it rules out beyond ``offers``; None
            where ``offers`` are all there are.
        beaten: Stage to how many serve it beyond ``offers``, dearer than others of their place.
    """

    offers: Sequence[Offer]
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    excluded: Mapping[str, Mapping[str, int]] | None = None
    beaten: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What is asked beside the pipeline.

    Attributes:
        front: Whether to list every plan that no other beats in both money and time.
        alternatives: How many other offers are told for each stage; None for all.
        today: To tell how old prices are.
    """

    goal: Goal = field(default_factory=Goal)
    given: Given = field(default_factory=Given)
    front: bool = False
    alternatives: int | None = None
    today: date | None = None


def answer(pipeline: PipelineSpec, market: Market, asked: Asked) -> dict[str, Any]:
    """The best plan, and all that is told of it.

    Raises:
        PlanError: no offer serves some stage.
        JointError: stages that belong together have no place in common.
        Unmet: no plan keeps to the deadline or the budget; it names the least that would do.
    """
    try:
        plan = place_together(pipeline, market.offers, asked.goal, asked.given)
    except JointError as error:
        if error.least is None:
            raise
        raise _unmet(pipeline, market, asked, error) from error
    front = front_together(pipeline, market.offers, asked.given) if asked.front else None
    return described(_counted(plan, market), market, asked, front) | {"name": pipeline.name}


def described(
    plan: JointPlan, market: Market, asked: Asked, front: Sequence[Point] | None = None
) -> dict[str, Any]:
    """A plan with the fields that scripts know, its age and its marks."""
    offers = [stage.offer for stage in plan.stages.values()]
    notes = [*plan.notes, *_unproven(plan), *_stale(offers, asked.today)]
    stages = {name: _short(stage, asked.alternatives) for name, stage in plan.stages.items()}
    out = replace(plan, stages=stages, notes=tuple(notes)).to_dict()
    for told, stage in zip(out["stages"], plan.stages.values(), strict=True):
        told |= {
            "chosen": told["choice"],
            "usd_per_hour": stage.offer.price * stage.num_nodes,
            "rejected": told["nearest"],
            "rejected_count": sum(stage.excluded.values()),
            "others": sum(stage.lost.values()),
            "enabled": stage.offer.cloud not in market.elsewhere,
            "egress_usd": sum(e.usd.value for e in plan.edges if e.target == stage.stage),
        }
    out["egress_usd"] = plan.egress_usd
    out["elsewhere"] = dict(market.elsewhere)
    out["deadline"], out["budget"] = asked.goal.deadline, asked.goal.budget
    if front is not None:
        out["front"] = _front(front, plan)
    return out


def _short(stage: StagePlan, most: int | None) -> StagePlan:
    return stage if most is None else replace(stage, alternatives=stage.alternatives[:most])


def _counted(plan: JointPlan, market: Market) -> JointPlan:
    """With what was left out before the plan was made."""
    if market.excluded is None:
        return plan
    stages = {}
    for name, stage in plan.stages.items():
        never = {code: n for code, n in stage.excluded.items() if code == "preemption"}
        beaten = stage.lost.get("beaten", 0) + market.beaten.get(name, 0)
        lost = {**stage.lost, "beaten": beaten} if beaten else stage.lost
        excluded = {**market.excluded.get(name, {}), **never}
        stages[name] = replace(stage, excluded=excluded, lost=lost)
    return replace(plan, stages=stages)


def _front(front: Sequence[Point], plan: JointPlan) -> dict[str, Any]:
    """The points, and which of them the plan is."""

    def away(point: Point) -> float:
        usd, seconds = plan.usd.value, plan.seconds.value
        return abs(point.usd - usd) / max(usd, 1e-9) + abs(point.seconds - seconds) / max(
            seconds, 1e-9
        )

    if min(map(away, front)) > _SAME:  # of many points some are listed, and this is another
        offers = {name: stage.offer for name, stage in plan.stages.items()}
        front = sorted(
            [*front, Point(plan.usd.value, plan.seconds.value, offers, proven=False)],
            key=lambda point: point.usd,
        )
    nearest = min(range(len(front)), key=lambda i: away(front[i]))
    return {
        "chosen": nearest,
        "proven": all(point.proven for point in front),
        "plans": [
            {
                "usd": point.usd,
                "seconds": point.seconds,
                "offers": {name: offer.to_dict() for name, offer in point.offers.items()},
            }
            for point in front
        ],
    }


def _unmet(pipeline: PipelineSpec, market: Market, asked: Asked, error: JointError) -> Unmet:
    """In words that can be written into the next command."""
    goal, least = asked.goal, error.least
    assert least is not None
    if goal.deadline is not None and not _too_poor(pipeline, market, asked):
        within = f" for {money(goal.budget)}" if goal.budget is not None else ""
        message = f"no plan{within} ends within {time(goal.deadline)}: the fastest takes"
        fix = f"allow `--deadline {at_least(least)}`, or other resources"
        return Unmet(f"{message} {time(least)}", fix, least)
    message = f"no plan costs at most {money(goal.budget or 0.0)}: the cheapest costs"
    upwards = -(-least * 100 // 1) / 100 or 0.01
    fix = f"allow `--budget {upwards:.2f}`, or other resources"
    return Unmet(f"{message} {money(least)}", fix, least)


def _too_poor(pipeline: PipelineSpec, market: Market, asked: Asked) -> bool:
    """Whether the budget alone is the trouble."""
    if asked.goal.budget is None:
        return False
    alone = Goal(budget=asked.goal.budget)
    try:
        place_together(pipeline, market.offers, alone, asked.given)
    except JointError:
        return True
    return False


def _unproven(plan: JointPlan) -> list[str]:
    if plan.gap == 0:
        return []
    return [f"the search stopped: the best plan may be up to {plan.gap:.1%} better"]


def _stale(offers: Sequence[Offer], today: date | None) -> list[str]:
    """Clouds whose prices are old; those of offers that an adapter just asked for have no date."""
    day = today or datetime.now(UTC).date()
    ages: dict[str, int] = {}
    for offer in offers:
        if offer.as_of:
            age = (day - _day(offer.as_of)).days
            ages[offer.cloud] = max(age, ages.get(offer.cloud, 0))
    return [
        f"the prices of {cloud} are {age} days old: `stix catalog refresh {cloud}`"
        for cloud, age in sorted(ages.items())
        if age > STALE_DAYS
    ]


def _day(text: str) -> date:
    """Of a month or a year the first."""
    year, month, day = (*text.split("-"), "1", "1")[:3]
    return date(int(year), int(month), int(day))
