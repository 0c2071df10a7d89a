"""Flow and task runs on a real Prefect API: how they end, and what is written of it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from prefect import Flow, flow, task
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from prefect.states import Completed

from stix.engine.intent import INTENT, Intent, Why
from stix.engine.private import ExpectedFailure, run_flow
from stix.engine.runs import FlowRuns, FlowRunWish, StepRun, derived_id, step
from tests.support.agents import eventually
from tests.support.server import ServerHome

pytestmark = pytest.mark.server


@dataclass
class Trace:
    """What the code of the flows did."""

    said: list[str] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    act: Callable[[], Awaitable[Any]] | None = None

    async def work(self, name: str) -> Any:
        self.said.append(name)
        self.begun.set()
        try:
            return await self.act() if self.act is not None else name
        finally:
            self.said.append(f"finally {name}")


TRACE: dict[str, Trace] = {}


@task(name="leaf", persist_result=False)
async def leaf(name: str) -> Any:
    return await TRACE[name].work("leaf")


@flow(name="inner", persist_result=False, validate_parameters=False)
async def inner(name: str) -> Any:
    try:
        await step(leaf, StepRun("leaf", (1, "leaf"), (f"test:{name}",)), {"name": name})
    finally:
        TRACE[name].said.append("finally inner")
    return Completed(message="the inner flow's own words")


@flow(name="outer", persist_result=False, validate_parameters=False)
async def outer(name: str) -> Any:
    bench = BENCH[name]
    try:
        for key in ("a", "b"):
            needs = [bench.inner["a"].id] if key == "b" else []
            parent = await bench.runs.track(bench.root.id, key, inner, needs)
            wish = FlowRunWish(inner, f"{bench.root.id}:{key}", key, {"name": name}, (), parent)
            bench.inner[key] = await bench.runs.ensure(wish)
            state = await run_flow(inner, bench.inner[key], {"name": name})
            bench.states.append(state)
    finally:
        TRACE[name].said.append("finally outer")
    return Completed()


@dataclass
class Bench:
    """One run of ``outer``, with two nested runs of ``inner``."""

    name: str
    client: PrefectClient
    runs: FlowRuns
    root: FlowRun
    intent: Intent = field(default_factory=Intent)
    inner: dict[str, FlowRun] = field(default_factory=dict)
    states: list[Any] = field(default_factory=list)

    @property
    def trace(self) -> Trace:
        return TRACE[self.name]

    async def run(self, what: Flow[Any, Any] = outer) -> Any:
        INTENT.set(self.intent)
        return await run_flow(what, self.root, {"name": self.name})

    async def stop(self, why: Why) -> None:
        """Run until the leaf works, then cancel."""
        running = asyncio.create_task(self.run())
        await self.trace.begun.wait()
        await self.leaf_is("RUNNING")
        self.intent.why = why
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    async def state(self, run: FlowRun) -> Any:
        return (await self.client.read_flow_run(run.id)).state

    async def leaves(self) -> list[TaskRun]:
        """Rows of the steps of all nested runs."""
        ids = [run.id for run in self.inner.values()]
        return await self.client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=ids))
        )

    async def leaf_is(self, kind: str) -> None:
        """Wait: the server records task runs some seconds later."""

        async def there() -> bool:
            rows = await self.leaves()
            return bool(rows) and all(r.state and r.state.type.value == kind for r in rows)

        await eventually(there, f"the steps are {kind}")


BENCH: dict[str, Bench] = {}


@pytest.fixture
async def bench(stix_server: ServerHome) -> AsyncIterator[Bench]:
    settings = {PREFECT_API_URL: f"{stix_server.url}/api", PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(settings):
        async with get_client() as client:
            name = f"t-{uuid.uuid4().hex[:8]}"
            runs = FlowRuns(client)
            root = await runs.ensure(FlowRunWish(outer, name, name, {"name": name}))
            made = Bench(name, client, runs, root)
            TRACE[name], BENCH[name] = Trace(), made
            yield made
            del TRACE[name], BENCH[name]


@contextmanager
def records(name: str) -> Iterator[list[logging.LogRecord]]:
    """What a logger of Prefect's gets meanwhile."""
    found: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record)

    handler, logger = Keep(), logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


async def forever() -> None:
    await asyncio.Event().wait()


