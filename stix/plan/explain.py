"""From the solver's answer to a plan with its reasons: what each stage gets and why others lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import NamedTuple

from stix.plan.amount import Amount, dependent, independent
from stix.plan.candidates import Candidate, Candidates, Match
from stix.plan.costs import Pricing, Source, Work
from stix.plan.egress import Load, scope_of
from stix.plan.estimates import Estimate
from stix.plan.jointplan import (
    ALTERNATIVES_KEPT,
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
    def index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

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

    @cached_property
    def number(self) -> dict[str, int]:
        """The places of the stages, as the problem numbers them."""
        picks = zip(self.names, self.problem.stages, self.solution.choice, strict=True)
        return {name: options[option].location for name, options, option in picks}

    def surroundings(self, name: str) -> list[tuple[bool, Load, int]]:
        """The edges at a stage: (whether they leave it, what goes along, where the other is)."""
        return [
            (out, edge.load, self.number[edge.target if out else edge.source])
            for edge in self.around.get(name, ())
            for out in [edge.source == name]
        ]

    def moved(self, edges: Sequence[tuple[bool, Load, int]], here: int) -> tuple[float, float]:
        """USD of all edges at a stage were it here, and seconds until its last input came."""
        rates, ways = self.problem.movement.rates, self.problem.movement.ways
        if not ways:
            return 0.0, 0.0
        usd = seconds = 0.0
        for out, load, other in edges:
            rate = rates[ways[here][other] if out else ways[other][here]]
            usd += rate.usd_for(load)
            if not out:
                seconds = max(seconds, rate.seconds_for(load))
        return usd, seconds


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
    src = table.pricing.landing.of(table.place[edge.source])
    dst = table.place[edge.target]
    gb = edge.each.amount.times(edge.points)
    return _moved(table.pricing, (edge.source, edge.target), (src, dst), edge.each, gb, edge.waves)


def _read(table: Table, name: str, work: Work, source: Source) -> EdgePlan:
    dst = table.place[name]
    pricing = table.pricing
    src = pricing.nearest(source.places, dst)
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


class _Loss(NamedTuple):
    """How much worse the plan would be with another offer: all of it, and the stage by itself."""

    other: Candidate
    usd: float
    seconds: float
    own: float
    code: str


class _Judge:
    """Says of each stage why the others lost."""

    def __init__(self, table: Table, minimize: str) -> None:
        self._table, self._time = table, minimize == "time"
        problem, solution = table.problem, table.solution
        self._spare_usd = (problem.budget or inf) - solution.usd
        self._spare_s = (problem.deadline or inf) - solution.seconds
        self._known: dict[tuple[object, ...], _Verdict] = {}

    def stage(self, name: str, times: tuple[float, float], *, pinned: bool) -> StagePlan:
        table = self._table
        found, chosen = table.found[name], table.chosen[name]
        work = table.works.works[name]
        edges = table.surroundings(name)
        key = id(found.kept), id(chosen), tuple(edges)
        verdict = self._known.get(key)
        if verdict is None:  # stages of a wide pipeline are often in the same situation
            verdict = self._known[key] = self._verdict(name, edges)
        return StagePlan(
            stage=name,
            choice=chosen.match.choice,
            num_nodes=work.stage.nodes,
            points=work.points,
            cost=table.pricing.detail(work, chosen.offer),
            start=times[0],
            end=times[1],
            pinned=pinned,
            next_best=next(iter(verdict.losers), None),
            losers=verdict.losers,
            lost=verdict.lost,
            excluded=dict(found.refused),
            nearest=tuple(found.nearest),
            alternatives=verdict.alternatives,
        )

    def _verdict(self, name: str, edges: Sequence[tuple[bool, Load, int]]) -> _Verdict:
        found = self._table.found[name]
        losses = sorted(self._losses(name, edges), key=self._rank)
        lost = Counter(loss.code for loss in losses)
        lost["beaten"] += sum(len(beaten.pairs) for beaten in found.beaten)
        beaten = [pair for part in found.beaten for pair in part.first]
        beaten.sort(key=lambda pair: (pair[0].tier, named(pair[0].offer)))
        losers = [self._loser(loss) for loss in losses[:LOSERS_KEPT]]
        losers += [
            Loser(one.choice, one.tier, 0.0, 0.0, "beaten", _beaten_by(one, winner))
            for one, winner in beaten[: LOSERS_KEPT - len(losers)]
        ]
        ranked = [(loss.other.match, 0) for loss in losses]
        ranked += [(one, 1) for one, _ in beaten]
        ranked.sort(key=lambda entry: (entry[0].tier, entry[1]))
        others = _kept([match.choice for match, _ in ranked])
        return _Verdict(tuple(losers), dict(+lost), others)

    def _losses(self, name: str, edges: Sequence[tuple[bool, Load, int]]) -> Iterable[_Loss]:
        table, chosen = self._table, self._table.chosen[name]
        moves: dict[int, tuple[float, float]] = {}
        here = table.moved(edges, table.number[name])
        options = table.problem.stages[table.index[name]]
        for other, option in zip(table.found[name].kept, options, strict=True):
            if other is chosen:
                continue
            at = option.location
            if at not in moves:
                moves[at] = table.moved(edges, at)
            own = other.quote.usd - chosen.quote.usd
            usd = own + moves[at][0] - here[0]
            seconds = other.quote.seconds - chosen.quote.seconds + moves[at][1] - here[1]
            tier = other.match.tier - chosen.match.tier
            yield _Loss(other, usd, seconds, own, self._code(own, usd, seconds, tier))

    def _rank(self, loss: _Loss) -> tuple[object, ...]:
        first = (loss.seconds, loss.usd) if self._time else (loss.usd, loss.seconds)
        return loss.other.match.tier, loss.code == "late", *first, named(loss.other.offer)

    def _code(self, own: float, usd: float, seconds: float, tier: int) -> str:
        if tier > 0:
            return "tier"
        if usd > self._spare_usd:
            return "late"
        if self._time and seconds > _TIE:
            return "slower"
        if usd > _TIE:
            return "data" if own < -_TIE else "dearer"
        if seconds > self._spare_s:
            return "late"
        return "slower" if seconds > _TIE else "equal"

    def _loser(self, loss: _Loss) -> Loser:
        match = loss.other.match
        return Loser(match.choice, match.tier, loss.usd, loss.seconds, loss.code, self._words(loss))

    def _words(self, loss: _Loss) -> str:
        usd, seconds = f"{loss.usd:.2f} USD", f"{loss.seconds:.0f} s"
        if loss.code == "late":
            if loss.usd > self._spare_usd:
                return f"{usd} dearer, which the budget does not allow"
            return f"{seconds} slower, which the deadline does not allow"
        if loss.code == "data":
            more = f"moving data costs {loss.usd - loss.own:.2f} USD more"
            return f"{-loss.own:.2f} USD cheaper by itself, but {more}"
        if loss.code == "slower":
            return f"{seconds} slower" if self._time else f"costs the same and is {seconds} slower"
        words = {
            "tier": "comes later in `ordered`",
            "dearer": f"{usd} dearer",
            "equal": "costs the same; the plan as a whole is not better with it",
        }
        return words[loss.code]


def _kept(ranked: Sequence[Choice]) -> tuple[Choice, ...]:
    """The best, and of each other cloud its best: a cloud as a whole may refuse."""
    kept = list(ranked[:ALTERNATIVES_KEPT])
    clouds = {choice.offer.cloud for choice in kept}
    for choice in ranked[ALTERNATIVES_KEPT:]:
        if choice.offer.cloud not in clouds:
            clouds.add(choice.offer.cloud)
            kept.append(choice)
    return tuple(kept)


class _Verdict(NamedTuple):
    """What is said of the losers of a stage."""

    losers: tuple[Loser, ...]
    lost: dict[str, int]
    alternatives: tuple[Choice, ...]


def _beaten_by(one: Match, winner: Match) -> str:
    dearer = one.offer.price - winner.offer.price
    by = f"{winner.offer.instance_type} in the same place"
    if dearer > 0:
        return f"{dearer:.4g} USD/h dearer than {by}, and not faster"
    return f"not better than {by}"
