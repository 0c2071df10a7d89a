"""Artifacts onto a host: fetched by the host itself, each chunk once for all of its nodes.

The engine signs a URL for each chunk that the host lacks; what the host cannot fetch, it passes on.
"""

from __future__ import annotations

import asyncio
import logging
import posixpath
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stix.clouds.base import Node
from stix.engine.runtime import Attempt
from stix.remote.agent import AgentError
from stix.remote.base import Runner
from stix.remote.local import LocalRunner
from stix.storage.artifacts.chunks import ordered
from stix.storage.artifacts.manifest import Manifest
from stix.storage.base import Signed, StorageError
from stix.tasks.hosts import SEVERAL, Host, agent_of, host_of
from stix.tasks.jobs import runner_of

ROUND_S = 15.0
"""How long a host works on its own before it is asked how far it is."""
SIGNED_S = 900
"""How long a signature is good: for a round, and a chunk that is slow."""
SIGNED_AT_ONCE = 2048
PASSED_AT_ONCE = 16
"""Chunks that the engine holds on its disk for a host."""
STALLS = 3
TROUBLES = 3
"""After so many rounds with failures the engine passes on what is left."""
TOLD_EVERY_S = 10.0
SMALL = 64
"""An artifact of so few chunks is asked for with all that may be needed, in one call."""


@dataclass
class Moved:
    """Bytes of an artifact by how they came to a host.

    Attributes:
        fetched: By the host from the store.
        passed: Through the engine.
        shared: From what the host had, found while it was fetched.
        copied: From the host's one copy of a file to that of the stage.
    """

    bytes: int = 0
    fetched: int = 0
    passed: int = 0
    shared: int = 0
    copied: int = 0
    chunks: int = 0

    def add(self, answer: Mapping[str, Any]) -> bool:
        """Count an answer of the host; whether it came any further."""
        found = {word: answer.get(word, {}).get("bytes", 0) for word in _WAYS}
        for word, size in found.items():
            setattr(self, word, getattr(self, word) + size)
        self.chunks += answer.get("fetched", {}).get("number", 0)
        self.copied += answer.get("placed", {}).get("bytes", 0)
        return any(found.values())

    def plus(self, other: Moved) -> Moved:
        """The sum of both."""
        return Moved(**{word: n + getattr(other, word) for word, n in self.__dict__.items()})

    def to_dict(self) -> dict[str, int]:
        return dict(self.__dict__)


_WAYS = ("fetched", "passed", "shared")


