"""The smallest cloud that conforms: a node is a folder on this machine, with processes in it.

It shows what an adapter needs, and carries the seeded defects that the suite must find.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stix.clouds.base import CreateRequest, Identity, Node, NodeRef, NodeState, Selector
from stix.clouds.errors import CapacityError, CloudError, InvalidRequest
from stix.plan.offers import Demand, Offer
from stix.remote.base import Runner
from stix.remote.local import LocalRunner

OFFER = Offer("folder", "-", None, "desk", 4, 8, capacity=1, shared=True)
DEMAND = Demand(cpus=1)
ROOM = 4


class FolderCloud:
    """Holds ``ROOM`` nodes of ``DEMAND`` below ``base``."""

    name = "folder"

    def __init__(self, base: Path) -> None:
        self.base = base
        base.mkdir(parents=True, exist_ok=True)

    async def check(self) -> Identity:
        return Identity(str(self.base))

    async def offers(self) -> Sequence[Offer]:
        return [OFFER]

    async def create(self, request: CreateRequest) -> list[Node]:
        return self._create(request)

    def _create(self, request: CreateRequest) -> list[Node]:
        if request.offer != OFFER:
            raise InvalidRequest(f"there is no {request.offer.instance_type}")
        with self._lock():
            there = self._known(request)
            missing = [rank for rank in range(request.count) if rank not in there]
            self._claim(request, missing)
            for rank in missing:
                there[rank] = self._make(request, rank)
        return [there[rank] for rank in range(request.count)]

    def _known(self, request: CreateRequest) -> dict[int, Node]:
        return {n.rank: n for n in self._nodes() if n.tags["stix-token"] == request.token}

    def _claim(self, request: CreateRequest, missing: Sequence[int]) -> None:
        wanted = (request.demand.cpus or 0) * len(missing)
        if wanted > OFFER.cpus - DEMAND.cpus * len(list(self._nodes())):
            raise CapacityError("the desk is full", scope="type")

    def _make(self, request: CreateRequest, rank: int) -> Node:
        folder = self.base / f"{request.token}-{rank}"
        folder.mkdir()
        node = Node(
            ref=NodeRef(self.name, folder.name),
            state=NodeState.RUNNING,
            address="127.0.0.1",
            rank=rank,
            directory=str(folder),
            tags=dict(request.tags),
        )
        self._write(node)
        return node

    async def list(self, selector: Selector) -> list[Node]:
        return [n for n in self._nodes() if self._agrees(n, selector)]

    def _agrees(self, node: Node, selector: Selector) -> bool:
        return all(node.tags.get(k) == v for k, v in selector.tags.items())

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            self._kill(node.id)
            shutil.rmtree(self.base / node.id, ignore_errors=True)

    async def runner(self, node: Node) -> Runner:
        return LocalRunner()

    async def close(self) -> None:
        return None

    async def preempt(self, node: NodeRef) -> None:
        self._hurt(node, NodeState.PREEMPTED)

    async def kill(self, node: NodeRef) -> None:
        self._hurt(node, NodeState.FAILED)

    def _hurt(self, ref: NodeRef, state: NodeState) -> None:
        self._kill(ref.id)
        node = next(n for n in self._nodes() if n.ref == ref)
        self._write(Node.from_dict({**node.to_dict(), "state": str(state)}))

    def _kill(self, node_id: str) -> None:
        while pids := marked(node_id):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)

    def _nodes(self) -> Iterator[Node]:
        for file in sorted(self.base.glob("*/node.json")):
            yield Node.from_dict(json.loads(file.read_text()))

    def _write(self, node: Node) -> None:
        data: dict[str, Any] = node.to_dict()
        (Path(node.directory) / "node.json").write_text(json.dumps(data))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.base / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def marked(node_id: str) -> list[int]:
    """Processes whose environment names the node."""
    sign = f"STIX_NODE_ID={node_id}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and sign in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # it ended, or is not ours to look into
    return found


async def remains(base: Path) -> list[str]:
    """Folders of nodes, and processes that name one."""
    folders = [entry.name for entry in base.iterdir() if entry.is_dir()]
    return folders + [f"process {pid}" for pid in marked_below(base)]


def marked_below(base: Path) -> list[int]:
    """Live processes whose working directory is, or was, below ``base``."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            here = entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(str(base))
            dead = b"\nState:\tZ" in (entry / "status").read_bytes() if here else True
        except OSError:
            continue
        if not dead:
            found.append(int(entry.name))
    return found


class NotIdempotent(FolderCloud):
    """Makes new nodes for a token it has seen."""

    def _known(self, request: CreateRequest) -> dict[int, Node]:
        return {}

    def _make(self, request: CreateRequest, rank: int) -> Node:
        while (self.base / f"{request.token}-{rank}").exists():
            rank += 100
        return super()._make(request, rank)


class LeaksOnRefusal(FolderCloud):
    """Makes nodes one by one, and leaves those before the one that did not fit."""

    def _claim(self, request: CreateRequest, missing: Sequence[int]) -> None:
        for rank in missing:
            super()._claim(request, [rank])
            if len(missing) > ROOM:
                self._make(request, rank)


class UntypedShortage(FolderCloud):
    """Says that something failed where there is no room."""

    def _claim(self, request: CreateRequest, missing: Sequence[int]) -> None:
        try:
            super()._claim(request, missing)
        except CapacityError as error:
            raise CloudError(error.message) from None


class TagsByPart(FolderCloud):
    """Finds a tag by a part of its value."""

    def _agrees(self, node: Node, selector: Selector) -> bool:
        return all(v in node.tags.get(k, "") for k, v in selector.tags.items())


class PlainTags(FolderCloud):
    """Keeps only the ASCII characters of tags."""

    def _write(self, node: Node) -> None:
        plain = {k: v.encode("ascii", "ignore").decode() for k, v in node.tags.items()}
        super()._write(Node.from_dict({**node.to_dict(), "tags": plain}))


class LoudOnMissing(FolderCloud):
    """Complains about nodes that are gone."""

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            if not (self.base / node.id).exists():
                raise InvalidRequest(f"there is no node {node.id}")
            await super().terminate([node])


class LeavesProcesses(FolderCloud):
    """Removes a node's folder and forgets what runs in it."""

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            shutil.rmtree(self.base / node.id, ignore_errors=True)


class ForgetsWhatItMakes(FolderCloud):
    """Goes on in a thread after the call was cancelled."""

    async def create(self, request: CreateRequest) -> list[Node]:
        def slowly() -> list[Node]:
            time.sleep(0.03)
            return self._create(request)

        return await asyncio.to_thread(slowly)


class OneWordForBadLuck(FolderCloud):
    """Reports a preempted node as failed."""

    async def preempt(self, node: NodeRef) -> None:
        self._hurt(node, NodeState.FAILED)


class ClosesOnce(FolderCloud):
    """Cannot be closed twice."""

    closed = False

    async def close(self) -> None:
        if self.closed:
            raise CloudError("closed already")
        self.closed = True
