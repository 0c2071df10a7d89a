"""The plan that is best for the whole DAG, with a proof or the gap to one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import fsum, inf

from stix.plan.solve.additive import Cheapest, cheapest
from stix.plan.solve.check import check
from stix.plan.solve.labels import Ask, Found, Sweep
from stix.plan.solve.lagrange import Priced, money, priced, span
from stix.plan.solve.model import SECOND, USD, Model, build, micro, nano
from stix.plan.solve.narrow import narrowed
from stix.plan.solve.problem import (
    Infeasible,
    Limits,
    Minimize,
    Movement,
    Moving,
    Option,
    Problem,
    Solution,
)
from stix.plan.solve.tiers import Left, preferred

DEFAULT = Limits()


def solve(problem: Problem, limits: Limits = DEFAULT) -> Solution:
    """The best plan.

    Raises:
        Infeasible: nothing meets what is asked.
        ValueError: the problem itself is wrong (a circle, a number that names nothing).
    """
    check(problem)
    return _Solver(problem, limits).solve()


def pareto(problem: Problem, limits: Limits = DEFAULT) -> list[Solution]:
    """Every plan that no other beats in both money and time, the cheapest first.

    Of plans with equal money and time one is given. Where room for partial plans ran out (``gap``
    is infinite then), the list may lack some.

    Raises:
        Infeasible: as in `solve`.
        ValueError: as in `solve`.
    """
    check(problem)
    return _Solver(problem, limits).front()


class _Solver:
    def __init__(self, problem: Problem, limits: Limits) -> None:
        self._problem, self._limits = problem, limits
        self._room = len(problem.stages) + len(problem.flows)  # all roundings together
        self._deadline = inf if problem.deadline is None else micro(problem.deadline) + self._room
        self._budget = inf if problem.budget is None else nano(problem.budget) + self._room
        self._explored = 0

    def solve(self) -> Solution:
        left = preferred(self._problem, self._possible)
        cheap = self._cheapest(left) if self._needs_money() else None
        if cheap is not None and self._budget < inf:
            self._refuse_budget(*cheap)
        if self._problem.minimize is Minimize.USD:
            assert cheap is not None
            model, answer = cheap
            if self._deadline == inf or span(model, answer.plan)[0] <= self._deadline:
                method = "branch and bound" if answer.branched else "elimination"
                return self._solution(self._plan(model, answer.plan), answer.bound / USD, method)
            return self._in_time(left, answer)
        return self._fastest_plan(left)

    def front(self) -> list[Solution]:
        left = preferred(self._problem, self._possible)
        if self._budget < inf:
            self._refuse_budget(*self._cheapest(left))
        model = build(self._problem, left, timed=True)
        ask = Ask(
            most_usd=self._budget, most_span=self._deadline, front=True, labels=self._limits.labels
        )
        found = self._ask(Sweep(model), ask)
        if not found.plans:
            raise self._late(left)
        partial = found.bound < inf
        return [
            replace(self._solution(self._plan(model, plan), usd / USD), gap=inf if partial else 0.0)
            for usd, _, plan in found.plans
        ]

    def _needs_money(self) -> bool:
        return self._problem.minimize is Minimize.USD or self._budget < inf

    def _cheapest(self, left: Left) -> tuple[Model, Cheapest]:
        model = build(self._problem, left, timed=False)
        answer = cheapest(model, self._limits)
        self._explored += answer.explored
        return model, answer

    def _ask(self, sweep: Sweep, ask: Ask) -> Found:
        found = sweep.ask(ask)
        self._explored += found.explored
        return found

    def _in_time(self, left: Left, least: Cheapest) -> Solution:
        """The cheapest plan under a deadline that the cheapest of all misses."""
        model = build(self._problem, left, timed=True)
        if Sweep(model).least_span > self._deadline:
            raise self._late(left)
        guess = priced(model, int(self._deadline), self._limits)
        start: _Plan | None
        if guess.plan is not None:
            start = self._plan(model, guess.plan)
        else:
            end, fastest, _ = self._fastest(left)
            if end > self._deadline:
                raise self._late(left)
            start = fastest
        if start.usd > self._budget:
            start = None
        found = self._cheapest_by(model, self._deadline, guess, start)
        if found is None:
            raise self._both(left)
        best, bound = found
        return self._solution(best, max(least.bound, bound) / USD)

    def _cheapest_by(
        self, model: Model, deadline: float, guess: Priced, best: _Plan | None
    ) -> tuple[_Plan, float] | None:
        """The cheapest plan that ends in time, and its bound; ``best`` is one, if known."""
        bound: float = guess.bound
        if best is not None and best.usd - bound <= _NEAR:
            return best, bound
        most = self._budget if best is None else best.usd + self._room
        slim, guide = (
            narrowed(model, guess.guide, most, deadline) if most < inf else (model, guess.guide)
        )
        sweep = Sweep(slim, guide)
        for room in _rooms(_FEW, self._limits.labels):
            if best is not None and room > self._limits.labels:
                break
            most = self._budget if best is None else best.usd + self._room
            found = self._ask(sweep, Ask(False, most, deadline, labels=room))
            if found.plans and (best is None or found.plans[0][:2] < (best.usd, best.end)):
                best = self._plan(slim, found.plans[0][2])
            if found.bound == inf:
                return (best, best.usd) if best else None
            bound = max(bound, found.bound)
            if best is not None and best.usd - bound <= _NEAR:
                break
        return (best, min(bound, best.usd)) if best else None

    def _fastest_plan(self, left: Left) -> Solution:
        end, best, low = self._fastest(left)
        model = build(self._problem, left, timed=True)
        if end <= self._deadline:
            guess = priced(model, end, self._limits)
            if guess.plan is not None and guess.usd is not None and guess.usd < best.usd:
                best = self._plan(model, guess.plan)
            found = self._cheapest_by(model, end, guess, best if best.usd <= self._budget else None)
            if found is not None:
                return self._solution(found[0], low / SECOND)
        if self._budget == inf:
            raise self._late(left)
        best, low = self._fastest_within(left, model, low)
        if best.end > self._deadline:
            raise self._both(left)
        return self._solution(best, low / SECOND)

    def _fastest_within(self, left: Left, model: Model, low: float) -> tuple[_Plan, float]:
        """The fastest plan that the budget pays for, where the fastest of all is too dear."""
        budget = self._budget
        cheap = self._cheapest(left)
        best = self._plan(cheap[0], cheap[1].plan)
        guess = priced(model, best.end, self._limits)
        floor = low
        for _ in range(_HALVINGS):
            middle = int(floor + best.end) // 2
            if best.end - floor <= best.end // 500:
                break
            found = priced(model, middle, self._limits)
            if found.plan is not None and found.usd is not None and found.usd <= budget:
                best, guess = self._plan(model, found.plan), found
            else:
                floor = middle
                guess = found
                if found.bound > budget:
                    low = middle
        slim, guide = narrowed(model, guess.guide, budget, best.end + self._room)
        sweep = Sweep(slim, guide)
        for room in sorted({min(_FEW, self._limits.labels), self._limits.labels}):
            answer = self._ask(sweep, Ask(True, budget, best.end + self._room, labels=room))
            if answer.plans and answer.plans[0][1::-1] < (best.end, best.usd):
                best = self._plan(slim, answer.plans[0][2])
            if answer.bound == inf:
                return best, best.end
            low = max(low, answer.bound)
            if low >= best.end:
                break
        return best, min(low, best.end)

    def _fastest(self, left: Left) -> tuple[int, _Plan, float]:
        """The least time whatever it costs: its end, its plan, and the bound of the end."""
        free = _without_money(self._problem)
        model = build(free, left, timed=True)
        sweep = Sweep(model)
        low: float = sweep.least_span
        best: tuple[int, list[int]] | None = None
        for room in _rooms(1, self._limits.labels):
            if best is not None and room > self._limits.labels:
                break
            most = inf if best is None else best[0]
            found = self._ask(sweep, Ask(True, most_span=most, labels=room))
            if found.plans and (best is None or found.plans[0][1] < best[0]):
                best = found.plans[0][1:]
            if best is None:
                continue
            low = max(low, min(best[0], found.bound))
            if low >= best[0]:
                break
        assert best is not None
        return best[0], self._plan(model, best[1]), low

    def _plan(self, model: Model, positions: Sequence[int]) -> _Plan:
        states = [found[i] for found, i in zip(model.states, positions, strict=True)]
        choice = tuple(state.option for state in states[: model.stages])
        warm = tuple((s.take, v) for v, s in enumerate(states[: model.stages]) if s.take >= 0)
        usd, seconds = evaluate(self._problem, choice, warm)
        return _Plan(choice, warm, nano(usd), micro(seconds))

    def _possible(self, left: Left) -> bool:
        """Whether deadline and budget can be met with these options."""
        if self._budget < inf:
            model, answer = self._cheapest(left)
            if money(model, answer.plan) > self._budget:
                return False
            if span(model, answer.plan)[0] <= self._deadline:
                return True
        end, fastest, _ = self._fastest(left)
        if end > self._deadline or fastest.usd <= self._budget:
            return end <= self._deadline
        model = build(self._problem, left, timed=True)
        guess = priced(model, int(self._deadline), self._limits)
        if guess.usd is not None and guess.usd <= self._budget:
            return True
        return self._cheapest_by(model, self._deadline, guess, None) is not None

    def _refuse_budget(self, model: Model, answer: Cheapest) -> None:
        least = money(model, answer.plan)
        if least > self._budget:
            raise Infeasible(
                f"the budget of {self._problem.budget:g} USD is too small:"
                f" the cheapest plan costs {least / USD:.4f} USD",
                least=least / USD,
            )

    def _late(self, left: Left) -> Infeasible:
        least = self._fastest(left)[0] / SECOND
        return Infeasible(
            f"the deadline of {self._problem.deadline:g} s is too early:"
            f" the fastest plan takes {least:.3f} s",
            least=least,
        )

    def _both(self, left: Left) -> Infeasible:
        problem = replace(self._problem, minimize=Minimize.SECONDS, deadline=None)
        least = _Solver(problem, self._limits)._fastest_plan(left).seconds
        return Infeasible(
            f"the deadline of {self._problem.deadline:g} s is too early for the budget of"
            f" {self._problem.budget:g} USD: the fastest plan within it takes {least:.3f} s",
            least=least,
        )

    def _solution(self, plan: _Plan, bound: float, method: str = "labels") -> Solution:
        usd, seconds = evaluate(self._problem, plan.choice, plan.warm)
        value = usd if self._problem.minimize is Minimize.USD else seconds
        short = max(0.0, value - bound)
        proven = short <= 1e-6 * max(1.0, abs(value))
        return Solution(
            choice=plan.choice,
            usd=usd,
            seconds=seconds,
            lower_bound=value if proven else bound,
            gap=0.0 if proven else short / max(abs(bound), 1e-9),
            method=method,
            explored=self._explored,
            warm=plan.warm,
        )


_NEAR = 1_000
"""Nano-dollars that count as nothing."""

_FEW = 100
"""Partial plans for a first try; what it finds rules out much for the next."""

_HALVINGS = 8


def _rooms(first: int, labels: int) -> Iterator[int]:
    """How many partial plans to keep, one try after the other.

    Those beyond ``labels`` are for where no plan is known at all: without one, it goes on until
    there is one, or a proof that there is none.
    """
    yield from sorted({min(first, labels), min(_FEW, labels), labels})
    while True:
        labels *= 4
        yield labels


@dataclass(frozen=True)
class _Plan:
    """A plan, nano-dollars and microseconds."""

    choice: tuple[int, ...]
    warm: tuple[tuple[int, int], ...]
    usd: int
    end: int


class _Free:
    """A rate that costs time alone."""

    def __init__(self, rate: Moving) -> None:
        self._rate = rate

    def usd_for(self, gib: float) -> float:
        return 0.0

    def seconds_for(self, gib: float) -> float:
        return self._rate.seconds_for(gib)


def _without_money(problem: Problem) -> Problem:
    """Time alone; stages that shared their options still do."""
    known: dict[int, tuple[Option, ...]] = {}
    for options in problem.stages:
        if id(options) not in known:
            known[id(options)] = tuple(replace(o, usd=0.0, boot_usd=0.0) for o in options)
    movement = Movement([_Free(r) for r in problem.movement.rates], problem.movement.ways)
    stages = [known[id(options)] for options in problem.stages]
    return replace(problem, stages=stages, movement=movement)


def evaluate(
    problem: Problem, choice: Sequence[int], warm: Sequence[tuple[int, int]] = ()
) -> tuple[float, float]:
    """USD and seconds of a plan, as the problem says it."""
    chosen = [options[i] for options, i in zip(problem.stages, choice, strict=True)]
    movement, heirs = problem.movement, {target for _, target in warm}
    usd = [o.usd - (o.boot_usd if v in heirs else 0.0) for v, o in enumerate(chosen)]
    times = [o.seconds - (o.boot_seconds if v in heirs else 0.0) for v, o in enumerate(chosen)]
    parents: list[list[tuple[int, float]]] = [[] for _ in chosen]
    children: list[list[int]] = [[] for _ in chosen]
    for flow in problem.flows:
        delay = 0.0
        if flow.gib > 0 and movement.ways:
            a, b = chosen[flow.source].location, chosen[flow.target].location
            rate = movement.rates[movement.ways[a][b]]
            usd.append(rate.usd_for(flow.gib))
            delay = rate.seconds_for(flow.gib)
        parents[flow.target].append((flow.source, delay))
        children[flow.source].append(flow.target)
    waiting = [len(found) for found in parents]
    ready = [v for v, count in enumerate(waiting) if count == 0]
    ends = [0.0] * len(chosen)
    for v in ready:
        ends[v] = times[v] + max((ends[p] + delay for p, delay in parents[v]), default=0.0)
        for c in children[v]:
            waiting[c] -= 1
            if waiting[c] == 0:
                ready.append(c)
    return fsum(usd), max(ends, default=0.0)
