"""Plans by money and time: partial plans side by side, of which the beaten ones are dropped.

Exact while no partial plan is dropped for want of room; otherwise the best bound of those dropped
says how far off the answer can be.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from stix.plan.solve.model import Model, Table
from stix.plan.solve.narrow import Guide
from stix.plan.solve.steps import Links, Step, Timing, plan_steps, topological


class Label(NamedTuple):
    """A partial plan: states and times of the front, money and end so far."""

    usd: int
    span: int
    times: tuple[int, ...]
    front: tuple[int, ...]
    state: int
    before: Label | None
    priced: int


@dataclass(frozen=True)
class Ask:
    """What to look for.

    Attributes:
        by_time: Time first, then money; else money first.
        most_usd: No plan above it, nano-dollars.
        most_span: No plan above it, microseconds.
        front: All plans that no other beats, instead of the best one.
        labels: Partial plans to keep per step.
    """

    by_time: bool = False
    most_usd: float = inf
    most_span: float = inf
    front: bool = False
    labels: int = 4_000


@dataclass(frozen=True)
class Found:
    """Plans as (usd, span, positions of the states), the best first.

    Attributes:
        bound: Nothing better than this was dropped, in what comes first.
    """

    plans: list[tuple[int, int, list[int]]]
    bound: float
    explored: int


class Sweep:
    """Decides one variable after the other; may be asked several times."""

    def __init__(self, model: Model, guide: Guide | None = None) -> None:
        self._model = model
        self._guide = guide or Guide(model, 0)
        shared = {**model.usd, **self._guide.model.usd}
        self._steps = plan_steps(model, shared)
        self._links = Links.of(model, shared)
        self._partners = self._links.partners
        self._pairs: dict[tuple[int, int], Table] = {}
        self._moves: dict[tuple[int, int], Table | None] = {}
        for (u, v), table in model.usd.items():
            self._pairs[u, v] = table
            self._pairs[v, u] = [list(column) for column in zip(*table, strict=True)]
        self._priced = dict(self._pairs)
        if guide:
            for (u, v), table in guide.model.usd.items():
                self._priced[u, v] = table
                self._priced[v, u] = [list(column) for column in zip(*table, strict=True)]
        self._prices = [[state.usd for state in found] for found in self._guide.model.states]
        for (u, v), times in model.seconds.items():
            self._moves[u, v] = times
        self._heads()
        self._tails()
        self._rest()

    @property
    def least_span(self) -> int:
        """No plan ends before."""
        parts = zip(self._model.states, self._ready, self._tail, strict=True)
        return max(
            min(s.seconds + r + t for s, r, t in zip(found, ready, tail, strict=True))
            for found, ready, tail in parts
        )

    def ask(self, ask: Ask) -> Found:
        """Go through all steps once."""
        labels = [Label(0, 0, (), (), -1, None, 0)]
        explored, dropped = 0, inf
        for number, step in enumerate(self._steps):
            extended = self._extend(labels, step, number, ask)
            explored += len(extended)
            kept = _unbeaten(extended)
            if len(kept) > ask.labels:
                kept.sort(key=lambda entry: entry[0])
                first = 1 if ask.by_time else 0
                dropped = min(dropped, *(entry[0][first and 0] for entry in kept[ask.labels :]))
                kept = kept[: ask.labels]
            labels = [label for _, label in kept]
        order = (lambda p: (p[1], p[0])) if ask.by_time else (lambda p: (p[0], p[1]))
        plans = sorted(((x.usd, x.span, self._plan(x)) for x in labels), key=order)
        return Found(plans, dropped, explored)

    def _plan(self, label: Label) -> list[int]:
        plan = [0] * len(self._model.states)
        walk: Label | None = label
        for step in reversed(self._steps):
            assert walk is not None
            plan[step.variable] = walk.state
            walk = walk.before
        return plan

    def _extend(
        self, labels: list[Label], step: Step, number: int, ask: Ask
    ) -> list[tuple[tuple[float, float], Label]]:
        """All decisions of one step, with the least they can come to."""
        v, big, states = step.variable, self._model.big, self._model.states[step.variable]
        costs = [(i, self._pairs[w, v]) for i, w in step.costs if (w, v) in self._pairs]
        waits = [(i, self._moves[w, v]) for i, w in step.waits]
        later_usd = self._rests[number]
        priced = [(i, self._priced[w, v]) for i, w in step.costs]
        due = self._guide.due(ask.most_span)
        prices = self._prices[v]
        found: list[tuple[tuple[float, float], Label]] = []
        for label in labels:
            front, times = label.front, label.times
            rows = [table[front[i]] for i, table in costs]
            paid = [table[front[i]] for i, table in priced]
            moves = [(times[i], table[front[i]] if table else None) for i, table in waits]
            for s, state in enumerate(states):
                usd = label.usd + state.usd + sum([row[s] for row in rows])
                if usd >= big or usd > ask.most_usd:
                    continue
                ready = max([end + row[s] if row else end for end, row in moves], default=0)
                here, now, span = (*front, s), [*times, ready], label.span
                for timing in step.timings:
                    span = self._time(timing, here, now, span)
                kept = tuple([here[i] for i in step.keep])
                after = tuple([now[i] for i in step.keep])
                price = label.priced + prices[s] + sum([row[s] for row in paid])
                low = price + later_usd[0] - due
                for position, rest in enumerate(later_usd[1]):
                    low += rest[kept[position]]
                if low > ask.most_usd:
                    continue
                end = self._end(step, kept, after, span)
                if end > ask.most_span:
                    continue
                one = Label(usd, span, after, kept, s, label, price)
                found.append(((end, low) if ask.by_time else (low, end), one))
        return found

    def _time(self, timing: Timing, here: tuple[int, ...], now: list[int], span: int) -> int:
        w = timing.variable
        mine = here[timing.stage]
        now[timing.stage] += self._model.states[w][mine].seconds
        end = now[timing.stage]
        for position, c in timing.pushes:
            table = self._moves[w, c]
            at = end + table[mine][here[position]] if table else end
            if at > now[position]:
                now[position] = at
        return max(span, end) if timing.last else span

    def _end(self, step: Step, kept: tuple[int, ...], after: tuple[int, ...], span: int) -> int:
        """No completion ends before."""
        end = span
        for i, v in enumerate(step.front):
            s = kept[i]
            if step.timed[i]:
                at = after[i] + self._tail[v][s]
            else:
                ready = max(after[i], self._ready[v][s])
                at = ready + self._model.states[v][s].seconds + self._tail[v][s]
            end = max(end, at)
        return end

    def _heads(self) -> None:
        """For each state, when its inputs are there at the earliest."""
        states = self._model.states
        self._ready = [[0] * len(found) for found in states]
        for v in topological(self._links):
            for p in self._links.parents[v]:
                ends = [r + s.seconds for r, s in zip(self._ready[p], states[p], strict=True)]
                table = self._moves[p, v]
                for s in range(len(states[v])):
                    at = (
                        min(end + row[s] for end, row in zip(ends, table, strict=True))
                        if table
                        else min(ends)
                    )
                    self._ready[v][s] = max(self._ready[v][s], at)

    def _tails(self) -> None:
        """For each state, how long it takes at least from its end to the end of all."""
        states = self._model.states
        self._tail = [[0] * len(found) for found in states]
        for v in reversed(topological(self._links)):
            for c in self._links.children[v]:
                rest = [t + s.seconds for t, s in zip(self._tail[c], states[c], strict=True)]
                table = self._moves[v, c]
                for s in range(len(states[v])):
                    at = min(map(sum, zip(rest, table[s], strict=True))) if table else min(rest)
                    self._tail[v][s] = max(self._tail[v][s], at)

    def _rest(self) -> None:
        """After each step, the least that what is still open costs: a constant and, for each
        variable of the front, a part by its state.

        Each open variable, last first, gives its costs to those decided before it that it shares
        a cost with, in the proportion of how much these costs vary.
        """
        place = {step.variable: i for i, step in enumerate(self._steps)}
        extra = [[0] * len(found) for found in self._prices]
        constant = 0
        self._rests: list[tuple[int, list[list[int]]]] = []
        for number in range(len(self._steps) - 1, -1, -1):
            step = self._steps[number]
            self._rests.append((constant, [list(extra[w]) for w in step.front]))
            v = step.variable
            own = [s + e for s, e in zip(self._prices[v], extra[v], strict=True)]
            earlier = [w for w in self._partners[v] if place[w] < number]
            if not earlier:
                constant += min(own)
                continue
            weights = [max(map(max, self._priced[w, v])) for w in earlier]
            whole = sum(weights) or 1
            left = list(own)
            for w, weight in zip(earlier, weights, strict=True):
                share = left if w == earlier[-1] else [cost * weight // whole for cost in own]
                if share is not left:
                    left = [a - b for a, b in zip(left, share, strict=True)]
                for s, row in enumerate(self._priced[w, v]):
                    extra[w][s] += min(map(sum, zip(row, share, strict=True)))
        self._rests.reverse()


def _unbeaten(
    found: list[tuple[tuple[float, float], Label]],
) -> list[tuple[tuple[float, float], Label]]:
    """Of labels with the same front, those that none beats in money, end and all times."""
    alike: dict[tuple[int, ...], list[tuple[tuple[float, float], Label]]] = defaultdict(list)
    for entry in found:
        alike[entry[1].front].append(entry)
    kept = []
    for entries in alike.values():
        if len(entries) > 1:
            entries.sort(key=lambda entry: entry[1][:3])
            entries = _minimal(entries)
        kept += entries
    return kept


def _minimal(
    entries: list[tuple[tuple[float, float], Label]],
) -> list[tuple[tuple[float, float], Label]]:
    """Sorted by money: an entry is beaten only by one before it."""
    if len(entries[0][1].times) <= 1 and not any(entry[1].span for entry in entries):
        least, kept = inf, []
        for entry in entries:
            at = entry[1].times[0] if entry[1].times else 0
            if at < least:
                least = at
                kept.append(entry)
        return kept
    kept = []
    for entry in entries:
        mine = (entry[1].span, *entry[1].times)
        for other in kept:
            label = other[1]
            if label.span <= mine[0] and all(
                a <= b for a, b in zip(label.times, mine[1:], strict=True)
            ):
                break
        else:
            kept.append(entry)
    return kept
