"""A pipeline in virtual time: its stages begin when what they need has ended, side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stix.clouds.sim.scenario import Scenario
from stix.clouds.sim.world import World
from stix.engine.verdicts import Verdicts
from stix.plan.costs import CHECKPOINT_S
from stix.plan.estimates import ASSUMED, Estimator, Stage
from stix.plan.history import History
from stix.plan.spot import Checkpoints
from stix.rehearse.kernel import Body, Gate, Process, Slots
from stix.rehearse.market import Market
from stix.rehearse.record import Rehearsed, StageRecord
from stix.rehearse.stage import StageRun, Stand, Work
from stix.spec.estimate import EstimateSpec
from stix.spec.expand import Point, points
from stix.spec.expressions import ExpressionError
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.recovery import RecoveryPolicy
from stix.spec.states import RunState, StageState

DAY_S = 86_400.0
_NAMED = 5


def _silent(text: str) -> None:
    return None


@dataclass(frozen=True)
class How:
    """How a rehearsal goes.

    Attributes:
        days: Virtual days after which it stops.
        pace: Called with the virtual time of each event before it happens; may sleep.
        tell: Called with the virtual time and a line, for people who watch.
        keep: Entries of the world's log that are kept.
    """

    days: float = 30.0
    pace: Callable[[float], None] | None = None
    tell: Callable[[float, str], None] | None = field(default=None)
    keep: int = 10_000


def rehearse(
    pipeline: PipelineSpec, market: Market, scenario: Scenario, how: How | None = None
) -> Rehearsed:
    """One rehearsal; the same arguments give the same."""
    return Rehearsal(pipeline, market, scenario, how or How()).go()


def rehearse_many(
    pipeline: PipelineSpec,
    market: Market,
    scenario: Scenario,
    runs: int,
    how: How | None = None,
) -> list[Rehearsed]:
    """Rehearsals under one seed after the other."""
    seeds = range(scenario.seed, scenario.seed + runs)
    return [rehearse(pipeline, market, replace(scenario, seed=seed), how) for seed in seeds]


class Rehearsal:
    """One rehearsal of a pipeline.

    Attributes:
        world: Its clouds.
    """

    def __init__(
        self, pipeline: PipelineSpec, market: Market, scenario: Scenario, how: How
    ) -> None:
        self._pipeline, self._how = pipeline, how
        self.world = World(scenario, pace=how.pace, keep=how.keep)
        estimator = Estimator(History())
        tell = how.tell
        told = _silent if tell is None else lambda text: tell(self.world.now, text)
        run_id = f"rehearsal-{scenario.seed}"
        self._stand = Stand(self.world, estimator, run_id, told)
        self._specs = pipeline.resolved().stages
        self._points = {point.key: point for point in points(pipeline)}
        self._works = {name: _work(name, spec, market) for name, spec in self._specs.items()}
        self._rows = {key: self._row(point) for key, point in self._points.items()}
        self._runs = {
            key: StageRun(self._stand, self._works[point.stage], self._rows[key])
            for key, point in self._points.items()
        }
        self._verdicts = Verdicts(self._specs, self._points, self._rows)
        self._gates = {key: Gate() for key in self._points}
        self._slots = Slots(pipeline.max_parallel)
        self._of_stage = {name: Slots(spec.max_parallel) for name, spec in self._specs.items()}
        self._open = len(self._points)
        self._expired = False
        self._guessed: dict[str, None] = {}

    def go(self) -> Rehearsed:
        """To its end, or that of its days."""
        processes = [Process(self.world, self._point(point)) for point in self._points.values()]
        deadline = self._pipeline.deadline
        if deadline is not None:
            self.world.after(deadline, self._expire)
        self.world.run(self._how.days * DAY_S, lambda: self._over)
        over = self._over
        for process in processes:
            process.stop()
        if not over or self._expired:
            for run in self._runs.values():
                run.cancel()
        return self._rehearsed(over)

    @property
    def _over(self) -> bool:
        return not self._open or self._expired

    def _expire(self) -> None:
        self._expired = self._open > 0

    def _row(self, point: Point) -> StageRecord:
        work = self._works[point.stage]
        found = self._stand.estimator.time(work.stage, work.placement.offer)
        return StageRecord(point.key, point.stage, found.amount.value, found.basis)

    def _point(self, point: Point) -> Body:
        row = self._rows[point.key]
        for need in point.needs:
            yield from self._gates[need].passed()
        verdict = self._verdict(point)
        if verdict is None:
            yield from self._of_stage[point.stage].take()
            yield from self._slots.take()
            yield from self._runs[point.key].body()
            self._slots.give()
            self._of_stage[point.stage].give()
        else:
            row.state, row.reason = verdict, self._reason(point)
        self._open -= 1
        self._gates[point.key].open()

    def _verdict(self, point: Point) -> StageState | None:
        """As in a run; a condition on results, which nobody knows here, is taken for true."""
        try:
            return self._verdicts.of(point)
        except ExpressionError:
            self._guessed[point.stage] = None
            return None

    def _reason(self, point: Point) -> str:
        """Why it does not run."""
        if bad := self._verdicts.bad_needs(point):
            return f"needs {', '.join(bad[:_NAMED])}"
        if skipped := self._verdicts.skipped_inputs(point):
            return f"skipped: {', '.join(skipped)}"
        return f"when: {self._specs[point.stage].when}"

    def _rehearsed(self, over: bool) -> Rehearsed:
        state, reason = self._end(over)
        now, rows = self.world.now, list(self._rows.values())
        self.world.note("end", f"{state} {reason}")
        return Rehearsed(
            seed=self.world.climate.scenario.seed,
            state=state,
            reason=reason,
            seconds=now,
            usd=sum(attempt.usd(now) for row in rows for attempt in row.attempts),
            preemptions=self.world.preemptions,
            digest=self.world.digest(),
            stages=rows,
            notes=self._notes(),
        )

    def _end(self, over: bool) -> tuple[RunState, str]:
        if self._expired:
            return RunState.FAILED, f"the deadline of {self._pipeline.deadline:g} s passed"
        if not over:
            return RunState.RUNNING, f"not finished within {self._how.days:g} days"
        failed = self._verdicts.failed_stages()
        if not failed:
            return RunState.SUCCEEDED, ""
        named = ", ".join(failed[:_NAMED])
        more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        return RunState.FAILED, f"failed: {named}{more}"

    def _notes(self) -> list[str]:
        notes = []
        assumed = list(dict.fromkeys(r.stage for r in self._rows.values() if r.basis == ASSUMED))
        if assumed:
            notes.append(f"an hour is assumed, for want of `estimate:`: {', '.join(assumed)}")
        if self._guessed:
            notes.append(f"`when` on results is taken for true: {', '.join(self._guessed)}")
        return notes


def _work(name: str, spec: StageSpec, market: Market) -> Work:
    said = spec.estimate or EstimateSpec()
    every = said.checkpoint
    return Work(
        stage=Stage(name, spec.num_nodes, said, bool(spec.setup)),
        placement=market.plan.stages[name],
        policy=RecoveryPolicy.effective(spec),
        timeout=spec.timeout,
        checkpoints=Checkpoints(every, CHECKPOINT_S) if every else None,
    )
