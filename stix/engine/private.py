"""The one place that leans on private parts of Prefect, pinned to tested versions.

What is replaced, and why (measured on 3.8.8):

* run loops: cancellation must end as Cancelled with teardown, or leave the run alone, where
  Prefect writes Crashed; failures of a step carry a typed reason instead of a traceback; task
  tags must not cost an API call each;
* heartbeat thread and suspension observer per run: a thread each, which block the loop;
* the client's retry: it gives up on HTTP 500, which the API answers while PostgreSQL restarts,
  and its pauses double without a bound.

``check_contract()`` names the part that a new Prefect version changed.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import httpx
import prefect
from prefect import Flow, Task
from prefect.client import base as client_base
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.flow_engine import AsyncFlowRunEngine
from prefect.states import Cancelled, Cancelling, Failed
from prefect.task_engine import AsyncTaskRunEngine

from stix.engine.intent import Why, current_why, shielded
from stix.errors import StixError

TESTED = ("3.8.8",)
PATIENCE_S = 600.0
MAX_PAUSE_S = 2.0
CALLS = 16
RETRIED = frozenset({408, 429, 500, 502, 503, 504})


class ExpectedFailure(StixError):
    """A failure that is part of the job (a user's exit code, a preemption): no traceback."""


class LeanClient(PrefectClient):
    """The engine's client without two of the six calls that a nested flow run costs.

    Prefect's engine writes a version and a retry policy that ours do not have, and reads the flow
    run again that it has just written. Shares everything with the client it is made from.
    """

    __slots__ = ("engine",)
    engine: StixFlowEngine

    @classmethod
    def of(cls, client: PrefectClient, engine: StixFlowEngine) -> LeanClient:
        lean = cls.__new__(cls)
        lean.__dict__ = client.__dict__
        lean.engine = engine
        return lean

    async def update_flow_run(self, *_: Any, **__: Any) -> Any:
        return None

    async def read_flow_run(self, flow_run_id: UUID) -> FlowRun:
        own = self.engine.flow_run
        if own is None or own.id != flow_run_id:
            return await super().read_flow_run(flow_run_id)
        return own.model_copy(update={"run_count": own.run_count + 1})


class StixFlowEngine(AsyncFlowRunEngine[Any, Any]):
    """A flow run as one asyncio task among many of the same process."""

    @property
    def client(self) -> PrefectClient:
        return LeanClient.of(super().client, self)

    @property
    def heartbeat_seconds(self) -> int | None:
        return None  # the lease does it, for all runs of the engine at once

    @contextmanager
    def setup_flow_run_suspension_request(self) -> Iterator[Any]:
        yield self._get_flow_run_suspension_request()

    async def call_flow_fn(self) -> Any:
        try:
            return await super().call_flow_fn()
        except (SystemExit, KeyboardInterrupt) as error:  # else it stops the whole engine
            raise RuntimeError(f"the flow called exit: {error!r}") from error

    async def handle_crash(self, exc: BaseException) -> None:
        why = current_why() if isinstance(exc, asyncio.CancelledError) else None
        if why is None:
            await super().handle_crash(exc)
            return
        self._raised = exc  # type: ignore[assignment]  # as Prefect's own handle_crash does
        if why is Why.CANCEL:
            await shielded(self.call_hooks(Cancelling()))
            await shielded(self._cancelled())

    async def _cancelled(self) -> None:
        await self.set_state(Cancelled(), force=True)

    async def run(self, starting: AbstractAsyncContextManager[Any]) -> Any:
        """Run to the end; the final state. ``starting`` is held until it runs."""
        async with AsyncExitStack() as whole:
            async with starting:
                await whole.enter_async_context(self.start())
            while self.is_running():
                async with self.run_context():
                    await self.call_flow_fn()
        return self.state


class StixTaskEngine(AsyncTaskRunEngine[Any, Any]):
    """A task run without concurrency limits by tag (an API call per tag and task)."""

    @asynccontextmanager
    async def start(
        self, task_run_id: Any = None, dependencies: Any = None
    ) -> AsyncGenerator[None, None]:
        async with self.initialize_run(task_run_id=task_run_id, dependencies=dependencies):
            await self.begin_run()
            yield

    async def handle_exception(self, exc: Exception) -> None:
        if not isinstance(exc, ExpectedFailure):
            await super().handle_exception(exc)
            return
        self._raised = exc
        await self.set_state(Failed(message=exc.message))

    async def handle_crash(self, exc: BaseException) -> None:
        why = current_why() if isinstance(exc, asyncio.CancelledError) else None
        if why is None:
            await super().handle_crash(exc)
            return
        self._raised = exc
        if why is Why.CANCEL:
            await self.set_state(Cancelled(message="Cancelled with its run."), force=True)

    async def run(self) -> Any:
        """Run to the end; the task's value, or its exception."""
        async with self.start():
            while self.is_running():
                async with self.run_context(), self.transaction_context() as transaction:
                    await self.call_task_fn(transaction)
        return await self.result()


async def run_flow(
    flow: Flow[Any, Any],
    flow_run: FlowRun,
    parameters: dict[str, Any],
    starting: AbstractAsyncContextManager[Any] | None = None,
) -> Any:
    """Run ``flow`` as the existing ``flow_run``; its final state.

    Args:
        starting: Entered for the calls that start the run: a semaphore lets the first of a
            thousand flow runs get going before the last is announced.
    """
    engine = StixFlowEngine(flow=flow, flow_run=flow_run, parameters=parameters)
    return await engine.run(starting or nullcontext())


async def run_task(task: Task[Any, Any], task_run: TaskRun, parameters: dict[str, Any]) -> Any:
    """Run ``task`` as ``task_run``; its value."""
    return await StixTaskEngine(task=task, task_run=task_run, parameters=parameters).run()


def install_patience(on_fenced: Callable[[str], None]) -> None:
    """Make Prefect's async client wait out API and database restarts, and obey the fence.

    Args:
        on_fenced: Called when the server says that another engine owns our runs (HTTP 410).
    """

    # A thousand calls in the connection pool at once run into its timeouts, are sent again, and
    # never end. Here they wait in line, one line per loop: Prefect sends logs on one of its own.
    turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def send_with_retry(
        self: Any, request: Any, send: Any, send_args: Any, send_kwargs: Any, **_: Any
    ) -> httpx.Response:
        end, tries = time.monotonic() + PATIENCE_S, 0
        turn = turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(CALLS))
        while True:
            tries += 1
            try:
                async with turn:
                    response: httpx.Response = await send(request, *send_args, **send_kwargs)
                if response.status_code == 410 and "x-stix-fenced" in response.headers:
                    on_fenced("the server refused a call: another engine owns its runs")
                if response.status_code not in RETRIED or time.monotonic() > end:
                    return response
                await response.aread()
            except httpx.TransportError:
                if time.monotonic() > end:
                    raise
            pause = min(MAX_PAUSE_S, 0.05 * 2 ** min(tries, 8))
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))

    client_base.PrefectHttpxAsyncClient._send_with_retry = send_with_retry  # type: ignore[assignment]


