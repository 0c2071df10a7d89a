"""Run a command on all nodes of an attempt: started together, ended together.

The agent on each node runs the job and keeps its output and exit code, whatever happens to us. A
job's id is the same after a crash of ours, so that starting it "again" finds the running one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from prefect.logging import get_run_logger

from stix.clouds.base import CanDescribe, Node, NodeState, Selector
from stix.clouds.config import TOKEN_TAG
from stix.clouds.errors import CloudError
from stix.engine.intent import Why, current_why
from stix.engine.runtime import Attempt
from stix.ledger import Fenced
from stix.recovery.events import Event, NodeLost, Preempted
from stix.remote.agent import AgentClient, AgentError, End, JobStart, JobStatus
from stix.remote.base import ConnectionLost, Runner
from stix.tasks.environment import variables, work_dir
from stix.tasks.failures import StepFailed
from stix.tasks.logs import LogFile, PrefectLog

STOP_GRACE_S = 10.0
UNREACHABLE_S = 60.0
PROBE_PAUSE_S = 1.0


@dataclass(frozen=True)
class Command:
    """What to run on every node. ``kind`` is ``setup`` or ``run``."""

    kind: str
    script: str
    timeout_s: float | None = None


@dataclass(frozen=True)
class NodeJob:
    """The command on one node."""

    attempt: Attempt
    command: Command
    node: Node
    client: AgentClient

    @property
    def job_id(self) -> str:
        return self.attempt.job_id(self.command.kind)

    @property
    def log_path(self) -> Path:
        return self.attempt.log_dir / f"{self.command.kind}-{self.node.rank}.log"

    async def start(self) -> None:
        """Start the job, or find it running or ended."""
        job = JobStart(
            job=self.job_id,
            fence=self.attempt.run.fence.token,
            script=self.command.script,
            cwd=work_dir(self.node),
            env=variables(self.attempt, self.node, setup=self.command.kind == "setup"),
            secrets=self.attempt.secrets,
        )
        try:
            await self.client.start(job)
        except AgentError as error:
            if error.code == "fenced":  # the node has heard of a newer owner of the run
                raise Fenced(error.message) from error
            raise

    async def stop(self) -> None:
        """End the job and all its processes; silent where the node is gone."""
        try:
            await self.client.stop(self.job_id, self.attempt.run.fence.token, STOP_GRACE_S)
        except (ConnectionLost, AgentError):
            return

    async def follow(self, prefect_log: PrefectLog, prefix: str) -> JobStatus:
        """Copy the output until the job ends, through any number of lost connections."""
        log = LogFile(self.log_path)
        try:
            while True:
                try:
                    return await self._follow_once(log, prefect_log, prefix)
                except ConnectionLost as lost:
                    await reach_again(self.attempt, self.node, self.client, lost)
        finally:
            log.close()

    async def _follow_once(self, log: LogFile, prefect_log: PrefectLog, prefix: str) -> JobStatus:
        async with aclosing(self.client.tail(self.job_id, log.offset)) as pieces:
            async for piece in pieces:
                if isinstance(piece, End):
                    return piece.status
                log.write(piece.data)
                prefect_log.feed(piece.data, prefix)
        raise ConnectionLost(f"the output of {self.job_id} stopped without an end")


async def reach_again(
    attempt: Attempt, node: Node, client: AgentClient, lost: ConnectionLost
) -> None:
    """Return when the node answers again.

    One lost connection proves nothing. The provider's word decides; while it says that the node
    runs, the node gets a minute to answer.

    Raises:
        StepFailed: the node was preempted, is gone, or stayed silent.
    """
    deadline = time.monotonic() + UNREACHABLE_S
    while True:
        event = await _verdict(attempt, node)
        if event is not None:
            raise StepFailed(event, event.detail) from lost
        try:
            await client.hello()
            return
        except ConnectionLost:
            if time.monotonic() > deadline:
                detail = f"node {node.ref.id} was silent for {UNREACHABLE_S:.0f} s"
                raise StepFailed(NodeLost(detail=detail), detail) from lost
        await asyncio.sleep(PROBE_PAUSE_S)


async def _verdict(attempt: Attempt, node: Node) -> Event | None:
    """What the provider says of a node that does not answer; None while it says it lives."""
    try:
        state = await _state_of(attempt, node)
    except CloudError:
        return None  # the provider is out of reach too: that is no news of the node
    if state is NodeState.PREEMPTED:
        return Preempted(detail=f"node {node.ref.id} was preempted")
    if state is None or not state.alive:
        return NodeLost(detail=f"node {node.ref.id} is {state or 'gone'}")
    return None


async def _state_of(attempt: Attempt, node: Node) -> NodeState | None:
    cloud = attempt.cloud
    if isinstance(cloud, CanDescribe):
        return await cloud.describe(node.ref)
    found = await cloud.list(Selector({TOKEN_TAG: attempt.token}))
    return {n.ref.id: n.state for n in found}.get(node.ref.id)


async def run_command(attempt: Attempt, command: Command) -> JobStatus:
    """Run ``command`` on all nodes to the end.

    Returns:
        The end of the first node that failed, else that of rank 0.

    Raises:
        StepFailed: a node went away.
        TimeoutError: ``timeout_s`` passed; the jobs have been stopped.
    """
    jobs = [
        NodeJob(attempt, command, node, await client_of(attempt, node)) for node in attempt.nodes
    ]
    try:
        async with asyncio.timeout(command.timeout_s):
            await _start_all(jobs)
            return await _follow_all(jobs)
    except BaseException:
        # Whatever ends the wait ends the job, but for a handover: the next engine goes on with it.
        if current_why() is not Why.RELINQUISH:
            await _stop_all(jobs)
        raise


def exit_code_of(status: JobStatus) -> int:
    """As a shell would say it; 1 where a job ended and left none."""
    return 1 if status.exit_code is None else status.exit_code


async def runner_of(attempt: Attempt, node: Node) -> Runner:
    """The way to a node, which gets a minute to answer.

    Raises:
        StepFailed: the node is gone, or nobody gets to it.
    """
    deadline = time.monotonic() + UNREACHABLE_S
    while True:
        try:
            return await attempt.cloud.runner(node)
        except CloudError as error:
            event = await _verdict(attempt, node)
            if event is None and (not error.retryable or time.monotonic() > deadline):
                event = NodeLost(detail=error.message)
            if event is not None:
                raise StepFailed(event, event.detail) from error
        await asyncio.sleep(PROBE_PAUSE_S)


async def client_of(attempt: Attempt, node: Node) -> AgentClient:
    """The client of a node's agent, one for the whole attempt."""
    if node.rank not in attempt.clients:
        attempt.clients[node.rank] = AgentClient(await runner_of(attempt, node), node.socket)
    return attempt.clients[node.rank]


async def _start_all(jobs: Sequence[NodeJob]) -> None:
    async def start(job: NodeJob) -> None:
        while True:
            try:
                return await job.start()
            except ConnectionLost as lost:
                await reach_again(job.attempt, job.node, job.client, lost)

    await asyncio.gather(*(start(job) for job in jobs))


async def _follow_all(jobs: Sequence[NodeJob]) -> JobStatus:
    async with PrefectLog(get_run_logger()) as prefect_log:
        waits: dict[asyncio.Task[JobStatus], int] = {}
        for job in jobs:
            prefix = f"[{job.node.rank}] " if len(jobs) > 1 else ""
            waits[asyncio.create_task(job.follow(prefect_log, prefix))] = job.node.rank
        ends: dict[int, JobStatus] = {}
        try:
            while waits:
                done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=waits.__getitem__):
                    rank = waits.pop(task)
                    ends[rank] = task.result()
                    if exit_code_of(ends[rank]) != 0:
                        await _stop_all([job for job in jobs if job.node.rank != rank])
                        return ends[rank]
            return ends[min(ends)]
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


async def _stop_all(jobs: Sequence[NodeJob]) -> None:
    await asyncio.gather(*(job.stop() for job in jobs))
