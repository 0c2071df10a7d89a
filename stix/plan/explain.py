"""From the solver's answer to a plan with its reasons: what each stage gets and why others lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from heapq import nsmallest

from stix.plan.amount import Amount, dependent, independent
from stix.plan.candidates import Candidate, Candidates, Match
from stix.plan.costs import Pricing, Source, Work
from stix.plan.egress import scope_of
from stix.plan.estimates import Estimate
from stix.plan.jointplan import (
    BEATEN_KEPT,
    LOSERS_KEPT,
    EdgePlan,
    JointPlan,
    Loser,
    StagePlan,
    shown,
)
from stix.plan.placement import Choice
from stix.plan.regions import Place
from stix.plan.shelf import named
from stix.plan.solve import Option, Problem, Solution
from stix.plan.work import Edge, Works

_TIE = 1e-6


@dataclass(frozen=True)
class Table:
    """A solved problem, by the names of its stages.

    Attributes:
        places: The places by their numbers.
    """

    works: Works
    found: dict[str, Candidates]
    pricing: Pricing
    problem: Problem
    places: list[Place]
    solution: Solution

    @cached_property
    def names(self) -> list[str]:
        return list(self.works.works)

    @cached_property
    def chosen(self) -> dict[str, Candidate]:
        picks = zip(self.names, self.solution.choice, strict=True)
        return {name: self.found[name].kept[option] for name, option in picks}

    @cached_property
    def place(self) -> dict[str, Place]:
        return {name: Place.of(candidate.offer) for name, candidate in self.chosen.items()}

    @cached_property
    def around(self) -> dict[str, list[Edge]]:
        """Edges at each stage."""
        found: dict[str, list[Edge]] = defaultdict(list)
        for edge in self.works.edges:
            found[edge.source].append(edge)
            found[edge.target].append(edge)
        return found

    @cached_property
    def warm(self) -> dict[str, str]:
        """Stage to the one whose machines it takes over."""
        return {self.names[to]: self.names[of] for of, to in self.solution.warm}

    def moved(self, name: str, there: Place) -> float:
        """USD of all edges at a stage were it there."""
        total = 0.0
        for edge in self.around.get(name, ()):
            src, dst = self.place[edge.source], self.place[edge.target]
            way = (there, dst) if edge.source == name else (src, there)
            total += self._usd(edge, *way)
        return total

    def waited(self, name: str, there: Place) -> float:
        """Seconds until the last input were there."""
        times = [
            self._seconds(edge, self.place[edge.source], there)
            for edge in self.around.get(name, ())
            if edge.target == name
        ]
        return max(times, default=0.0)

    def _usd(self, edge: Edge, src: Place, dst: Place) -> float:
        used = self.pricing.used.get(src.cloud, 0.0)
        return self.pricing.egress.way(src, dst, self.pricing.volume, used).usd_for(edge.load)

    def _seconds(self, edge: Edge, src: Place, dst: Place) -> float:
        used = self.pricing.used.get(src.cloud, 0.0)
        return self.pricing.egress.way(src, dst, self.pricing.volume, used).seconds_for(edge.load)


def explained(table: Table, minimize: str, pinned: Collection[str]) -> JointPlan:
    """The plan with its reasons."""
    edges = [_edge(table, edge) for edge in table.works.edges]
    reads = [
        _read(table, name, work, source)
        for name, work in table.works.works.items()
        for source in work.reads
    ]
    times = _schedule(table, edges)
    judge = _Judge(table, minimize)
    stages = {name: judge.stage(name, times[name], pinned=name in pinned) for name in table.names}
    usd, seconds = _totals(table, stages, edges)
    solution = table.solution
    return JointPlan(
        stages,
        (*reads, *edges),
        usd,
        seconds,
        minimize,
        solution.method,
        solution.gap,
        tuple((source, target) for target, source in table.warm.items()),
    )


def _edge(table: Table, edge: Edge) -> EdgePlan:
    src, dst = table.place[edge.source], table.place[edge.target]
    gb = edge.each.amount.times(edge.points)
    return _moved(table.pricing, (edge.source, edge.target), (src, dst), edge.each, gb, edge.waves)


def _read(table: Table, name: str, work: Work, source: Source) -> EdgePlan:
    dst = table.place[name]
    egress, pricing = table.pricing.egress, table.pricing
    src = min(
        source.places,
        key=lambda s: egress.way(s, dst, pricing.volume, pricing.used.get(s.cloud, 0.0)).usd_per_gb,
    )
    gb = source.gb.amount.times(work.points)
    return _moved(pricing, (source.name, name), (src, dst), source.gb, gb, work.waves)


def _moved(
    pricing: Pricing,
    names: tuple[str, str],
    ends: tuple[Place, Place],
    each: Estimate,
    gb: Amount,
    waves: int,
) -> EdgePlan:
    src, dst = ends
    egress, used = pricing.egress, pricing.used.get(src.cloud, 0.0)
    facts = egress.facts(src, dst)
    rate = egress.way(src, dst, pricing.volume, used).usd_per_gb
    # At the least, the allowance is still whole and this is all that counts against it.
    low = sum(min(f.usd(gb.low, used), f.bounds(rate * gb.low, gb.low)[0]) for f in facts)
    high = sum(f.bounds(f.rate(pricing.volume, used) * gb.high, gb.high)[1] for f in facts)
    usd = Amount(rate * gb.value, min(low, rate * gb.value), max(high, rate * gb.value))
    speed = egress.speed(src, dst)
    one = each.amount.times(waves)
    seconds = Amount(one.value / speed.gb_s, one.low / speed.high, one.high / speed.low)
    scope = scope_of(src, dst)
    return EdgePlan(*names, str(src), str(dst), gb, usd, seconds, scope, each.basis, shown(facts))


def _schedule(table: Table, edges: Iterable[EdgePlan]) -> dict[str, tuple[float, float]]:
    """Start and end of each stage, in seconds."""
    into: dict[str, list[EdgePlan]] = defaultdict(list)
    waiting = dict.fromkeys(table.names, 0)
    children: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        into[edge.target].append(edge)
        waiting[edge.target] += 1
        children[edge.source].append(edge.target)
    times: dict[str, tuple[float, float]] = {}
    ready = [name for name, count in waiting.items() if count == 0]
    for name in ready:
        start = max((times[e.source][1] + e.seconds.value for e in into[name]), default=0.0)
        quote = table.chosen[name].quote
        boot = quote.boot_s if name in table.warm else 0.0
        times[name] = start, start + quote.seconds - boot
        for child in children[name]:
            waiting[child] -= 1
            if waiting[child] == 0:
                ready.append(child)
    return times


def _totals(
    table: Table, stages: dict[str, StagePlan], edges: list[EdgePlan]
) -> tuple[Amount, Amount]:
    """Money of everything, time along the longest way."""
    costs = [stage.cost.usd for stage in stages.values()]
    egress = dependent(edge.usd for edge in edges)
    saved = sum(
        option.boot_usd
        for number, option in enumerate(_options(table))
        if table.names[number] in table.warm
    )
    usd = independent([*costs, egress]).plus(-saved)
    if not stages:
        return usd, Amount.exact(0.0)
    into = defaultdict(list)
    for edge in edges:
        into[edge.target].append(edge)
    last = max(stages.values(), key=lambda stage: stage.end)
    parts = []
    at: str | None = last.stage
    while at is not None:
        parts.append(stages[at].cost.seconds)
        late = max(into[at], key=lambda e: stages[e.source].end + e.seconds.value, default=None)
        if late is not None:
            parts.append(late.seconds)
        at = late.source if late is not None else None
    whole = independent(parts)
    return usd, Amount(
        last.end,
        max(0.0, last.end - (whole.value - whole.low)),
        last.end + whole.high - whole.value,
    )


def _options(table: Table) -> list[Option]:
    picks = zip(table.problem.stages, table.solution.choice, strict=True)
    return [options[i] for options, i in picks]


class _Judge:
    """Says of each stage why the others lost."""

    def __init__(self, table: Table, minimize: str) -> None:
        self._table, self._time = table, minimize == "time"
        problem, solution = table.problem, table.solution
        self._spare_usd = (problem.budget or float("inf")) - solution.usd
        self._spare_s = (problem.deadline or float("inf")) - solution.seconds

    def stage(self, name: str, times: tuple[float, float], *, pinned: bool) -> StagePlan:
        table = self._table
        found, chosen = table.found[name], table.chosen[name]
        work = table.works.works[name]
        losers = sorted(
            (self._loser(name, other) for other in found.kept if other is not chosen),
            key=self._rank,
        )
        lost = Counter(loser.code for loser in losers)
        lost["beaten"] += len(found.beaten)
        kept = losers[:LOSERS_KEPT]
        kept += self._beaten(found, LOSERS_KEPT - len(kept))
        return StagePlan(
            stage=name,
            choice=chosen.match.choice,
            num_nodes=work.stage.nodes,
            points=work.points,
            cost=table.pricing.detail(work, chosen.offer),
            start=times[0],
            end=times[1],
            pinned=pinned,
            next_best=losers[0] if losers else next(iter(kept), None),
            losers=tuple(kept),
            lost=dict(+lost),
            excluded=dict(found.refused),
            nearest=tuple(found.nearest),
            alternatives=_alternatives(losers, found),
        )

    def _rank(self, loser: Loser) -> tuple[object, ...]:
        first = (loser.seconds, loser.usd) if self._time else (loser.usd, loser.seconds)
        offer = loser.choice.offer
        return loser.tier, loser.code == "late", *first, offer.infra, offer.instance_type

    def _loser(self, name: str, other: Candidate) -> Loser:
        table, chosen = self._table, self._table.chosen[name]
        here, there = table.place[name], Place.of(other.offer)
        own = other.quote.usd - chosen.quote.usd
        moved = table.moved(name, there) - table.moved(name, here)
        usd = own + moved
        seconds = other.quote.seconds - chosen.quote.seconds
        seconds += table.waited(name, there) - table.waited(name, here)
        tier = other.match.tier
        code, why = self._why(own, moved, seconds, tier - chosen.match.tier)
        return Loser(other.match.choice, tier, usd, seconds, code, why)

    def _why(self, own: float, moved: float, seconds: float, tier: int) -> tuple[str, str]:
        usd = own + moved
        if tier > 0:
            return "tier", "comes later in `ordered`"
        if usd > self._spare_usd:
            return "late", f"{usd:.2f} USD dearer, which the budget does not allow"
        if self._time and seconds > _TIE:
            return "slower", f"{seconds:.0f} s slower"
        if own < -_TIE and usd > _TIE:
            said = f"{-own:.2f} USD cheaper by itself, but moving data costs {moved:.2f} USD more"
            return "data", said
        if usd > _TIE:
            return "dearer", f"{usd:.2f} USD dearer"
        if seconds > self._spare_s:
            return "late", f"{seconds:.0f} s slower, which the deadline does not allow"
        if seconds > _TIE:
            return "slower", f"costs the same and is {seconds:.0f} s slower"
        return "equal", "costs the same; the plan as a whole is not better with it"

    def _beaten(self, found: Candidates, room: int) -> list[Loser]:
        if room <= 0:
            return []
        beaten = nsmallest(
            room, found.beaten, key=lambda p: (p[0].tier, p[0].offer.price, named(p[0].offer))
        )
        return [
            Loser(one.choice, one.tier, 0.0, 0.0, "beaten", _beaten_by(one, winner))
            for one, winner in beaten
        ]


def _beaten_by(one: Match, winner: Match) -> str:
    dearer = one.offer.price - winner.offer.price
    by = f"{winner.offer.instance_type} in the same place"
    if dearer > 0:
        return f"{dearer:.4g} USD/h dearer than {by}, and not faster"
    return f"not better than {by}"


def _alternatives(losers: list[Loser], found: Candidates) -> tuple[Choice, ...]:
    """Other offers that serve: those that count for the plan first, then the beaten ones."""
    beaten = nsmallest(
        BEATEN_KEPT, found.beaten, key=lambda p: (p[0].tier, p[0].offer.price, p[0].waste)
    )
    ranked = [(loser.tier, 0, loser.choice) for loser in losers]
    ranked += [(one.tier, 1, one.choice) for one, _ in beaten]
    ranked.sort(key=lambda entry: entry[:2])
    return tuple(choice for _, _, choice in ranked)
