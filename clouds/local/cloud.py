"""This machine as a cloud: a node is a directory, an agent process, and a share of the machine."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from stix.clouds.agents import agrees, cloud_error, finish, node_of, settle, up_request
from stix.clouds.base import CreateRequest, Identity, Node, NodeRef, Selector
from stix.clouds.config import CloudConfig
from stix.clouds.errors import InvalidRequest
from stix.clouds.hosts import HostFacts
from stix.clouds.local.settings import read_settings
from stix.errors import StixError
from stix.node.agent.facts import facts
from stix.node.agent.host import Host
from stix.plan.offers import Offer
from stix.remote.agent import AgentClient, AgentError, HostAgent, NodeRecord, UpRequest
from stix.remote.base import Completed, ConnectionLost, Runner
from stix.remote.local import LocalRunner

T = TypeVar("T")
ADDRESS = "127.0.0.1"
COMMANDS_AT_ONCE = 8
SHUTDOWNS_AT_ONCE = 32


class NodeRunner(LocalRunner):
    """The local runner with the Python that runs STIX first in ``PATH``.

    The agent gives its own ``PATH`` to jobs, so that ``python`` in a stage is that of the user who
    started STIX, with what is installed there.
    """

    async def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        folders = (str(Path(sys.executable).parent), os.environ.get("PATH") or os.defpath)
        whole = {"PATH": os.pathsep.join(folders), **(env or {})}
        return await super().run(argv, input=input, env=whole, timeout=timeout)


class LocalCloud:
    """Nodes below ``STIX_HOME``. Knows what is there by reading it; changes go by the agent.

    Args:
        config: ``settings`` is the block ``local:``.
        patience: Seconds for a node's agent to end the node itself, before it is killed.
    """

    name = "local"
    host_ports = True
    breaker = False  # no provider, only this machine

    def __init__(self, config: CloudConfig, *, patience: float = 10.0) -> None:
        self._patience = patience
        self._settings = read_settings(config.settings)
        self._home = config.home
        self._runner = NodeRunner()
        self._agent = HostAgent(self._runner, str(config.home), socket_dir=str(config.socket_dir))
        self._host = Host(str(config.home))
        self._facts: HostFacts | None = None
        # Starting hundreds of interpreters at once would only make them wait for one lock.
        self._commands = asyncio.Semaphore(COMMANDS_AT_ONCE)
        self._shutdowns = asyncio.Semaphore(SHUTDOWNS_AT_ONCE)

    async def check(self) -> Identity:
        try:
            await self._agent.ensure()
        except StixError as error:
            raise cloud_error(error, "cloud") from error
        return Identity(f"{getpass.getuser()}@{socket.gethostname()}", str(self._home))

    async def offers(self) -> Sequence[Offer]:
        machine = await self._machine()
        on_demand = Offer(
            cloud=self.name,
            region="-",
            zone=None,
            instance_type=machine.size(),
            cpus=machine.cpus,
            memory_gib=machine.memory_gib,
            accelerators=dict(machine.accelerators),
            price=self._settings.price,
            capacity=1,
            shared=True,
        )
        if not self._settings.spot:
            return [on_demand]
        return [on_demand, Offer.from_dict({**on_demand.to_dict(), "spot": True})]

    async def create(self, request: CreateRequest) -> list[Node]:
        if request.offer.region != "-" or request.offer.zone is not None:
            raise InvalidRequest(
                f"the local cloud has no place {request.offer.infra}", fix="write `infra: local`"
            )
        limits = (await self._machine()).limits()
        ups = [up_request(request, rank, limits, ADDRESS) for rank in range(request.count)]
        made, errors = await settle([self._up(up) for up in ups])
        if errors:
            await self._undo(made, errors[0])
        return [self._node(record) for record in made]

    async def list(self, selector: Selector) -> list[Node]:
        records = await asyncio.to_thread(self._host.records)
        nodes = [self._node(NodeRecord.from_dict(record)) for record in records]
        return [node for node in nodes if agrees(node.tags, selector)]

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        ids = list(dict.fromkeys(node.id for node in nodes))
        over, errors = await settle([self._shut_down(node_id) for node_id in ids])
        if errors:
            raise errors[0]
        left = [node_id for node_id, gone in zip(ids, over, strict=True) if not gone]
        if left:
            await self._down(left)

    async def runner(self, node: Node) -> Runner:
        return self._runner

    async def close(self) -> None:
        """Nothing is held open."""

    async def preempt(self, node: NodeRef) -> None:
        try:
            await self._command(lambda: self._agent.mark(node.id, "preempted"))
        except StixError as error:
            raise cloud_error(error, "cloud") from error

    async def kill(self, node: NodeRef) -> None:
        """SIGKILL to the agent; its keeper ends all that it leaves, and says that it failed."""
        record = await asyncio.to_thread(self._host.read, node.id)
        if record is None or record["state"] != "running" or record["pid"] <= 1:
            raise InvalidRequest(f"no node {node.id} is running here", fix="see `stix status`")
        os.kill(record["pid"], signal.SIGKILL)

    async def _machine(self) -> HostFacts:
        if self._facts is None:
            machine = HostFacts(0, 0)
            if not self._settings.complete:
                machine = HostFacts.from_info(await asyncio.to_thread(facts))
            self._facts = self._settings.over(machine)
        return self._facts

    async def _command(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with self._commands:
            return await finish(act)

    async def _up(self, up: UpRequest) -> NodeRecord:
        return await self._command(lambda: self._agent.up(up))

    async def _undo(self, made: Sequence[NodeRecord], error: BaseException) -> NoReturn:
        """All or nothing: remove what was made, then raise."""
        ids = [record.id for record in made]
        if ids:
            await self._down(ids)
        if not isinstance(error, StixError):
            raise error
        raise cloud_error(error, "cloud") from error

    async def _down(self, ids: Sequence[str]) -> None:
        try:
            await self._command(lambda: self._agent.down(ids))
        except StixError as error:
            left = cloud_error(error, "cloud")
            left.created = tuple(ids)
            raise left from error

    async def _shut_down(self, node_id: str) -> bool:
        """Let the node's agent end itself; False where there is none that answers."""
        async with self._shutdowns:
            record = await asyncio.to_thread(self._host.read, node_id)
            if record is None or record["state"] != "running":
                return not await asyncio.to_thread(Path(self._host.directory(node_id)).exists)
            client = AgentClient(self._runner, record["socket"])
            try:
                async with asyncio.timeout(self._patience):
                    await client.shutdown()
            except (ConnectionLost, AgentError, TimeoutError):
                return False
            finally:
                await client.close()
            return True

    def _node(self, record: NodeRecord) -> Node:
        return node_of(record, NodeRef(self.name, record.id))
