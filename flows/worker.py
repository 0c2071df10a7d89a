"""The Prefect worker of type ``stix``: deployments, schedules and the UI's Run button.

A run that Prefect hands out becomes a run of the ledger, like one from ``stix run``, and is then
owned by a lease: if this engine dies, another goes on with it.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio.abc
import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import PrefectException
from prefect.states import Scheduled
from prefect.workers.base import (
    BaseJobConfiguration,
    BaseVariables,
    BaseWorker,
    BaseWorkerResult,
)

from stix.engine.runtime import Runtime
from stix.errors import StixError
from stix.flows.pool import POOL
from stix.flows.submit import Submission, submit_file

log = logging.getLogger("stix.engine")

LOST_S = 60.0
RESTART_S = 5.0

Adopt = Callable[[str], Awaitable[None]]


class StixConfiguration(BaseJobConfiguration):
    """Job variables of the work pool: none but Prefect's own."""


class StixWorker(BaseWorker[StixConfiguration, BaseVariables, BaseWorkerResult]):
    """Runs a deployment's flow runs on the engine it lives in."""

    type = POOL
    job_configuration = StixConfiguration
    _description = "Runs STIX pipelines on the engine of a STIX server."

    def bind(self, runtime: Runtime, adopt: Adopt) -> StixWorker:
        """Give the worker the engine that it works for."""
        self._runtime, self._adopt = runtime, adopt
        return self

    async def run(
        self,
        flow_run: FlowRun,
        configuration: StixConfiguration,
        task_status: anyio.abc.TaskStatus[Any] | None = None,
    ) -> BaseWorkerResult:
        """Record the run in the ledger and run it to its end."""
        runtime = getattr(self, "_runtime", None)
        if runtime is None:
            raise StixError(
                "a worker of type stix runs inside a STIX server",
                fix="run `stix server start`, which starts one for the work pool 'stix'",
            )
        run_id = await self._record(runtime, flow_run)
        if task_status is not None:
            task_status.started(f"stix:{run_id}")
        # In a task of its own: awaited here it would sit in the worker's cancel scope, which
        # cancels every await of a teardown too.
        task = asyncio.create_task(self._adopt_run(run_id))
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            # The run itself is the ledger's, and goes on here or elsewhere.
            log.warning("run %s is not watched any more: %r", run_id, task.exception())
        return BaseWorkerResult(identifier=run_id, status_code=0)

    async def _adopt_run(self, run_id: str) -> None:
        await self._adopt(run_id)

    async def _record(self, runtime: Runtime, flow_run: FlowRun) -> str:
        parameters = flow_run.parameters
        if parameters.get("run_id"):
            return str(parameters["run_id"])
        file = parameters.get("file")
        if not file:
            raise StixError(
                f"flow run {flow_run.name} names no pipeline",
                fix="give the deployment the parameter `file`, the path of a pipeline file",
            )
        path = Path(str(file)).expanduser()
        if not path.is_absolute():
            path = await self._directory(flow_run) / path
        envs = {str(k): str(v) for k, v in (parameters.get("envs") or {}).items()}
        return await submit_file(
            runtime.ledger, runtime.store, Submission(path, envs, flow_run_id=str(flow_run.id))
        )

    async def _directory(self, flow_run: FlowRun) -> Path:
        """Where the deployment was made: its pull step ``set_working_directory``."""
        if flow_run.deployment_id is not None:
            deployment = await self.client.read_deployment(flow_run.deployment_id)
            for step in deployment.pull_steps or []:
                for name, arguments in step.items():
                    if name.endswith("set_working_directory"):
                        return Path(str(arguments["directory"]))
        return Path.cwd()


async def run_worker(runtime: Runtime, adopt: Adopt) -> None:
    """Poll the work pool, which is made where it is missing, until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_work(runtime, adopt))
        group.create_task(_find_lost(runtime.prefect))


async def _work(runtime: Runtime, adopt: Adopt) -> None:
    while True:
        name = f"stix-{runtime.engine_id}"
        worker = StixWorker(work_pool_name=POOL, name=name, create_pool_if_not_found=True)
        try:
            await worker.bind(runtime, adopt).start()
        except Exception as error:  # noqa: BLE001  no deployment's fault may end the engine's runs
            log.warning("the worker of pool %r starts again: %r", POOL, error)
        await asyncio.sleep(RESTART_S)


async def _find_lost(client: PrefectClient) -> None:
    while True:
        await asyncio.sleep(LOST_S)
        try:
            await reschedule_lost(client, datetime.now(UTC) - timedelta(seconds=LOST_S))
        except (httpx.HTTPError, PrefectException) as error:
            log.warning("lost runs of the pool %r are not looked for: %r", POOL, error)


async def reschedule_lost(client: PrefectClient, before: datetime) -> list[uuid.UUID]:
    """Hand out again what a worker took before ``before`` and has not begun.

    Its engine died between the two. Where a worker only takes long, the second one makes the same
    run of the ledger, which one engine runs.
    """
    wanted = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PENDING]))
    )
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    lost: list[uuid.UUID] = []
    for flow_run in await client.read_flow_runs(flow_run_filter=wanted, work_pool_filter=pool):
        if flow_run.state is not None and flow_run.state.timestamp < before:
            again: State[Any] = Scheduled(message="The engine that took it was lost.")
            await client.set_flow_run_state(flow_run.id, again, force=True)
            lost.append(flow_run.id)
    return lost
