"""From a machine that was ordered to a node that takes jobs: wait, log in, start our agent."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from stix.clouds.agents import cloud_error
from stix.clouds.base import Node, NodeState
from stix.clouds.config import TOKEN_TAG
from stix.clouds.errors import CapacityError, NodeGone, TransientError
from stix.clouds.rented.machines import Traits
from stix.errors import StixError
from stix.remote.agent import HostAgent, UpRequest
from stix.remote.base import ConnectionLost, LoginRefused, Runner
from stix.remote.ssh_target import SshTarget

BASE = "~/.stix"
GREET_S = 15.0
BOOTING = (NodeState.STARTING,)
Look = Callable[[], Awaitable[Node | None]]
"""The node as the provider reports it now; None where it knows none."""


class Reach:
    """The ways to the machines of one cloud; connections are shared and kept.

    Args:
        folder: For the host keys of machines: addresses are used again by others, so each machine
            has a file of its own.
        key: Our private key.
    """

    def __init__(self, folder: Path, key: Path) -> None:
        self._folder = folder
        self._key = key
        # By machine too: the next machine of an address is another, with a host key of its own.
        self._runners: dict[tuple[str, str], Runner] = {}

    async def runner(self, node: Node) -> Runner:
        """The way to run commands there.

        Raises:
            TransientError: the provider has not said yet where it is.
        """
        from stix.remote.ssh import SshRunner  # asyncssh takes 0.2 s to load

        if not node.login:
            raise TransientError(f"{node.ref.cloud}: {node.ref.id} has no address yet")
        way = (node.ref.id, node.login)
        if way not in self._runners:
            user, _, place = node.login.rpartition("@")
            host, _, port = place.rpartition(":")
            target = SshTarget(
                host=host.strip("[]"),
                known_hosts=self._host_keys(node.ref.id),
                port=int(port),
                user=user,
                identity_file=self._key,
            )
            self._runners[way] = SshRunner(target)
        return self._runners[way]

    async def prepare(self, node: Node, look: Look, traits: Traits) -> Node:
        """See ``CanPrepare.prepare``."""
        try:
            async with asyncio.timeout(traits.boot_s):
                up = await self._booted(node, look, traits)
                return await self._with_agent(up, look, traits)
        except TimeoutError:
            raise TransientError(
                f"{node.ref.cloud}: {node.ref.id} did not answer within {traits.boot_s:g} s"
            ) from None

    async def forget(self, node_id: str) -> None:
        """The machine is gone."""
        self._host_keys(node_id).unlink(missing_ok=True)
        for way in [way for way in self._runners if way[0] == node_id]:
            await self._runners.pop(way).close()

    async def close(self) -> None:
        runners, self._runners = list(self._runners.values()), {}
        for runner in runners:
            await runner.close()

    def _host_keys(self, node_id: str) -> Path:
        return self._folder / hashlib.sha256(node_id.encode()).hexdigest()[:24]

    async def _booted(self, node: Node, look: Look, traits: Traits) -> Node:
        missed = 0
        while True:
            now = await look()
            if now is None:
                missed += 1
                # A listing may lag behind; what stays away was taken away.
                if missed * traits.poll_s > traits.lag_s + traits.poll_s:
                    raise NodeGone(f"{node.ref.cloud}: {node.ref.id} is gone before it was ready")
            elif now.state is NodeState.RUNNING and now.login:
                return now
            elif now.state is NodeState.FAILED:
                words = now.reason or "the provider could not make it"
                raise CapacityError(f"{node.ref.cloud}: {node.ref.id}: {words}", scope="zone")
            elif now.state not in (NodeState.RUNNING, *BOOTING):
                taken = now.state is NodeState.PREEMPTED
                raise NodeGone(
                    f"{node.ref.cloud}: {node.ref.id} is {now.state} before it was ready: "
                    f"{now.reason}",
                    preempted=taken,
                )
            await asyncio.sleep(traits.poll_s)

    async def _with_agent(self, node: Node, look: Look, traits: Traits) -> Node:
        while True:
            try:
                return await self._up(node)
            except (ConnectionLost, LoginRefused) as error:
                # sshd answers before cloud-init has put our key there.
                last: StixError = error
            except StixError as error:
                raise cloud_error(error, "zone", node.ref.id) from error
            await self._drop(node)
            await asyncio.sleep(traits.poll_s)
            try:
                node = await self._booted(node, look, traits)
            except NodeGone as gone:
                gone.__cause__ = last
                raise

    async def _up(self, node: Node) -> Node:
        runner = await self.runner(node)
        try:
            async with asyncio.timeout(GREET_S):
                await runner.run(["true"])
        except TimeoutError as error:
            raise ConnectionLost(f"no answer within {GREET_S:g} s") from error
        agent = HostAgent(runner, BASE)
        wish = UpRequest(
            token=node.tags.get(TOKEN_TAG, node.ref.id),
            rank=node.rank,
            name=node.ref.id,
            tags=dict(node.tags),
            address=node.address,
        )
        record = await agent.up(wish)
        life = 0
        while record.state != "running":  # the machine was stopped since, and its disk kept
            life += 1
            record = await agent.up(replace(wish, token=f"{wish.token}+{life}"))
        found = {name: [*indices] for name, indices in record.accelerators.items()}
        return replace(node, directory=record.directory, socket=record.socket, accelerators=found)

    async def _drop(self, node: Node) -> None:
        runner = self._runners.pop((node.ref.id, node.login), None)
        if runner is not None:
            await runner.close()
