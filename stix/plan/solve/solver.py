"""The plan that is best for the whole DAG, with a proof or the gap to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import fsum, inf

from stix.plan.solve.additive import Cheapest, cheapest
from stix.plan.solve.check import check
from stix.plan.solve.labels import Ask, Found, Sweep
from stix.plan.solve.lagrange import money, priced, span
from stix.plan.solve.model import SECOND, USD, Model, build, micro, nano
from stix.plan.solve.problem import Infeasible, Limits, Minimize, Problem, Solution
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
        room = len(problem.stages) + len(problem.flows)  # all roundings together
        self._deadline = inf if problem.deadline is None else micro(problem.deadline) + room
        self._budget = inf if problem.budget is None else nano(problem.budget) + room
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
                return self._solution(model, answer.plan, answer.bound / USD, method)
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
            replace(self._solution(model, plan, usd / USD, "labels"), gap=inf if partial else 0.0)
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
        sweep = Sweep(model)
        if sweep.least_span > self._deadline:
            raise self._late(left)
        guess = priced(model, int(self._deadline), self._limits)
        start = (guess.usd, guess.plan)
        if guess.usd is None or guess.plan is None:
            end, plan = self._fastest(model)
            if end > self._deadline:
                raise self._late(left)
            start = money(model, plan), plan
        usd, plan = start
        assert usd is not None and plan is not None
        if usd > self._budget:
            usd, plan = None, None
        bound = max(least.bound, guess.bound)
        if usd is None or usd - bound > _NEAR:
            most = self._budget if usd is None else usd
            found = self._ask(sweep, Ask(False, most, self._deadline, labels=self._limits.labels))
            if found.plans:
                usd, _, plan = found.plans[0]
            if usd is None or plan is None:
                raise self._both(left)
            bound = max(bound, min(usd, found.bound))
        return self._solution(model, plan, bound / USD, "labels")

    def _fastest_plan(self, left: Left) -> Solution:
        model = build(self._problem, left, timed=True)
        sweep = Sweep(model)
        room = self._limits.labels
        if self._budget < inf:
            found = self._ask(sweep, Ask(True, self._budget, labels=room))
            if not found.plans:  # all that would do were dropped: the cheapest one does
                model, answer = self._cheapest(left)
                end, plan, low = span(model, answer.plan)[0], answer.plan, sweep.least_span
            else:
                _, end, plan = found.plans[0]
                low = max(sweep.least_span, min(end, found.bound))
        else:
            end, plan, low = self._fastest_bounded(model, sweep.least_span)
            ask = Ask(False, money(model, plan), end, labels=room)
            found = self._ask(sweep, ask)
            if found.plans:
                plan = found.plans[0][2]
        if end > self._deadline:
            raise self._late(left) if self._budget == inf else self._both(left)
        return self._solution(model, plan, low / SECOND, "labels")

    def _fastest(self, model: Model) -> tuple[int, list[int]]:
        end, plan, _ = self._fastest_bounded(model, 0)
        return end, plan

    def _fastest_bounded(self, model: Model, low: float) -> tuple[int, list[int], float]:
        """The least time whatever it costs: its end, its plan, and the bound of the end."""
        free = _without_money(model)
        sweep = Sweep(free)
        found = self._ask(sweep, Ask(True, labels=self._limits.labels))
        _, end, plan = found.plans[0]
        return end, plan, max(low, sweep.least_span, min(end, found.bound))

    def _possible(self, left: Left) -> bool:
        """Whether deadline and budget can be met with these options."""
        problem = replace(self._problem, minimize=Minimize.SECONDS, deadline=None)
        if self._budget < inf:
            model, answer = self._cheapest(left)
            if money(model, answer.plan) > self._budget:
                return False
            if span(model, answer.plan)[0] <= self._deadline:
                return True
            found = Sweep(build(problem, left, timed=True)).ask(
                Ask(True, self._budget, self._deadline, labels=self._limits.labels)
            )
            return bool(found.plans)
        return self._fastest(build(problem, left, timed=True))[0] <= self._deadline

    def _refuse_budget(self, model: Model, answer: Cheapest) -> None:
        least = money(model, answer.plan)
        if least > self._budget:
            raise Infeasible(
                f"the budget of {self._problem.budget:g} USD is too small:"
                f" the cheapest plan costs {least / USD:.4f} USD",
                least=least / USD,
            )

    def _late(self, left: Left) -> Infeasible:
        least = self._fastest(build(self._problem, left, timed=True))[0] / SECOND
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

    def _solution(self, model: Model, plan: Sequence[int], bound: float, method: str) -> Solution:
        states = [found[i] for found, i in zip(model.states, plan, strict=True)]
        choice = tuple(state.option for state in states[: model.stages])
        warm = tuple((s.take, v) for v, s in enumerate(states[: model.stages]) if s.take >= 0)
        usd, seconds = evaluate(self._problem, choice, warm)
        value = usd if self._problem.minimize is Minimize.USD else seconds
        gap = max(0.0, value - bound)
        gap = 0.0 if gap <= 1e-6 * max(1.0, abs(value)) else gap / max(abs(bound), 1e-9)
        return Solution(
            choice, usd, seconds, value if gap == 0.0 else bound, gap, method, self._explored, warm
        )


_NEAR = 1_000


def _without_money(model: Model) -> Model:
    """Time alone: only what excludes each other still costs."""
    states = [[state._replace(usd=0) for state in found] for found in model.states]
    usd = {}
    for edge, table in model.usd.items():
        rules = [[cost if cost >= model.big else 0 for cost in row] for row in table]
        if any(map(any, rules)):
            usd[edge] = rules
    return replace(model, states=states, usd=usd)


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
