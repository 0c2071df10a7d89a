"""A problem in integers, with only the options that can be part of a best plan.

Money in nano-dollars and time in microseconds add up exactly, so that equal plans are equal and the
answer does not hang on the order of a sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stix.plan.solve.problem import Infeasible, Option, Problem

USD = 10**9
SECOND = 10**6
Table = list[list[int]]
Edge = tuple[int, int]


class State(NamedTuple):
    """What a stage may be in: an option, whose cluster it takes over and who inherits its own."""

    option: int
    usd: int
    seconds: int
    place: int
    key: int = -1
    take: int = -1
    heir: int = -1


@dataclass
class Model:
    """Variables with states; costs of states and of pairs of states.

    The first variables are the stages. One more per group stands for its area; it has no time.

    Attributes:
        states: Of each variable.
        usd: Pairs of variables to what two states cost together; ``big`` where they exclude
            each other.
        seconds: Every edge of the DAG, with the time of the movement; None where there is none.
        big: More than any plan costs.
    """

    states: list[list[State]]
    stages: int
    usd: dict[Edge, Table] = field(default_factory=dict)
    seconds: dict[Edge, Table | None] = field(default_factory=dict)
    big: int = 0


def nano(usd: float) -> int:
    return round(usd * USD)


def micro(seconds: float) -> int:
    return round(seconds * SECOND)


def options_left(problem: Problem) -> list[list[int]]:
    """Positions of the options that pins and groups leave to each stage.

    Raises:
        Infeasible: a stage has none, or a group has no area in common.
    """
    left = [list(range(len(options))) for options in problem.stages]
    for stage, option in problem.pinned.items():
        left[stage] = [option]
    for stage, kept in enumerate(left):
        if not kept:
            raise Infeasible(f"stage {stage} has no option", stages=(stage,))
    for group in groups(problem):
        common = set.intersection(*({area(problem, s, o) for o in left[s]} for s in group))
        if not common:
            raise Infeasible(
                f"stages {', '.join(map(str, group))} have no place in common", stages=tuple(group)
            )
        for stage in group:
            left[stage] = [o for o in left[stage] if area(problem, stage, o) in common]
    return left


def area(problem: Problem, stage: int, option: int) -> int:
    """Where an option is, as far as groups mind."""
    location = problem.stages[stage][option].location
    return problem.areas[location] if problem.areas else location


def groups(problem: Problem) -> list[list[int]]:
    """Groups that share no stage: where two overlap they are one."""
    merged: list[set[int]] = []
    for group in problem.together:
        members = set(group)
        for other in [other for other in merged if other & members]:
            members |= other
            merged.remove(other)
        merged.append(members)
    return sorted(sorted(group) for group in merged if len(group) > 1)


def build(problem: Problem, left: Sequence[Sequence[int]], timed: bool) -> Model:
    """The model of the options in ``left``; without ``timed`` only the cheapest ones matter."""
    places = _places(problem, left)
    grouped = {stage: number for number, group in enumerate(groups(problem)) for stage in group}
    moving = {stage for f in problem.flows if f.gib > 0 for stage in (f.source, f.target)}
    reuses = _Reuses(problem, left)
    linked = {stage for r in problem.reuse for stage in (r.source, r.target)}
    simple: dict[tuple[object, ...], list[State]] = {}  # equal stages are common
    states = []
    for stage, kept in enumerate(left):
        look = _Look(places, stage in moving, problem, stage in grouped)
        if stage in linked:
            found = reuses.of(stage)
            kinds = [look.kind(problem.stages[stage][s.option]) for s in found]
            states.append(_undominated(found, kinds, problem, stage, timed))
            continue
        name = (id(problem.stages[stage]), stage in moving, stage in grouped, tuple(kept))
        if name not in simple:
            simple[name] = _simple(problem.stages[stage], kept, look, timed)
        states.append(simple[name])
    model = Model(states, len(states))
    _movement(problem, model, places)
    highest = sum(max(s.usd for s in found) for found in states)
    highest += sum(max(map(max, table)) for table in model.usd.values())
    model.big = 2 * highest + USD
    _exclude(problem, model)
    _areas(problem, model)
    return model


@dataclass(frozen=True)
class _Look:
    """What others see of an option: where data goes, and the area where a group minds."""

    places: dict[int, int]
    moving: bool
    problem: Problem
    grouped: bool

    def kind(self, option: Option) -> tuple[int, int]:
        place = self.places[option.location] if self.moving else -1
        if not self.grouped:
            return place, -1
        areas = self.problem.areas
        return place, areas[option.location] if areas else option.location


def _simple(
    options: Sequence[Option], kept: Sequence[int], look: _Look, timed: bool
) -> list[State]:
    """The undominated states of a stage whose cluster is not handed on."""
    best: dict[tuple[int, int], list[tuple[float, float, int]]] = {}
    for number in kept:
        option = options[number]
        kind = look.kind(option)
        entry = option.usd, option.seconds, number
        there = best.get(kind)
        if there is None:
            best[kind] = [entry]
        elif timed:
            there.append(entry)
        elif entry < there[0]:
            there[0] = entry
    found = []
    for entries in best.values():
        least: float | None = None
        for usd, seconds, number in sorted(entries):
            if least is None or seconds < least:
                least = seconds
                found.append(State(number, nano(usd), micro(seconds), options[number].location))
    return sorted(found)


def _places(problem: Problem, left: Sequence[Sequence[int]]) -> dict[int, int]:
    """Each place to the first one from and to which all movement costs the same."""
    pairs = zip(problem.stages, left, strict=True)
    used = sorted({options[o].location for options, kept in pairs for o in kept})
    ways = problem.movement.ways
    if not ways:
        return dict.fromkeys(used, 0)
    first: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
    rows = {a: tuple(ways[a][b] for b in used) for a in used}
    columns = dict(zip(used, zip(*rows.values(), strict=True), strict=True))
    return {a: first.setdefault((rows[a], columns[a]), a) for a in used}


class _Reuses:
    """States that say who hands a cluster to whom."""

    def __init__(self, problem: Problem, left: Sequence[Sequence[int]]) -> None:
        self._problem, self._left = problem, left
        self._keys = [{problem.stages[s][o].key for o in kept} for s, kept in enumerate(left)]
        self._numbers: dict[object, int] = {}
        self._sources: dict[int, list[int]] = defaultdict(list)
        self._targets: dict[int, list[int]] = defaultdict(list)
        for source, target in sorted({(r.source, r.target) for r in problem.reuse}):
            self._sources[target].append(source)
            self._targets[source].append(target)

    def of(self, stage: int) -> list[State]:
        return [state for option in self._left[stage] for state in self._of(stage, option)]

    def _of(self, stage: int, number: int) -> list[State]:
        option: Option = self._problem.stages[stage][number]
        usd, seconds = nano(option.usd), micro(option.seconds)
        plain = State(number, usd, seconds, option.location)
        if option.key is None:
            return [plain]
        heirs = [t for t in self._targets[stage] if option.key in self._keys[t]] or [-1]
        takes = [s for s in self._sources[stage] if option.key in self._keys[s]]
        if heirs == [-1] and not takes:
            return [plain]
        key = self._numbers.setdefault(option.key, len(self._numbers))
        warm = usd - nano(option.boot_usd), seconds - micro(option.boot_seconds)
        found = []
        for heir in heirs:
            found.append(plain._replace(key=key, heir=heir))
            for take in takes:
                found.append(State(number, *warm, option.location, key, take, heir))
        return found


def _undominated(
    states: list[State],
    kinds: list[tuple[int, int]],
    problem: Problem,
    stage: int,
    timed: bool,
) -> list[State]:
    """Of states that look alike from outside, those that no other beats in money and time.

    Who takes over or hands on a cluster looks like itself only; a state that does neither can
    beat any other of its place by more money than handing on could save. Not so with time: what
    an heir saves counts even where the one who hands on is not the last it waits for.
    """
    saved = _savings(problem, stage)
    best: dict[tuple[int, int], list[State]] = defaultdict(list)
    kept: list[tuple[int, State]] = []
    order = sorted(range(len(states)), key=lambda i: (states[i].usd, states[i].seconds, i))
    for i in order:  # those that ask nothing of others, the cheapest first
        state = states[i]
        if state.take == -1:
            best[kinds[i]].append(state)
    seen: dict[tuple[object, ...], list[State]] = defaultdict(list)
    for i in order:
        state = states[i]
        link = (kinds[i], state.key if state.take != -1 or state.heir != -1 else -1)
        alike = seen[(*link, state.take, state.heir)]
        key = problem.stages[stage][state.option].key
        usd, seconds = saved.get(key, (0, 0)) if state.heir != -1 else (0, 0)
        if any(not timed or a.seconds <= state.seconds for a in alike):
            continue
        if any(
            b is not state
            and b.usd + usd < state.usd
            and (not timed or (seconds == 0 and b.seconds <= state.seconds))
            for b in best[kinds[i]]
        ):
            continue
        alike.append(state)
        kept.append((i, state))
    return [state for _, state in sorted(kept)]


def _savings(problem: Problem, stage: int) -> dict[object, tuple[int, int]]:
    """Key to the most (money, time) that any heir of a cluster of this stage saves."""
    most: dict[object, tuple[int, int]] = {}
    for reuse in problem.reuse:
        if reuse.source == stage:
            for option in problem.stages[reuse.target]:
                usd, seconds = most.get(option.key, (0, 0))
                saved = nano(option.boot_usd), micro(option.boot_seconds)
                most[option.key] = max(usd, saved[0]), max(seconds, saved[1])
    return most


def _movement(problem: Problem, model: Model, places: dict[int, int]) -> None:
    tables: dict[object, tuple[Table, Table]] = {}
    rows = [tuple(places[state.place] for state in found) for found in model.states]
    names = {row: number for number, row in enumerate(dict.fromkeys(rows))}
    for flow in problem.flows:
        edge = flow.source, flow.target
        model.seconds.setdefault(edge, None)
        if flow.gib <= 0 or not problem.movement.ways:
            continue
        above, below = rows[flow.source], rows[flow.target]
        known = (flow.gib, names[above], names[below])
        if known not in tables:
            tables[known] = _moves(problem, flow.gib, above, below)
        usd, seconds = tables[known]
        if any(map(any, usd)):
            model.usd[edge] = add(model.usd[edge], usd) if edge in model.usd else usd
        if any(map(any, seconds)):
            there = model.seconds[edge]
            model.seconds[edge] = _later(there, seconds) if there else seconds


def _moves(
    problem: Problem, gib: float, above: Sequence[int], below: Sequence[int]
) -> tuple[Table, Table]:
    usd = [nano(rate.usd_for(gib)) for rate in problem.movement.rates]
    seconds = [micro(rate.seconds_for(gib)) for rate in problem.movement.rates]
    ways = problem.movement.ways
    used = [[ways[a][b] for b in below] for a in above]
    return [[usd[way] for way in row] for row in used], [[seconds[w] for w in row] for row in used]


def add(one: Table, other: Table) -> Table:
    """Cost by cost."""
    pairs = zip(one, other, strict=True)
    return [[a + b for a, b in zip(left, right, strict=True)] for left, right in pairs]


def _later(one: Table, other: Table) -> Table:
    pairs = zip(one, other, strict=True)
    return [[max(a, b) for a, b in zip(left, right, strict=True)] for left, right in pairs]


def _exclude(problem: Problem, model: Model) -> None:
    """A cluster is taken over only from whom it is handed on by, and only the same machine."""
    for source, target in sorted({(r.source, r.target) for r in problem.reuse}):
        above, below = model.states[source], model.states[target]
        if all(state.take != source for state in below):
            continue
        rules = [
            [
                model.big if b.take == source and (a.heir != target or a.key != b.key) else 0
                for b in below
            ]
            for a in above
        ]
        edge = source, target
        model.usd[edge] = add(model.usd[edge], rules) if edge in model.usd else rules
        model.seconds.setdefault(edge, None)


def _areas(problem: Problem, model: Model) -> None:
    """A variable per group, its area, which excludes all states elsewhere."""
    for group in groups(problem):
        found = {s: [area(problem, s, state.option) for state in model.states[s]] for s in group}
        common = sorted(set.intersection(*map(set, found.values())))
        for stage in group:
            rules = [[0 if here == a else model.big for here in found[stage]] for a in common]
            model.usd[len(model.states), stage] = rules
        model.states.append([State(0, 0, 0, a) for a in common])