@dataclass(frozen=True)
class PrivatePart:
    """Something of Prefect's that is used or replaced here.

    Attributes:
        parameters: Names its signature must have.
    """

    owner: type[Any]
    name: str
    parameters: frozenset[str] = frozenset({"self"})


PARTS = (
    PrivatePart(
        client_base.PrefectHttpxAsyncClient,
        "_send_with_retry",
        frozenset({"self", "request", "send", "send_args", "send_kwargs"}),
    ),
    PrivatePart(AsyncFlowRunEngine, "handle_crash", frozenset({"self", "exc"})),
    PrivatePart(AsyncFlowRunEngine, "set_state", frozenset({"self", "state", "force"})),
    PrivatePart(AsyncFlowRunEngine, "start"),
    PrivatePart(AsyncFlowRunEngine, "run_context"),
    PrivatePart(AsyncFlowRunEngine, "call_flow_fn"),
    PrivatePart(AsyncFlowRunEngine, "call_hooks"),
    PrivatePart(AsyncFlowRunEngine, "setup_flow_run_suspension_request"),
    PrivatePart(AsyncFlowRunEngine, "_get_flow_run_suspension_request"),
    PrivatePart(
        AsyncTaskRunEngine, "initialize_run", frozenset({"self", "task_run_id", "dependencies"})
    ),
    PrivatePart(AsyncTaskRunEngine, "handle_exception", frozenset({"self", "exc"})),
    PrivatePart(AsyncTaskRunEngine, "handle_crash", frozenset({"self", "exc"})),
    PrivatePart(AsyncTaskRunEngine, "call_task_fn", frozenset({"self", "transaction"})),
    PrivatePart(AsyncTaskRunEngine, "begin_run"),
    PrivatePart(AsyncTaskRunEngine, "transaction_context"),
)


def check_contract(parts: Sequence[PrivatePart] = PARTS) -> None:
    """Verify that the private parts used here are as they were when tested.

    Raises:
        StixError: names the part that changed.
    """
    fix = f"install a tested version of prefect: {', '.join(TESTED)}"
    for part in parts:
        name = f"{part.owner.__name__}.{part.name}"
        found = getattr(part.owner, part.name, None)
        if found is None:
            raise StixError(f"Prefect {prefect.__version__} has no {name} any more", fix=fix)
        missing = part.parameters - set(inspect.signature(found).parameters)
        if missing:
            raise StixError(
                f"Prefect {prefect.__version__} changed {name}: it lacks {sorted(missing)}", fix=fix
            )
