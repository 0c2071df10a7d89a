"""Prefect's records of a run: one per (run, stage) and (run, stage, attempt, step), for ever.

All ids are derived from the pipeline's flow run id, so that an engine that takes a run over writes
the rows of the first engine again instead of leaving debris beside them. A stage is a flow run
nested below a tracking task run of the pipeline's flow run; the edges of the DAG are the task
inputs of the tracking task runs.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefect import Flow, Task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import FlowRunCreate, TaskRunCreate
from prefect.client.schemas.objects import (
    FlowRun,
    FlowRunResult,
    State,
    TaskRun,
    TaskRunPolicy,
)
from prefect.context import FlowRunContext
from prefect.states import Pending, to_state_create

from stix.engine.private import run_task

STARTS = 16


def derived_id(root: uuid.UUID, *parts: object) -> uuid.UUID:
    """The id of a row that belongs to the flow run ``root``."""
    return uuid.uuid5(root, "/".join(str(p) for p in parts))


@dataclass(frozen=True)
class FlowRunWish:
    """A flow run to be made, or found again by its key."""

    flow: Flow[Any, Any]
    key: str
    name: str
    parameters: dict[str, Any]
    tags: tuple[str, ...] = ()
    parent_task_run_id: uuid.UUID | None = None


class FlowRuns:
    """Creates flow runs, idempotent by key; remembers the ids of flows."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client
        self._flows: dict[str, str] = {}
        self.starting = asyncio.Semaphore(STARTS)
        """Held while a flow run is made and started: the rest of a burst waits its turn."""

    async def _flow_id(self, flow: Flow[Any, Any]) -> str:
        if flow.name not in self._flows:
            response = await self._client.request("POST", "/flows/", json={"name": flow.name})
            self._flows[flow.name] = response.json()["id"]
        return self._flows[flow.name]

    async def ensure(self, wish: FlowRunWish) -> FlowRun:
        """The flow run of this key, Pending; one that was left open or ended is opened again."""
        body = FlowRunCreate(
            flow_id=uuid.UUID(await self._flow_id(wish.flow)),
            name=wish.name,
            parameters=wish.parameters,
            tags=list(wish.tags),
            parent_task_run_id=wish.parent_task_run_id,
            idempotency_key=wish.key,
            state=to_state_create(Pending()),
        )
        response = await self._client.request(
            "POST", "/flow_runs/", json=body.model_dump(mode="json", exclude_unset=True)
        )
        flow_run = FlowRun.model_validate(response.json())
        if flow_run.state is None or not flow_run.state.is_pending():
            flow_run = await self.reopen(flow_run.id, "Opened again after a takeover or a resume.")
        return flow_run

    async def reopen(self, flow_run_id: uuid.UUID, why: str) -> FlowRun:
        """Make an existing flow run Pending, so that it can run."""
        await self._client.set_flow_run_state(flow_run_id, Pending(message=why), force=True)
        return await self._client.read_flow_run(flow_run_id)

    async def track(
        self, root: uuid.UUID, key: str, flow: Flow[Any, Any], needs: Sequence[uuid.UUID]
    ) -> uuid.UUID:
        """The tracking task run of a stage, with edges to the flow runs of the stages it needs.

        Prefect's server keeps its state equal to that of the nested flow run. The graph draws an
        edge to what shows as a node, which is the nested flow run, not its tracking task run.
        """
        upstream = [FlowRunResult(id=need) for need in needs]
        body = TaskRunCreate(
            id=derived_id(root, key),
            name=key,
            flow_run_id=root,
            task_key=flow.name,
            dynamic_key=key,
            state=to_state_create(Pending()),
            empirical_policy=TaskRunPolicy(),
            task_inputs={"needs": upstream} if upstream else {},  # type: ignore[dict-item]
        )
        response = await self._client.request(
            "POST", "/task_runs/", json=body.model_dump(mode="json", exclude_unset=True)
        )
        return uuid.UUID(response.json()["id"])


@dataclass(frozen=True)
class StepRun:
    """One Prefect task run inside the current flow run."""

    name: str
    parts: tuple[object, ...]
    tags: tuple[str, ...] = ()


async def step(task: Task[Any, Any], run: StepRun, parameters: dict[str, Any]) -> Any:
    """Run ``task`` inside the current flow run, under the id derived from ``run.parts``.

    Must be called from within a flow run of ``stix.engine.private.run_flow``.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("a step runs inside a flow run only")
    flow_run_id = context.flow_run.id
    task_run_id = derived_id(flow_run_id, *run.parts)
    state: State[Any] = Pending()
    state.state_details.task_run_id = task_run_id
    state.state_details.flow_run_id = flow_run_id
    task_run = TaskRun(
        id=task_run_id,
        name=run.name,
        flow_run_id=flow_run_id,
        task_key=task.task_key,
        dynamic_key="/".join(str(p) for p in run.parts),
        empirical_policy=TaskRunPolicy(retries=0),
        tags=list(run.tags),
        task_inputs={},
        expected_start_time=state.timestamp,  # type: ignore[arg-type]  # Prefect's own alias of it
        state_id=state.id,
        state_type=state.type,
        state_name=state.name,
        state=state,
    )
    return await run_task(task, task_run, parameters)
