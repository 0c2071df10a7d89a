"""Close what an engine that died left open in Prefect, as the ledger knows it.

Only under a new lease: on a live run this would be a fault by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
    TaskRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, TaskRun
from prefect.states import Crashed, Failed

from stix.ledger import StageRow

OPEN = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
PAGE = 200
WHY = "The engine that ran this was lost."


async def _open_task_runs(client: PrefectClient, tag: str) -> list[TaskRun]:
    wanted = TaskRunFilter(
        tags=TaskRunFilterTags(all_=[tag]),
        state=TaskRunFilterState(type=TaskRunFilterStateType(any_=OPEN)),
    )
    found: list[TaskRun] = []
    while True:
        page = await client.read_task_runs(task_run_filter=wanted, limit=PAGE, offset=len(found))
        found += page
        if len(page) < PAGE:
            return found


async def _open_flow_runs(client: PrefectClient, tag: str) -> AsyncIterator[FlowRun]:
    wanted = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[tag]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=OPEN)),
    )
    seen: set[uuid.UUID] = set()
    while True:
        page = await client.read_flow_runs(flow_run_filter=wanted, limit=PAGE)
        fresh = [run for run in page if run.id not in seen]
        if not fresh:
            return
        for run in fresh:
            seen.add(run.id)
            yield run


async def close_orphans(
    client: PrefectClient, run_id: str, root: uuid.UUID, rows: dict[str, StageRow]
) -> int:
    """Give every open row of the run, but its own, the state that the ledger tells.

    Args:
        rows: Stage key to what the ledger knows.

    Returns:
        How many were closed.
    """
    from stix.flows.stage import final_state

    tag, closed = f"stix-run:{run_id}", 0
    for task_run in await _open_task_runs(client, tag):
        await client.set_task_run_state(task_run.id, Crashed(message=WHY), force=True)
        closed += 1
    async for flow_run in _open_flow_runs(client, tag):
        if flow_run.id == root:
            continue
        row = rows.get(flow_run.name)
        ended: Any = final_state(row) if row and row.state.final else Crashed(message=WHY)
        await client.set_flow_run_state(flow_run.id, ended, force=True)
        closed += 1
    return closed


async def close_run(client: PrefectClient, flow_run_id: uuid.UUID) -> None:
    """Say in the run's own history that its engine was lost, unless it says more already."""
    await _close(client, flow_run_id, Crashed(message=WHY))


async def fail_run(client: PrefectClient, flow_run_id: uuid.UUID, reason: str) -> None:
    """Say that the run failed before its flow could say anything, unless it did."""
    await _close(client, flow_run_id, Failed(message=reason))


async def _close(client: PrefectClient, flow_run_id: uuid.UUID, state: State[Any]) -> None:
    found = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    )
    if found and found[0].state is not None and found[0].state.type in OPEN:
        await client.set_flow_run_state(flow_run_id, state, force=True)
