"""What a stage made, into the store of artifacts: sent by the node itself where that can be.

The node reads and hashes; the engine says which chunks the store lacks and signs a request for
each, which the store takes with those bytes alone; the manifest is written by the engine, last.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import tempfile
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stix.clouds.base import Node
from stix.engine.runtime import Attempt
from stix.remote.agent import AgentError
from stix.remote.base import Runner
from stix.remote.local import LocalRunner
from stix.storage.artifacts import ArtifactStore, Stored
from stix.storage.artifacts.manifest import CHUNK_SIZE, Entry, Manifest, build
from stix.storage.base import Signed, StorageError
from stix.tasks.hosts import Host, agent_of, host_of
from stix.tasks.pull import ROUND_S

SIGNED_AT_ONCE = 512
STALLS = 3
ANYTHING = "0" * 64
"""A digest to ask with whether requests can be signed at all."""


class CannotSend(StorageError):
    """The node does not get its chunks to the store."""


async def push(attempt: Attempt, node: Node, runner: Runner, path: str) -> Stored:
    """Store the file or folder at ``path`` on a node.

    Raises:
        FileNotFoundError: Nothing is there.
        StorageError: It cannot be stored; says what is in the way.
        ConnectionLost: The node does not answer; what the store has by then is not sent again.
    """
    if isinstance(runner, LocalRunner):
        if not Path(path).exists():
            raise FileNotFoundError(path)
        return await asyncio.to_thread(attempt.store.put_path, path)
    sending = Sending(attempt, node, path, runner, host_of(node))
    if await asyncio.to_thread(sending.possible):
        try:
            return await sending.run()
        except CannotSend:
            pass  # the engine's own way may be open
    with tempfile.TemporaryDirectory(prefix="stix-push-") as folder:
        here = Path(folder) / Path(path).name
        await runner.get(path, here)
        return await asyncio.to_thread(attempt.store.put_path, here)


@dataclass
class Sending:
    """One path of a node on its way into the store."""

    attempt: Attempt
    node: Node
    path: str
    runner: Runner
    host: Host
    under_way: set[concurrent.futures.Future[Any]] = field(default_factory=set)
    over: bool = False

    def possible(self) -> bool:
        """Whether the first store that is written to takes signed requests from this host."""
        return self._may_send(self.attempt.store.writers()[0].store.signed_put(ANYTHING))

    def _may_send(self, signed: Signed | None) -> bool:
        return signed is not None and self.host.may_reach(self.runner, signed)

    async def run(self) -> Stored:
        """Read, send and commit."""
        self.loop = asyncio.get_running_loop()
        self.agent = agent_of(self.runner, self.node)
        try:
            manifest = await self._read()
            return await asyncio.to_thread(self.attempt.store.put_by, self._into(manifest))
        except AgentError as error:
            raise CannotSend(f"{self.path} cannot be read there: {error.message}") from error
        finally:
            # Where we are cancelled, the thread is not: it ends at its next call.
            self.over = True
            for call in list(self.under_way):
                call.cancel()

    async def _read(self) -> Manifest:
        order = {"path": self.path, "chunk_size": CHUNK_SIZE}
        answer = await self.agent.move("hashed", order, ROUND_S)
        if answer["state"] == "missing":
            raise FileNotFoundError(self.path)
        if answer["state"] == "refused":
            raise StorageError(answer["words"], fix=answer["fix"])
        return build(answer["kind"], map(_entry, answer["entries"]))

    def _into(self, manifest: Manifest) -> Any:
        parts = parts_of(manifest)

        def send(store: ArtifactStore) -> Stored:
            return store.take(manifest, lambda missing: self._bring(store, parts, missing))

        return send

    def _bring(
        self, store: ArtifactStore, parts: Mapping[str, Mapping[str, Any]], missing: Sequence[str]
    ) -> int:
        """Have the node send these chunks; how many bytes they are. In a thread."""
        left, stalls = list(missing), 0
        while left:
            signed = {c: store.signed_put(c) for c in left[:SIGNED_AT_ONCE]}
            usable = {c: s for c, s in signed.items() if s is not None and self._may_send(s)}
            if len(usable) < len(signed):
                raise CannotSend(f"{store.url} takes no signed requests from this host.")
            order = {"path": self.path, "parts": [_part(parts[c], usable[c]) for c in usable]}
            answer = self._call(self._push(order))
            if "changed" in answer:
                raise StorageError(answer["changed"], fix="Try again when nothing writes to it.")
            sent = set(answer["sent"])
            left = [chunk for chunk in left if chunk not in sent]
            trouble = answer.get("trouble", {})
            if trouble.get("kind") == "unreachable":
                self.host.failed(next(iter(usable.values())))
            stalls = 0 if sent else stalls + 1
            if stalls >= STALLS:
                raise CannotSend(f"The node cannot send to {store.url}: {trouble.get('words')}.")
        return sum(parts[chunk]["size"] for chunk in missing)

    async def _push(self, order: Mapping[str, Any]) -> dict[str, Any]:
        async with self.host.calls:
            return await self.agent.move("push", order, ROUND_S)

    def _call(self, act: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        """From a thread: do it in the event loop, and wait."""
        if self.over:
            act.close()
            raise CannotSend("The attempt was given up.")
        call = asyncio.run_coroutine_threadsafe(act, self.loop)
        self.under_way.add(call)
        try:
            return call.result()
        finally:
            self.under_way.discard(call)


def parts_of(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """Chunk to a place where it lies: the file (empty for the path itself), offset and size."""
    found: dict[str, dict[str, Any]] = {}
    for entry in manifest.entries:
        file = entry.path if manifest.kind == "tree" else ""
        for number, chunk in enumerate(entry.chunks):
            begin = number * manifest.chunk_size
            size = min(manifest.chunk_size, entry.size - begin)
            found.setdefault(chunk, {"file": file, "offset": begin, "size": size, "chunk": chunk})
    return found


def _part(part: Mapping[str, Any], signed: Signed) -> dict[str, Any]:
    return {**part, "url": signed.url, "headers": dict(signed.headers)}


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        path=row["path"],
        type=row["type"],
        mode=row.get("mode", 0),
        size=row.get("size", 0),
        chunks=tuple(row.get("chunks", ())),
        target=row.get("target", ""),
    )