async def test_success_is_written_for_every_run(bench: Bench) -> None:
    state = await bench.run()
    assert state.is_completed()
    assert [s.message for s in bench.states] == ["the inner flow's own words"] * 2
    for run in (bench.root, *bench.inner.values()):
        assert (await bench.state(run)).is_completed()
    await bench.leaf_is("COMPLETED")


async def test_an_exception_of_a_step_fails_its_flow_and_not_the_one_above(bench: Bench) -> None:
    async def fail() -> None:
        raise ValueError("a fault")

    bench.trace.act = fail
    with records("prefect.task_runs") as logged:
        assert (await bench.run()).is_completed()
    assert [s.type.value for s in bench.states] == ["FAILED", "FAILED"]
    assert "a fault" in bench.states[0].message
    assert any(record.exc_info for record in logged)
    await bench.leaf_is("FAILED")


async def test_an_expected_failure_has_a_message_and_no_traceback(bench: Bench) -> None:
    async def fail() -> None:
        raise ExpectedFailure("exit code 3")

    bench.trace.act = fail
    with records("prefect.task_runs") as logged:
        await bench.run()
    assert not any(record.exc_info for record in logged)
    await bench.leaf_is("FAILED")
    for row in await bench.leaves():
        assert row.state is not None
        assert row.state.message == "exit code 3"


@flow(name="leaver", persist_result=False, validate_parameters=False)
async def leaver(name: str) -> Any:
    raise SystemExit(7)


async def test_a_flow_that_calls_exit_fails_alone(bench: Bench) -> None:
    state = await bench.run(leaver)
    assert state.is_failed()
    assert "the flow called exit: SystemExit(7)" in state.message
    assert (await bench.state(bench.root)).is_failed()


async def test_a_cancellation_ends_every_run_as_cancelled_with_its_teardown(bench: Bench) -> None:
    bench.trace.act = forever
    await bench.stop(Why.CANCEL)
    assert bench.trace.said == ["leaf", "finally leaf", "finally inner", "finally outer"]
    assert (await bench.state(bench.root)).is_cancelled()
    assert (await bench.state(bench.inner["a"])).is_cancelled()
    await bench.leaf_is("CANCELLED")


async def test_a_handover_writes_no_state(bench: Bench) -> None:
    bench.trace.act = forever
    await bench.stop(Why.RELINQUISH)
    assert bench.trace.said[-3:] == ["finally leaf", "finally inner", "finally outer"]
    assert (await bench.state(bench.root)).is_running()
    assert (await bench.state(bench.inner["a"])).is_running()
    assert [r.state.type.value for r in await bench.leaves() if r.state] == ["RUNNING"]


async def test_a_cancellation_without_a_reason_is_a_crash(bench: Bench) -> None:
    bench.trace.act = forever
    running = asyncio.create_task(bench.run())
    await bench.trace.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await bench.state(bench.root)).is_crashed()


async def test_a_second_engine_writes_the_rows_of_the_first(bench: Bench) -> None:
    bench.trace.act = forever
    await bench.stop(Why.RELINQUISH)
    first = dict(bench.inner)
    bench.intent, bench.trace.act = Intent(), None
    bench.root = await bench.runs.reopen(bench.root.id, "taken over")
    assert (await bench.run()).is_completed()
    assert bench.inner["a"].id == first["a"].id
    await bench.leaf_is("COMPLETED")
    leaves = await bench.leaves()
    wanted = {derived_id(run.id, 1, "leaf") for run in bench.inner.values()}
    assert {row.id for row in leaves} == wanted and len(leaves) == 2
    stages = await bench.client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[bench.root.id]))
    )
    assert {row.id for row in stages} == {derived_id(bench.root.id, key) for key in ("a", "b")}


async def test_the_graph_shows_the_edges_of_the_pipeline(bench: Bench) -> None:
    await bench.run()
    graph = (
        await bench.client.request(
            "GET", "/flow_runs/{id}/graph-v2", path_params={"id": bench.root.id}
        )
    ).json()
    nodes = dict(graph["nodes"])
    a, b = (str(bench.inner[key].id) for key in ("a", "b"))
    assert [child["id"] for child in nodes[a]["children"]] == [b]
    assert [parent["id"] for parent in nodes[b]["parents"]] == [a]
    assert graph["root_node_ids"] == [a]


async def test_a_step_outside_of_a_flow_is_refused() -> None:
    with pytest.raises(RuntimeError, match="inside a flow run only"):
        await step(leaf, StepRun("leaf", ("x",)), {"name": "x"})
