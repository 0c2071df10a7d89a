"""Containers as nodes: hardened, with one volume each, sharing this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stix.clouds.agents import agrees, demand_dict, finish, settle
from stix.clouds.base import CreateRequest, Identity, Node, NodeRef, NodeState, Resource, Selector
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.docker import spec
from stix.clouds.docker.engine import Engine
from stix.clouds.docker.settings import read, socket_of
from stix.clouds.docker.volumes import KIND, NamedVolumes, kind_of
from stix.clouds.errors import CapacityError, CloudError, InvalidRequest
from stix.clouds.hosts import HostFacts
from stix.clouds.locks import TokenLocks
from stix.clouds.volumes import Volume, VolumeKind, VolumeWish
from stix.node.agent.errors import AgentError
from stix.node.agent.facts import facts
from stix.node.agent.reservations import place
from stix.plan.offers import Offer
from stix.remote.base import Runner
from stix.remote.container import ContainerRunner

NEW = ("created", "configured", "initialized")
Nodes = list[Node]
Resources = list[Resource]
Volumes = list[Volume]
RESERVING = (*NEW, "running", "paused", "restarting")
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class DockerCloud:
    """Nodes are containers of one engine, which is reached by its Unix socket.

    Ports of a wish are published for its first node alone: the machine has each port once.
    ``disk_gib`` is not bounded, since engines cannot bound volumes.
    """

    name = "docker"
    opt_in = True
    container_image = True
    host_ports = True  # published, or the network is the host's
    breaker = False  # a socket of this machine: it answers at once or not at all

    def __init__(self, config: CloudConfig) -> None:
        self._home_id = config.home_id
        self._settings = read(self.name, config.settings)
        self._socket = socket_of(self.name, config.settings)
        self._engine = Engine(self.name, self._socket)
        self._volumes = NamedVolumes(self._engine, self.name, self._home_id, self._settings)
        locks = config.home / "cache"
        self._tokens = TokenLocks(locks / f"{self.name}-tokens")
        self._room = TokenLocks(locks / f"{self.name}-room")
        self._facts: tuple[HostFacts, float, str] | None = None

    def credentials(self) -> str:
        """The engine's socket, where there is one."""
        return self._socket if Path(self._socket).exists() else ""

    async def check(self) -> Identity:
        info = await self._engine.call("GET", "/info")
        machine, _, arch = await self._machine()
        words = f"{self.name} {info['ServerVersion']}, {machine.size()}, {arch}"
        return Identity(str(info["Name"]), words)

    async def offers(self) -> Sequence[Offer]:
        machine, _, arch = await self._machine()
        return [
            Offer(
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
                arch=arch,
            )
        ]

    async def create(self, request: CreateRequest) -> list[Node]:
        if request.offer.region != "-" or request.offer.zone is not None:
            raise InvalidRequest(
                f"the {self.name} cloud has no place {request.offer.infra}",
                fix=f"write `infra: {self.name}`",
            )
        tags = {**request.tags, HOME_TAG: self._home_id}
        whole = replace(request, tags=tags, image=request.image or self._settings.image)
        await self._engine.ensure_image(whole.image, pull=self._settings.pull)
        await self._volumes.demand(whole.volumes)
        async with self._tokens.hold(request.token):
            return await finish(lambda: self._create(whole))

    async def list(self, selector: Selector) -> list[Node]:
        found = [c for c in await self._engine.containers(self._home_id) if spec.meta_of(c)]
        nodes = await asyncio.gather(*(self._node(c) for c in found))
        return [node for node in nodes if agrees(node.tags, selector)]

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        wanted = {node.id for node in nodes}
        ours = await self._engine.containers(self._home_id) if wanted else []
        found = [c for c in ours if c["Id"][:12] in wanted and spec.meta_of(c)]
        _, errors = await settle([self._remove(c["Id"], spec.meta_of(c)["volume"]) for c in found])
        if errors:
            raise errors[0]

    async def runner(self, node: Node) -> Runner:
        return ContainerRunner(self._engine.api, node.ref.id)

    async def close(self) -> None:
        await self._engine.close()

    async def preempt(self, node: NodeRef) -> None:
        """The name is what can be changed of a container, and tells why it ended."""
        listed = await self._listed(node)
        name = listed["Names"][0].strip("/").removesuffix(spec.TAKEN_AWAY) + spec.TAKEN_AWAY
        await self._engine.call("POST", f"/containers/{listed['Id']}/rename", params={"name": name})
        await self._engine.call("POST", f"/containers/{listed['Id']}/kill")

    async def kill(self, node: NodeRef) -> None:
        listed = await self._listed(node)
        await self._engine.call("POST", f"/containers/{listed['Id']}/kill")

    async def resources(self) -> Resources:
        """Volumes of nodes, and the network that they share."""
        holders: dict[str, list[str]] = {}
        for listed in await self._engine.containers(self._home_id):
            volume = spec.meta_of(listed).get("volume", "")
            holders.setdefault(volume, []).append(listed["Id"][:12])
        found = [
            Resource(self.name, "volume", v["Name"], tags=v["Labels"] or {}, billed=False,
                     used_by=tuple(holders.get(v["Name"], ())))
            for v in await self._engine.labelled("volumes", self._home_id)
        ]  # fmt: skip
        return found + [
            Resource(self.name, "network", n["Name"], tags=n["Labels"], billed=False, shared=True)
            for n in await self._engine.labelled("networks", self._home_id)
        ]

    async def remove(self, resources: Sequence[Resource]) -> None:
        kinds = {"volume": "volumes", "network": "networks"}
        acts = [self._engine.remove(f"/{kinds[r.kind]}/{r.id}") for r in resources]
        _, errors = await settle(acts)
        if errors:
            raise errors[0]

    @classmethod
    def volume_kinds(cls) -> Mapping[str, VolumeKind]:
        return {kind_of(cls.name): KIND}

    async def create_volume(self, wish: VolumeWish) -> Volume:
        async with self._tokens.hold(f"volume {wish.name}"):
            return await finish(lambda: self._volumes.create(wish))

    async def volumes(self) -> Volumes:
        return await self._volumes.all()

    async def delete_volume(self, wish: VolumeWish) -> None:
        await self._volumes.delete(wish)

    async def _machine(self) -> tuple[HostFacts, float, str]:
        """What we may use, the processors that there are, and their kind."""
        if self._facts is None:
            info = await self._engine.call("GET", "/info")
            own, cores = self._settings, float(info["NCPU"])
            accelerators = own.accelerators
            if accelerators is None:
                here = await asyncio.to_thread(facts)
                accelerators = HostFacts.from_info(here).accelerators
            memory = own.memory_gib or round(info["MemTotal"] / spec.GIB, 2)
            machine = HostFacts(own.cpus or cores, memory, accelerators)
            arch = ARCHITECTURES.get(info["Architecture"], "")
            self._facts = machine, cores, arch
        return self._facts

    async def _create(self, request: CreateRequest) -> Nodes:
        made: dict[str, str] = {}
        try:
            async with self._room.hold("room"):
                await self._make(request, made)
            here = await self._engine.containers(self._home_id, request.token)
            new = [c for c in here if c["State"] in NEW]
            _, errors = await settle([self._start(request, c) for c in new])
            if errors:
                raise errors[0]
        except CloudError as error:
            await self._undo(made, error)
        here = await self._engine.containers(self._home_id, request.token)
        nodes = await asyncio.gather(*(self._node(listed) for listed in here))
        return sorted(nodes, key=lambda node: node.rank)

    async def _make(self, request: CreateRequest, made: dict[str, str]) -> None:
        """Containers of the ranks that are missing, not started. They hold their room."""
        present = set()
        for old in await self._engine.containers(self._home_id, request.token):
            if old["State"] in RESERVING:
                present.add(spec.meta_of(old)["rank"])
            else:
                await self._remove(old["Id"], spec.meta_of(old)["volume"])
        missing = [rank for rank in range(request.count) if rank not in present]
        for plan in await self._plans(request, missing):
            made[""] = plan.name  # its volume may be made although the answer is lost
            made[await self._engine.make(plan, self._settings)] = plan.name

    async def _plans(self, request: CreateRequest, ranks: Sequence[int]) -> Sequence[spec.Plan]:
        machine, cores, _ = await self._machine()
        network = self._settings.network
        if ranks and not network:
            network = await self._engine.ensure_network(self._home_id)
        everybody = [c for c in await self._engine.containers(None) if c["State"] in RESERVING]
        taken = [meta for c in everybody if "demand" in (meta := spec.meta_of(c))]
        plans = []
        for rank in ranks:
            demand = demand_dict(request.demand)
            try:
                indices = place(demand, machine.limits(), taken)
            except AgentError as error:
                raise CapacityError(f"{self.name}: {error}", scope="cloud") from error
            taken.append({"demand": demand, "accelerators": indices})
            plans.append(spec.Plan(request, rank, network, machine, cores, indices))
        return plans

    async def _start(self, request: CreateRequest, listed: dict[str, Any]) -> None:
        content = spec.content(request, spec.meta_of(listed), self._settings)
        await self._engine.start(listed["Id"], request.image, content)

    async def _undo(self, made: dict[str, str], error: CloudError) -> None:
        """All or nothing: remove what this call made, then raise."""
        names = set(made.values())
        left = [c for c in await self._engine.containers(self._home_id)
                if spec.meta_of(c).get("volume") in names]  # fmt: skip
        acts = [self._remove(c["Id"], spec.meta_of(c)["volume"]) for c in left]
        acts += [self._engine.remove(f"/volumes/{name}") for name in names]
        _, failed = await settle(acts)
        if failed:
            ids = tuple(c["Id"][:12] for c in left)
            raise CloudError(f"{error.message}; {failed[0]}", created=ids) from error
        raise error

    async def _remove(self, container: str, volume: str) -> None:
        await self._engine.remove_container(container)
        await self._engine.remove(f"/volumes/{volume}")

    async def _listed(self, node: NodeRef) -> dict[str, Any]:
        for listed in await self._engine.containers(self._home_id):
            if listed["Id"][:12] == node.id and listed["State"] == "running":
                return listed
        raise InvalidRequest(f"{self.name}: no node {node.id} is running", fix="see `stix status`")

    async def _node(self, listed: dict[str, Any]) -> Node:
        over = spec.STATES.get(listed["State"]) is NodeState.FAILED
        return spec.node(self.name, listed, await self._engine.why(listed["Id"]) if over else "")


class PodmanCloud(DockerCloud):
    """The same, by the service of podman (``podman system service``)."""

    name = "podman"
