"""The flow of one run: stages start as soon as what they need has ended, side by side.

The scheduler is one asyncio task group: stages are awaited rather than submitted, since only then
do a cancellation and every ``finally`` reach them at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from stix.engine.intent import Why, current_why, shielded
from stix.engine.private import run_flow
from stix.engine.runs import FlowRunWish
from stix.engine.runtime import RUN, RunContext
from stix.engine.verdicts import Verdicts
from stix.errors import StixError
from stix.flows.ending import end_early
from stix.flows.placing import gather_offers, place_run
from stix.flows.report import publish_plan, publish_results
from stix.flows.stage import stage as stage_flow
from stix.ledger import Fenced, LedgerUnavailable
from stix.spec.expand import Point
from stix.spec.expressions import ExpressionError
from stix.spec.states import RunState, StageState
from stix.tasks.buckets import drop_buckets


@flow(name="pipeline", persist_result=False, validate_parameters=False)
async def pipeline(
    run_id: str | None = None, file: str | None = None, envs: dict[str, str] | None = None
) -> State[Any]:
    """Run a pipeline on a STIX engine.

    Args:
        run_id: A run that the server has recorded (``stix run``).
        file: For deployments: path of a pipeline file below the deployment's directory.
        envs: For deployments: values for its ``envs``.
    """
    run = RUN.get(None)
    if run is None:
        raise StixError(
            "this flow runs on a STIX engine",
            fix="give its deployment a work pool of type stix, or use `stix run FILE`",
        )
    return await PipelineRun(run).drive()


REPLACE_PATIENCE_S = 60.0
REPLACE_PAUSE_S = 5.0

log = logging.getLogger("stix.engine")


class DeadlinePassed(Exception):
    """The run's time is over; its stages have been cancelled, with their teardown."""