@dataclass
class Pull:
    """One artifact to one place on a node.

    Attributes:
        target: Absolute path there, or one that starts by ``~/``.
        linked: The stage is content with a link to the host's one copy of each file.
        limit: Bytes that the host may keep for later stages.
    """

    attempt: Attempt
    node: Node
    digest: str
    target: str
    linked: bool = False
    limit: int = 0
    log: logging.Logger | logging.LoggerAdapter[logging.Logger] = field(
        default_factory=lambda: logging.getLogger("stix.engine")
    )
    moved: Moved = field(default_factory=Moved)
    told: float = field(default_factory=time.monotonic)
    troubles: int = 0

    async def run(self) -> Moved:
        """Return when it is there.

        Raises:
            StorageError: It cannot be read, or cannot be written there.
            ConnectionLost: The node does not answer; what came stays, and a next try goes on.
        """
        self.host: Host = host_of(self.node)
        self.runner: Runner = await runner_of(self.attempt, self.node)
        self.reading = self.attempt.store.reading(self.digest)
        self.manifest: Manifest = await asyncio.to_thread(self.reading.manifest)
        self.moved.bytes = self.manifest.bytes
        self.agent = agent_of(self.runner, self.node)
        try:
            await self._rounds()
        except AgentError as error:
            raise StorageError(f"{self.target} cannot be written: {error.message}") from error
        return self.moved

    async def _rounds(self) -> None:
        names = list(dict.fromkeys(name for e in self.manifest.entries for name in e.chunks))
        small = len(names) <= SMALL
        urls = await self._signed(names) if small else {}
        text = self.manifest.encode().decode() if small else None
        stalls = 0
        while True:
            answer = await self._ask(urls, text)
            further = self.moved.add(answer)
            self._tell(answer)
            if answer["state"] == "done":
                return
            text = self.manifest.encode().decode() if answer["state"] == "manifest" else None
            urls, further = await self._next(answer, urls, further)
            stalls = 0 if further else stalls + 1
            if stalls >= STALLS:
                said = answer.get("trouble", {}).get("words", "nothing comes any more")
                raise StorageError(
                    f"Artifact {self.digest[:12]} does not come to the host: {said}.",
                    fix="Try again.",
                )

    async def _next(
        self, answer: Mapping[str, Any], urls: Mapping[str, Signed], further: bool
    ) -> tuple[dict[str, Signed], bool]:
        """The URLs for the next round, and whether there is reason to hope."""
        if answer["state"] == "manifest":
            return dict(urls), False
        trouble = answer.get("trouble", {}).get("kind", "")
        self.troubles += bool(trouble)
        if trouble == "unreachable" and urls:
            self.host.failed(next(iter(urls.values())))
        missing: list[str] = answer["missing"]
        if not missing:
            return {}, further or bool(answer["busy"])
        # What the store refused or does not have, another one may: the engine reads from all.
        signed = await self._signed(missing) if not trouble and self.troubles < TROUBLES else {}
        if len(signed) < len(missing):
            further = await self._pass_on() or further
        return signed, further or bool(signed)

    async def _ask(
        self, urls: Mapping[str, Signed], text: str | None = None, *, place: bool = True
    ) -> dict[str, Any]:
        order: dict[str, Any] = {
            "digest": self.digest,
            "target": self.target,
            "shared": self.linked,
            "place": place,
            "keep": self.node.ref.cloud in SEVERAL,
            "limit": self.limit,
            "urls": {c: {"url": s.url, "headers": dict(s.headers)} for c, s in urls.items()},
        }
        if text is not None:
            order["manifest"] = text
        async with self.host.calls:
            return await self.agent.move("pull", order, ROUND_S)

    async def _signed(self, chunks: Sequence[str]) -> dict[str, Signed]:
        """By the store that has the artifact; none where it cannot, or the host cannot go there."""
        if not chunks:
            return {}

        def sign() -> dict[str, Signed]:
            store = self.reading.store()
            first = store.signed(chunks[0], seconds=SIGNED_S)
            if first is None or not self.host.may_reach(self.runner, first):
                return {}
            made = {c: store.signed(c, seconds=SIGNED_S) for c in chunks[:SIGNED_AT_ONCE]}
            return {c: s for c, s in made.items() if s is not None}

        return await asyncio.to_thread(sign)

    async def _pass_on(self) -> bool:
        """Bring a few chunks to the host through this machine; those that it lacks now."""
        async with self.host.passing:
            answer = await self._ask({}, place=False)
            further = self.moved.add(answer)
            missing = answer.get("missing", [])[:PASSED_AT_ONCE]
            if not missing:
                return further or answer["state"] != "manifest"
            with tempfile.TemporaryDirectory(prefix="stix-pass-") as folder:
                await asyncio.to_thread(self._read, missing, Path(folder))
                await self.runner.put(Path(folder), answer["incoming"])
                # It takes them in at once, so that nobody else is asked for them.
                return self.moved.add(await self._ask({}, place=False)) or further

    def _read(self, chunks: Sequence[str], folder: Path) -> None:
        for chunk, data in zip(chunks, ordered(self.reading.get, chunks), strict=True):
            (folder / chunk).write_bytes(data)

    def _tell(self, answer: Mapping[str, Any]) -> None:
        """Into the stage's log, now and then."""
        now = time.monotonic()
        if answer["state"] != "done" and now - self.told < TOLD_EVERY_S:
            return
        if answer["state"] == "done" and self.moved.bytes < 2**20:
            return
        self.told = now
        m = self.moved
        self.log.info(
            "[%d] %s: %s of %s came from the store, %s through the engine, %s of the host's own%s",
            self.node.rank,
            posixpath.basename(self.target.rstrip("/")),
            *map(_size, (m.fetched, m.bytes, m.passed, m.shared)),
            "; it is there" if answer["state"] == "done" else "",
        )


def is_here(runner: Runner, attempt: Attempt, digest: str) -> bool:
    """Whether both the node and the store are this machine: then nothing has to be moved."""
    if not isinstance(runner, LocalRunner):
        return False
    return attempt.store.reading(digest).store().backend.scheme == "file"


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count < 2**30 else f"{count / 2**30:.2f} GiB"
