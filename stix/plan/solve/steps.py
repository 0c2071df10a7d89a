"""The order in which stages are decided one by one, and what each decision settles.

Between two decisions only the *front* matters: decided stages that undecided ones still touch, or
whose inputs are not all timed. An order with a small front needs few partial plans.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from stix.plan.solve.model import Edge, Model


@dataclass(frozen=True)
class Timing:
    """A stage becomes timed: its end is known from then on.

    Attributes:
        stage: Position in the front, before anything is dropped.
        variable: Which one it is.
        pushes: (position, variable) of the decided stages that wait for it.
        last: Nothing waits for it: its end counts for the whole.
    """

    stage: int
    variable: int
    pushes: tuple[tuple[int, int], ...]
    last: bool


@dataclass(frozen=True)
class Step:
    """One decision.

    Attributes:
        variable: What is decided; it joins the end of the front.
        costs: (position, variable) in the front before, of what it shares a pair cost with.
        waits: (position, variable) in the front before, of timed stages it waits for.
        timings: What becomes timed, in order.
        keep: Positions that stay, of the front with the new one.
        front: The variables of the front afterwards.
        timed: Whether each of the front is timed.
    """

    variable: int
    costs: tuple[tuple[int, int], ...]
    waits: tuple[tuple[int, int], ...]
    timings: tuple[Timing, ...]
    keep: tuple[int, ...]
    front: tuple[int, ...]
    timed: tuple[bool, ...]


@dataclass
class Links:
    """Who waits for whom, and who shares a cost with whom."""

    parents: list[list[int]]
    children: list[list[int]]
    partners: list[list[int]]

    @classmethod
    def of(cls, model: Model, shared: Iterable[Edge] | None = None) -> Links:
        """Of a model, or with these pairs for what shares a cost."""
        count = len(model.states)
        links = cls(
            [[] for _ in range(count)], [[] for _ in range(count)], [[] for _ in range(count)]
        )
        for source, target in sorted(model.seconds):
            links.parents[target].append(source)
            links.children[source].append(target)
        for u, v in sorted(model.usd if shared is None else shared):
            links.partners[u].append(v)
            links.partners[v].append(u)
        return links


@dataclass
class _Work:
    links: Links
    front: list[int] = field(default_factory=list)
    decided: set[int] = field(default_factory=set)
    timed: set[int] = field(default_factory=set)

    def after(self, v: int) -> tuple[list[int], list[int], list[int]]:
        """What deciding v times, in order; what stays of the front; what it holds with v."""
        decided = self.decided | {v}
        timed: list[int] = []
        queue = [v]
        while queue:
            w = queue.pop()
            known = self.timed.union(timed)
            if w in decided and w not in known and all(p in known for p in self.links.parents[w]):
                timed.append(w)
                queue += reversed(self.links.children[w])
        known = self.timed.union(timed)
        everyone = [*self.front, v]
        keep = [
            i
            for i, w in enumerate(everyone)
            if w not in known
            or any(c not in decided for c in self.links.children[w])
            or any(p not in decided for p in self.links.partners[w])
        ]
        return timed, keep, everyone


def plan_steps(model: Model, shared: Iterable[Edge]) -> list[Step]:
    """Greedy: the decision that leaves the fewest partial plans, earlier stages first."""
    links = Links.of(model, shared)
    work = _Work(links)
    sizes = [len(found) for found in model.states]
    open_: set[int] = set(range(len(sizes)))
    steps: list[Step] = []
    while open_:
        best: tuple[tuple[float, int, int], int] | None = None
        for v in sorted(_candidates(work, open_)):
            timed, keep, everyone = work.after(v)
            size = 1.0
            for i in keep:
                size *= sizes[everyone[i]] + 0.5
            rank = (size, -len(timed), v), v
            best = rank if best is None or rank < best else best
        assert best is not None
        open_.discard(best[1])
        steps.append(_step(work, best[1]))
    return steps


def _candidates(work: _Work, open_: set[int]) -> set[int]:
    """Neighbours of the front, else all stages without open parents."""
    links = work.links
    near = {
        w
        for v in work.front
        for w in (*links.parents[v], *links.children[v], *links.partners[v])
        if w in open_
    }
    if near:
        return near
    roots = {v for v in open_ if all(p in work.decided for p in links.parents[v])}
    return set(sorted(roots)[:_ROOTS])


_ROOTS = 30


def _step(work: _Work, v: int) -> Step:
    links = work.links
    timed, keep, everyone = work.after(v)
    at = {w: i for i, w in enumerate(everyone)}
    before = [(at[w], w) for w in work.front]
    # what is timed pushes to whoever was decided; what is timed before v was decided, v asks
    timings = tuple(
        Timing(
            at[w],
            w,
            tuple((at[c], c) for c in links.children[w] if c in at),
            not links.children[w],
        )
        for w in timed
    )
    step = Step(
        v,
        tuple((i, w) for i, w in before if w in links.partners[v]),
        tuple((i, w) for i, w in before if w in links.parents[v] and w in work.timed),
        timings,
        tuple(keep),
        tuple(everyone[i] for i in keep),
        tuple(everyone[i] in work.timed or everyone[i] in timed for i in keep),
    )
    work.decided.add(v)
    work.timed.update(timed)
    work.front = [everyone[i] for i in keep]
    return step


def topological(links: Links) -> list[int]:
    """Variables, each after all that it waits for."""
    waiting = [len(parents) for parents in links.parents]
    ready = [v for v, count in enumerate(waiting) if count == 0]
    for v in ready:
        for c in links.children[v]:
            waiting[c] -= 1
            if waiting[c] == 0:
                ready.append(c)
    return ready