class PipelineRun:
    """One run in the hands of this engine."""

    def __init__(self, run: RunContext) -> None:
        self.run = run
        self.ledger, self.fence = run.runtime.ledger, run.fence
        self.verdicts = Verdicts(run.specs, run.points, run.stage_rows)
        self._expired = False
        self._slots = _slots(run.pipeline.max_parallel)
        self._stage_slots = {name: _slots(spec.max_parallel) for name, spec in run.specs.items()}

    async def drive(self) -> State[Any]:
        """To the end of the run, however it comes; the state that Prefect shows."""
        self.run.driving = True  # from here on, a cancellation meets its teardown
        try:
            await self._begin()
            async with self._deadline():
                return await self._to_the_end()
        except Fenced as error:
            self.run.runtime.guard.die(str(error))
            raise
        except asyncio.CancelledError:
            if current_why() is Why.CANCEL:
                reason = self.run.intent.reason or "cancelled"
                await shielded(end_early(self.run, RunState.CANCELLED, reason))
            raise
        except DeadlinePassed:
            reason = f"the deadline of {self.run.pipeline.deadline:g} s passed"
            await end_early(self.run, RunState.FAILED, reason)
            return Failed(name="TimedOut", message=reason)

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        """Cancel all stages, with their teardown, when the run's time is over."""
        left = await self._seconds_left()
        timer = None
        if left is not None:
            task = asyncio.current_task()
            assert task is not None
            timer = asyncio.get_running_loop().call_later(max(0.0, left), self._expire, task)
        try:
            yield
        except asyncio.CancelledError as error:
            if not self._expired:
                raise
            self.run.intent.why = None
            current = asyncio.current_task()
            if current is not None:
                current.uncancel()
            raise DeadlinePassed from error
        finally:
            if timer is not None:
                timer.cancel()

    async def _seconds_left(self) -> float | None:
        """Until the deadline, counted from the first start of the run; None without one."""
        deadline = self.run.pipeline.deadline
        if deadline is None:
            return None
        row = await self.ledger.run(self.run.run_id)
        passed = datetime.now(UTC) - row.started if row.started else timedelta()
        return deadline - passed.total_seconds()

    def _expire(self, task: asyncio.Task[Any]) -> None:
        if self.run.intent.why is None:
            self._expired = True
            self.run.intent.why = Why.CANCEL
            self.run.intent.reason = "the run's deadline passed"
            task.cancel()

    async def _begin(self) -> None:
        """Start the run in the ledger, unless its cancellation came first."""
        await self.ledger.start_run(self.fence)
        row = await self.ledger.run(self.run.run_id)
        if row.state is RunState.CANCELLING:
            self.run.intent.why = Why.CANCEL
            self.run.intent.reason = row.reason or "cancelled"
            raise asyncio.CancelledError

    async def _to_the_end(self) -> State[Any]:
        await self._refresh()
        if not await self._plan():
            return Failed(message="the run could not be placed")
        async with asyncio.TaskGroup() as group:
            for key in self.run.points:
                group.create_task(self._point(key), name=key)
        await self._refresh()
        failed = self.verdicts.failed_stages()
        await publish_results(self.run)
        await drop_buckets(self.run)
        if failed:
            words = "stage" if len(failed) == 1 else "stages"
            message = f"{words} failed: {', '.join(failed)}"
            await self.ledger.finish_run(self.fence, RunState.FAILED, {"message": message})
            return Failed(message=message)
        await self.ledger.finish_run(self.fence, RunState.SUCCEEDED, None)
        return Completed()

    async def _plan(self) -> bool:
        """Place the whole DAG; False where a stage fits nowhere.

        A run that was placed before waits for clouds that are out of reach just now: its stages
        may be running there.
        """
        deadline = time.monotonic() + (REPLACE_PATIENCE_S if self.run.takeover else 0.0)
        while True:
            try:
                offers, silent = await gather_offers(self.run)
                await place_run(self.run, offers, silent)
                break
            except (Fenced, LedgerUnavailable):
                raise
            except StixError as error:
                if time.monotonic() >= deadline:
                    details = {"message": error.message, "fix": error.fix}
                    await end_early(self.run, RunState.FAILED, error.message, details)
                    return False
            await asyncio.sleep(REPLACE_PAUSE_S)
        if not self.run.takeover:
            await publish_plan(self.run)
        return True

    async def _refresh(self) -> None:
        for row in await self.ledger.stages(self.run.run_id):
            self.run.stage_rows[row.key] = row
            if row.flow_run_id:
                self.run.stage_flow_runs[row.key] = uuid.UUID(row.flow_run_id)

    async def _point(self, key: str) -> None:
        try:
            if not self.run.stage_rows[key].state.final:
                await self._settle(self.run.points[key])
                self.run.stage_rows[key] = await self.ledger.stage(self.run.run_id, key)
        finally:
            self.run.ended[key].set()

    async def _settle(self, point: Point) -> None:
        """Bring one stage run to its end, once all that it needs has ended."""
        for need in point.needs:
            await self.run.ended[need].wait()
        try:
            verdict = self.verdicts.of(point)
        except ExpressionError as error:  # such as a result that the upstream did not write
            condition = self.run.specs[point.stage].when
            await self._decline(point, StageState.FAILED, f"when: {condition}: {error.plain}")
            return
        if verdict is StageState.UPSTREAM_FAILED:
            needs = ", ".join(self.verdicts.bad_needs(point))
            await self._decline(point, verdict, f"needs {needs}")
        elif verdict is StageState.SKIPPED:
            skipped = self.verdicts.skipped_inputs(point)
            condition = self.run.specs[point.stage].when
            reason = f"skipped: {', '.join(skipped)}" if skipped else f"when: {condition}"
            await self._decline(point, verdict, reason)
        else:
            async with self._stage_slots[point.stage], self._slots:
                await self._run_stage(point)

    async def _decline(self, point: Point, state: StageState, reason: str) -> None:
        await self.ledger.update_stage(self.fence, point.key, state=state, reason=reason)

    async def _run_stage(self, point: Point) -> None:
        """Run the stage's flow; when this returns, the ledger knows an end of the stage."""
        try:
            reason = (await self._run_flow(point)).message
        except Fenced as error:
            self.run.runtime.guard.die(str(error))
            raise
        except Exception as error:  # a fault of ours in one stage must not end its neighbours
            log.exception("stage %s of run %s failed in the engine", point.key, self.run.run_id)
            reason = f"the engine failed: {type(error).__name__}: {error}"
        row = await self.ledger.stage(self.run.run_id, point.key)
        if not row.state.final:  # the flow caught a fault of ours, the ledger must know
            await self._decline(point, StageState.FAILED, self.run.redacted(reason or "no reason"))

    async def _run_flow(self, point: Point) -> State[Any]:
        """Run the stage's flow nested below ours, under the ids it had before if it had any."""
        key, root = point.key, self.run.flow_run_id
        parameters = {"run_id": self.run.run_id, "stage": key}
        flow_runs = self.run.runtime.flow_runs
        edges = [self.run.stage_flow_runs[n] for n in point.needs if n in self.run.stage_flow_runs]
        async with flow_runs.starting:
            parent = await flow_runs.track(root, key, stage_flow, edges)
            flow_run = await flow_runs.ensure(
                FlowRunWish(
                    flow=stage_flow,
                    key=f"{root}:{key}",
                    name=key,
                    parameters=parameters,
                    tags=(*self.run.tags, f"stix-stage:{key}"),
                    parent_task_run_id=parent,
                )
            )
        self.run.stage_flow_runs[key] = flow_run.id
        await self.ledger.update_stage(self.fence, key, flow_run_id=str(flow_run.id))
        state: State[Any] = await run_flow(stage_flow, flow_run, parameters, flow_runs.starting)
        return state


def _slots(limit: int | None) -> asyncio.Semaphore:
    return asyncio.Semaphore(limit if limit is not None else 10_000)
