"""The flow of one stage run: attempts, until one succeeds or the policy gives up.

The ledger is the truth: every step asks it what was done before, so that a second engine can go
on in the middle. What Prefect shows follows from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from stix.engine.intent import Why, current_why, shielded
from stix.engine.runtime import RUN, Attempt, RunContext
from stix.flows.attempt import AttemptRun
from stix.flows.history import History, Inputs, inputs_of
from stix.ledger import StageRow
from stix.recovery.actions import GiveUp
from stix.recovery.decide import decide
from stix.recovery.events import Capacity, Event
from stix.recovery.order import choose
from stix.spec.expand import Point
from stix.spec.recovery import RecoveryPolicy
from stix.spec.states import AttemptState, StageState
from stix.tasks.cache import CachePlan, plan_cache


@flow(name="stage", persist_result=False, validate_parameters=False)
async def stage(run_id: str, stage: str) -> State[Any]:
    """Run one stage of a run to its end. The state's message is the reason."""
    run = RUN.get()
    return await StageRun(run, run.points[stage]).drive()


class StageRun:
    """One stage run in the hands of this engine."""

    def __init__(self, run: RunContext, point: Point) -> None:
        self.run, self.point = run, point
        self.ledger, self.fence = run.runtime.ledger, run.fence
        self.spec = run.specs[point.stage]
        self.policy = RecoveryPolicy.effective(self.spec)
        self._released = False

    @property
    def key(self) -> str:
        return self.point.key

    async def drive(self) -> State[Any]:
        """From whatever was done before to a final state."""
        inputs = await inputs_of(self.run, self.point)
        cached = await plan_cache(self.run, self.point, inputs.digests)
        if cached.hit is not None:
            return await self._use_cached(cached)
        await self._update(
            state=StageState.RUNNING,
            reason=None,
            cache_key=cached.key,
            cache_parts=cached.parts,
        )
        try:
            return await self._attempts(inputs, cached)
        except asyncio.CancelledError:
            if current_why() is Why.CANCEL:
                await shielded(self._cancelled())
            raise

    async def _cancelled(self) -> None:
        """Its last attempt may have ended while the cancellation came: that end stands."""
        row = await self.ledger.stage(self.run.run_id, self.key)
        if not row.state.final:
            reason = self.run.intent.reason or "cancelled"
            await self._update(state=StageState.CANCELLED, reason=reason)

    async def _use_cached(self, cached: CachePlan) -> State[Any]:
        hit = cached.hit
        assert hit is not None
        reason = f"unchanged since run {hit.run_id}"
        if cached.accepted:
            reason = f"accepted (--accept): the outputs of run {hit.run_id} serve"
            assert cached.key is not None
            await self.ledger.cache_put(self.fence, cached.key, self.key, hit.outputs, hit.result)
        await self._update(
            state=StageState.CACHED,
            reason=reason,
            cache_key=cached.key,
            cache_parts=cached.parts,
            outputs=hit.outputs,
            result=hit.result,
        )
        return Completed(name="Cached", message=reason)

    async def _attempts(self, inputs: Inputs, cached: CachePlan) -> State[Any]:
        history = await History.of(self.run, self.key)
        if history.made is not None:  # the engine before us got that far
            return await self._succeeded(history.next_number - 1, history.made, cached)
        while True:
            if history.last is not None and isinstance(history.last.action, GiveUp):
                return await self._failed(history)
            attempt = await self._next_attempt(history, inputs)
            run = AttemptRun(attempt)
            event = await run.work()
            # A cancellation waits until the end of the attempt is told and its nodes are gone.
            if event is None:
                return await shielded(self._end_well(run, cached))
            await shielded(self._end_badly(run, event, history))
            assert history.last is not None
            if not isinstance(history.last.action, GiveUp):
                await asyncio.sleep(history.last.action.after_s)

    async def _next_attempt(self, history: History, inputs: Inputs) -> Attempt:
        """The attempt that an earlier engine left unfinished, else a new one."""
        self.run.where.setdefault(self.point.stage, None)  # from here on its placement stays
        placement = self.run.plan.stages[self.point.stage]
        attempt = Attempt(
            run=self.run,
            point=self.point,
            number=history.open_number or history.next_number,
            choice=history.open_choice or choose(placement, history.past),
            inputs=inputs.deliveries,
            policy=self.policy,
            steps=history.open_steps,
            nodes=history.open_nodes,
            reopened=history.open_number is not None,
        )
        history.close()
        await self.ledger.start_attempt(
            self.fence, self.key, attempt.number, attempt.choice.to_dict()
        )
        return attempt

    async def _end_badly(self, run: AttemptRun, event: Event, history: History) -> None:
        attempt = run.attempt
        await run.end(event)
        # What the attempt asked for in vain counts too: else each attempt has that budget anew.
        before = [*history.events, *(Capacity() for _ in attempt.shortages)]
        decision = decide(self.policy, event, before, seed=f"{self.run.run_id}/{self.key}")
        await self.ledger.finish_attempt(
            self.fence,
            self.key,
            attempt.number,
            AttemptState.FAILED,
            event=event.to_dict(),
            action=decision.to_dict(),
            exit_code=getattr(event, "exit_code", None),
        )
        history.add(attempt.number, event, attempt.choice, decision)
        if not isinstance(decision.action, GiveUp):
            await self._update(reason=decision.reason)

    async def _failed(self, history: History) -> State[Any]:
        assert history.last is not None
        decision = history.last.reason
        reason = history.events[-1].detail or decision
        await self._update(state=StageState.FAILED, reason=reason)
        return Failed(message=f"{reason}; {decision}")

    async def _end_well(self, run: AttemptRun, cached: CachePlan) -> State[Any]:
        await run.end(None)
        made = run.attempt.steps.get("collect", {})
        return await self._succeeded(run.attempt.number, made, cached)

    async def _succeeded(
        self, number: int, made: Mapping[str, Any], cached: CachePlan
    ) -> State[Any]:
        outputs, result = made.get("outputs", {}), made.get("result", {})
        await self.ledger.finish_attempt(
            self.fence, self.key, number, AttemptState.SUCCEEDED, exit_code=0
        )
        if cached.key is not None and cached.wanted:
            await self.ledger.cache_put(self.fence, cached.key, self.key, outputs, result)
        await self._update(state=StageState.SUCCEEDED, reason=None, outputs=outputs, result=result)
        await self.run.stage_ended(self.key)
        return Completed(message=f"attempt {number}")

    async def _update(self, **changes: Any) -> None:
        await self.ledger.update_stage(self.fence, self.key, **changes)


def final_state(row: StageRow) -> State[Any]:
    """What Prefect shows of a stage that the ledger says has ended."""
    if row.state.good or row.state is StageState.SKIPPED:
        return Completed(message=row.reason)
    if row.state is StageState.CANCELLED:
        return Cancelled(message=row.reason)
    return Failed(message=row.reason)
