"""Engines inside of the test's process, which share a ledger and come and go as it says."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stix.engine.intent import Why
from stix.flows.host import Host
from stix.ledger import AttemptRow, Claim, Ledger, RunRow, StageRow
from tests.support.workshop import TTL_S, Workshop


@dataclass
class Engine:
    """One engine that serves."""

    host: Host
    stop: threading.Event
    serving: asyncio.Task[None]

    async def leave(self) -> None:
        """Hand over, and free the runs, as a process does when it is told to end."""
        self.stop.set()
        await self.serving
        for held in list(self.host._held.values()):
            held.intent.why = held.intent.why or Why.RELINQUISH
            held.task.cancel()
            await asyncio.wait([held.task])
        await self.host.runtime.ledger.retire_engine(self.host.runtime.engine_id)


@dataclass
class Yard:
    """A workshop with any number of engines."""

    workshop: Workshop
    url: str
    engines: list[Engine] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        return self.workshop.ledger

    async def engine(self) -> Engine:
        """A new engine, which claims what is free."""
        engine_id = f"engine-{uuid.uuid4().hex[:8]}"
        await self.ledger.register_engine(engine_id, "test", os.getpid(), TTL_S)
        host = Host(replace(self.workshop.runtime, engine_id=engine_id), self.url)
        stop = threading.Event()
        made = Engine(host, stop, asyncio.create_task(host.serve(stop)))
        self.engines.append(made)
        return made

    async def close(self) -> None:
        for engine in self.engines:
            if not engine.serving.done():
                await engine.leave()

    async def start(self, text: str, **how: Any) -> str:
        """A run, and an engine for it where there is none."""
        run_id = await self.workshop.submit(text, **how)
        if not any(not e.serving.done() for e in self.engines):
            await self.engine()
        return run_id

    async def run(self, text: str, **how: Any) -> Ended:
        """A run to its end."""
        return await self.end(await self.start(text, **how))

    async def end(self, run_id: str) -> Ended:
        """Wait for the end of a run, of its flow and of what its engine does afterwards."""
        async with asyncio.timeout(90):
            while not (await self.ledger.run(run_id)).state.final or self._held(run_id):
                await asyncio.sleep(0.05)
                for engine in self.engines:
                    if engine.serving.done():
                        engine.serving.result()
        stages = {row.key: row for row in await self.ledger.stages(run_id)}
        attempts = await self.ledger.attempts(run_id)
        return Ended(await self.ledger.run(run_id), stages, attempts)

    def _held(self, run_id: str) -> bool:
        return any(run_id in engine.host._held for engine in self.engines)

    async def begun_elsewhere(self, text: str, **how: Any) -> tuple[Claim, Any]:
        """A run that an engine began with which will die: its claim, and how to let it die."""
        engine_id = f"engine-{uuid.uuid4().hex[:8]}"
        await self.ledger.register_engine(engine_id, "test", os.getpid(), TTL_S)
        run_id = await self.workshop.submit(text, **how)
        claim = await self.ledger.claim_run(engine_id, run_id)
        assert claim is not None
        await self.ledger.start_run(claim.fence)

        async def die() -> Ended:
            await self.ledger.retire_engine(engine_id)
            if not any(not e.serving.done() for e in self.engines):
                await self.engine()
            return await self.end(run_id)

        return claim, die


@dataclass(frozen=True)
class Ended:
    """A run that ended."""

    run: RunRow
    stages: Mapping[str, StageRow]
    attempts: list[AttemptRow]

    @property
    def state(self) -> str:
        return str(self.run.state)

    @property
    def states(self) -> dict[str, str]:
        return {key: str(row.state) for key, row in self.stages.items()}

    @property
    def message(self) -> str:
        return str((self.run.error or {}).get("message", ""))

    def numbers(self, key: str) -> list[int]:
        return [row.number for row in self.attempts if row.key == key]
