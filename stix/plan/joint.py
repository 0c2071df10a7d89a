"""All stages of a pipeline placed together: money, time, and data that has to move.

The offers of each stage become candidates with a price, the data between them becomes edges with a
price per GB, and the solver finds the plan with the least money or time. It is pure: the same
arguments give the same plan, so that after a fail-over one asks again with what is known then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from stix.errors import StixError
from stix.plan.blocklist import Blocklist
from stix.plan.candidates import Candidate, Candidates, Match, Matches, candidates, matching
from stix.plan.choose import Unplaced, Wish, unplaced
from stix.plan.costs import NUDGE, Pricing, Work
from stix.plan.egress import Egress
from stix.plan.estimates import Estimator
from stix.plan.explain import Table, explained
from stix.plan.front import front
from stix.plan.history import History
from stix.plan.jointplan import JointPlan
from stix.plan.offers import Offer
from stix.plan.place import PlanError, wish_of
from stix.plan.placement import Block
from stix.plan.regions import Place
from stix.plan.shelf import Shelf
from stix.plan.solve import (
    Flow,
    Infeasible,
    Limits,
    Minimize,
    Movement,
    Option,
    Problem,
    Reuse,
)
from stix.plan.solve import solve as best
from stix.plan.where import Where
from stix.plan.work import Reader, Works
from stix.spec.models import PipelineSpec


@dataclass(frozen=True)
class Goal:
    """What makes a plan good.

    Attributes:
        minimize: ``cost`` or ``time``; of equal plans the one that is less in the other.
        deadline: Seconds from now at most.
        budget: USD at most.
        reuse: Whether a stage may take over the machines of the one before, warm.
    """

    minimize: Literal["cost", "time"] = "cost"
    deadline: float | None = None
    budget: float | None = None
    reuse: bool = False


@dataclass(frozen=True)
class Given:
    """What is known when a plan is made.

    Attributes:
        pinned: Stage to the offer it has and keeps.
        done: Stage that has ended to the places where its outputs lie; nothing of it is paid.
        data: URL, or how it begins, to the place where it lies.
        sizes: ``stage.output`` to its GB, where it is there already.
        blocked: Offers to pass over.
        zones: What was seen where nodes were asked for. What it blocks is passed over by stages
            that may begin before the block is over.
        history: Earlier runs.
        now: Seconds since the epoch.
        used_gb: Cloud to the GB it sent elsewhere this month, which count against allowances.
        egress: Prices of movement.
        stores: Where the stores of artifacts lie, the main one first: outputs go to the nearest
            and are read from there. Without any they go straight from stage to stage.
        silent: Clouds that could not say what they offer, and why: told where nothing fits.
        volumes: Where volumes are.
    """

    pinned: Mapping[str, Offer] = field(default_factory=dict)
    done: Mapping[str, Sequence[Place]] = field(default_factory=dict)
    data: Mapping[str, Place] = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)
    blocked: Sequence[Block] = ()
    zones: Blocklist = field(default_factory=Blocklist)
    history: History = field(default_factory=History)
    now: float = 0.0
    used_gb: Mapping[str, float] = field(default_factory=dict)
    egress: Egress = field(default_factory=Egress.bundled)
    stores: Sequence[Place] = ()
    silent: Mapping[str, StixError] = field(default_factory=dict)
    volumes: Mapping[str, Where] = field(default_factory=dict)


class JointError(StixError):
    """No plan meets the deadline, the budget, or what stages ask for together.

    Attributes:
        stages: The stages it is about; empty where it is the plan as a whole.
        least: The least deadline (s) or budget (USD) that would do; None where that is not it.
    """

    def __init__(self, error: Infeasible, names: Sequence[str]) -> None:
        self.stages = tuple(names[number] for number in error.stages)
        self.least = error.least
        said = error.message
        if self.stages:
            said = f"{', '.join(self.stages)}: no offer is left that suits them together"
        super().__init__(said, fix=error.fix)


def place_together(
    pipeline: PipelineSpec,
    offers: Sequence[Offer],
    goal: Goal | None = None,
    given: Given | None = None,
    limits: Limits | None = None,
) -> JointPlan:
    """The best plan for all stages that have not ended.

    Args:
        pipeline: Its ``defaults`` count; it may be resolved already.
        offers: What can be rented now.
        goal: Least cost where it is not given.
        given: What is known beside that.
        limits: When the solver stops short of a proof.

    Raises:
        PlanError: no offer serves some stage.
        JointError: no plan meets the goal.
    """
    goal, given = goal or Goal(), given or Given()
    return _Planner(pipeline.resolved(), goal, given).plan(offers, limits or Limits())


@dataclass(frozen=True)
class Point:
    """A plan that no other beats in both money and time.

    Attributes:
        usd, seconds: All of it.
        offers: Stage to its offer.
        proven: False where the search stopped short and points may be missing.
    """

    usd: float
    seconds: float
    offers: Mapping[str, Offer]
    proven: bool = True


def front_together(
    pipeline: PipelineSpec,
    offers: Sequence[Offer],
    given: Given | None = None,
) -> list[Point]:
    """Every plan that no other beats in both money and time, the cheapest first.

    Of more than a few stages some of them.

    Raises:
        PlanError: no offer serves some stage.
        JointError: stages that belong together have no place in common.
    """
    planner = _Planner(pipeline.resolved(), Goal(), given or Given())
    return planner.front(offers)


class _Planner:
    def __init__(self, pipeline: PipelineSpec, goal: Goal, given: Given) -> None:
        self._pipeline, self._goal, self._given = pipeline, goal, given
        self._estimator = Estimator(given.history)
        reader = Reader(self._estimator, given.data, given.done, given.sizes)
        self._works: Works = reader.read(pipeline)
        self._names = list(self._works.works)
        measured = given.history.bandwidths()
        self._pricing = Pricing(
            self._estimator,
            given.history,
            given.zones,
            given.now,
            given.egress.with_measured(measured) if measured else given.egress,
            self._works.volume + (self._works.written if given.stores else 0.0),
            given.used_gb,
            tuple(given.stores),
        )

    def plan(self, offers: Sequence[Offer], limits: Limits) -> JointPlan:
        found = self._candidates(offers)
        problem, places = self._problem(found)
        try:
            solution = best(problem, limits)
        except Infeasible as error:
            raise JointError(error, self._names) from error
        table = Table(self._works, found, self._pricing, problem, places, solution)
        plan = explained(table, self._goal.minimize, set(self._given.pinned))
        return replace(plan, notes=(*self._notes(plan), *plan.notes))

    def front(self, offers: Sequence[Offer]) -> list[Point]:
        found = self._candidates(offers)
        problem, _ = self._problem(found)
        try:
            solutions = front(problem)
        except Infeasible as error:
            raise JointError(error, self._names) from error
        return [
            Point(
                one.usd,
                one.seconds,
                {n: found[n].kept[i].offer for n, i in zip(self._names, one.choice, strict=True)},
                one.gap == 0,
            )
            for one in solutions
        ]

    def _candidates(self, offers: Sequence[Offer]) -> dict[str, Candidates]:
        """For each stage; wide pipelines ask for the same thing often."""
        shelf = Shelf(offers)
        matched: dict[str, Matches] = {}
        priced: dict[tuple[str, str], Candidates] = {}
        out: dict[str, Candidates] = {}
        missing: list[Unplaced] = []
        for name, work in self._works.works.items():
            wish = wish_of(name, self._pipeline.stages[name], self._given.volumes)
            blocked = self._blocked(name)
            asked = repr((replace(wish, stage=""), blocked))
            if asked not in matched:
                matched[asked] = matching(wish, shelf, blocked)
            key = asked, repr(self._alike(work))
            if key not in priced:
                priced[key] = candidates(
                    matched[asked], work, self._pricing, every_machine=self._goal.reuse
                )
            found = priced[key]
            if name in self._given.pinned:
                found = self._pinned(found, wish, work, self._given.pinned[name])
            if not found.kept:
                missing.append(unplaced(wish, offers, found.nearest))
            out[name] = found
        if missing:
            raise PlanError(missing, self._given.silent)
        return out

    def _blocked(self, name: str) -> list[Block]:
        """What is blocked when the stage may begin: a shortage of now says little of tonight."""
        then = self._given.now + self._works.earliest[name]
        return [*self._given.blocked, *self._given.zones.blocks(then)]

    def _alike(self, work: Work) -> Work:
        """The work without its name, where nothing is known by that name."""
        stage = work.stage
        known = bool(self._given.history.of(stage.name))
        return work if known else replace(work, stage=replace(stage, name=""))

    def _pinned(self, found: Candidates, wish: Wish, work: Work, offer: Offer) -> Candidates:
        """The one offer that the stage has, which may no longer be on offer."""
        same = [c for c in found.kept if c.offer == offer]
        match = same[0].match if same else Match(offer, wish.tiers[0][0], 0)
        one = Candidate(match, self._pricing.quote(work, offer))
        return Candidates([one], refused=found.refused, nearest=found.nearest)

    def _problem(self, found: Mapping[str, Candidates]) -> tuple[Problem, list[Place]]:
        numbers: dict[Place, int] = {}
        alike: dict[int, list[Option]] = {}
        stages = []
        for name in self._names:
            kept = found[name].kept
            if id(kept) not in alike:
                points = self._works.works[name].points
                alike[id(kept)] = [self._option(c, numbers, points) for c in kept]
            stages.append(alike[id(kept)])
        places = list(numbers)
        position = {name: number for number, name in enumerate(self._names)}
        flows = [
            Flow(position[edge.source], position[edge.target], edge.load)
            for edge in self._works.edges
        ]
        rates, ways = self._pricing.landing.ways(places, self._pricing.volume, self._given.used_gb)
        time = self._goal.minimize == "time"
        problem = Problem(
            stages=stages,
            flows=flows,
            movement=Movement(rates, ways) if any(flow.gib > 0 for flow in flows) else Movement(),
            reuse=[Reuse(f.source, f.target) for f in flows] if self._goal.reuse else (),
            together=[list(range(len(stages)))] if self._grouped else (),
            areas=_areas(places) if self._grouped else (),
            minimize=Minimize.SECONDS if time else Minimize.USD,
            deadline=self._goal.deadline,
            budget=self._goal.budget,
        )
        return problem, places

    @property
    def _grouped(self) -> bool:
        """A job group shares a region, unless its tasks need not reach each other."""
        return (
            self._pipeline.execution == "parallel" and self._pipeline.inter_connection is not False
        )

    def _option(self, candidate: Candidate, numbers: dict[Place, int], points: int) -> Option:
        quote, offer = candidate.quote, candidate.offer
        key = None
        if self._goal.reuse and points == 1:
            key = offer.infra, offer.region, offer.instance_type, offer.spot
        seconds = quote.boot_s if points == 1 else 0.0
        restart = quote.boot_s + quote.setup_s
        return Option(
            location=numbers.setdefault(Place.of(offer), len(numbers)),
            usd=quote.usd + NUDGE * quote.wait_s,
            seconds=quote.seconds,
            tier=candidate.match.tier,
            key=key,
            boot_usd=quote.boot_usd * seconds / restart if restart else 0.0,
            boot_seconds=seconds,
        )

    def _notes(self, plan: JointPlan) -> list[str]:
        notes = [f"the size of {name} is not known; counted as 0" for name in self._works.unknown]
        deadline = self._pipeline.deadline
        if deadline is not None and plan.seconds.value > deadline:
            notes.append(
                f"the plan is thought to take {plan.seconds.value:.0f} s,"
                f" longer than the deadline of {deadline:g} s"
            )
        return notes


def _areas(places: Sequence[Place]) -> list[int]:
    numbers: dict[tuple[str, str | None], int] = {}
    return [numbers.setdefault((p.cloud, p.region), len(numbers)) for p in places]
