"""One attempt of a stage run: its steps, and what it owes whatever happens.

The ledger is told what happened before anything else follows from it, so that an engine that takes
over at any point goes on from there instead of doing it again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from prefect import Task

from stix.engine.intent import Why, current_why, shielded
from stix.engine.runs import StepRun, step
from stix.engine.runtime import ATTEMPT, Attempt
from stix.errors import StixError
from stix.flows.placing import moved
from stix.ledger import Fenced
from stix.recovery.events import Cancelled, Event, NodeLost, event_from_dict
from stix.spec.states import AttemptState
from stix.tasks.checkpoint import last_checkpoint
from stix.tasks.collect import collect, store_logs
from stix.tasks.failures import FAILURE, StepFailed
from stix.tasks.place import place
from stix.tasks.provision import provision
from stix.tasks.release import release, release_nodes
from stix.tasks.run import run as run_step
from stix.tasks.run import setup as setup_step
from stix.tasks.sync import deliveries_wanted, sync

log = logging.getLogger("stix.engine")

TASKS: dict[str, Task[Any, Any]] = {
    "place": place,
    "provision": provision,
    "sync": sync,
    "setup": setup_step,
    "run": run_step,
    "collect": collect,
    "release": release,
}


class AttemptRun:
    """One attempt in the hands of this engine."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt, self.run = attempt, attempt.run
        self.ledger, self.fence = attempt.run.runtime.ledger, attempt.run.fence

    async def work(self) -> Event | None:
        """All steps but the release; what ended them, None where they succeeded.

        When this raises, the nodes are gone and the attempt is closed, but after a handover.
        """
        ATTEMPT.set(self.attempt)
        try:
            event = await self._known_end()
            if event is None:
                await self._steps()
            return event
        except StepFailed as failed:
            return failed.event
        except asyncio.CancelledError:
            if current_why() is Why.CANCEL:
                await shielded(self._abandon())
            raise
        except Fenced as error:  # another engine owns the run: its nodes are not ours to touch
            self.run.runtime.guard.die(str(error))
            raise
        except Exception:  # a fault of ours must not leak a machine
            await shielded(self._close(AttemptState.FAILED, None))
            raise

    async def _steps(self) -> None:
        if self.attempt.nodes:
            await moved(self.attempt)  # the engine before us may not have got to that
        for name in self.steps():
            await self._step(name)
            if name == "provision":
                await moved(self.attempt)

    async def end(self, event: Event | None) -> None:
        """Release the nodes and keep the logs. ``event`` is remembered first."""
        if event is not None and FAILURE not in self.attempt.steps:
            await self.attempt.finish_step(FAILURE, event.to_dict())
            await last_checkpoint(self.attempt, event)
        await self._release()
        if event is not None:
            await self._keep_logs()

    def steps(self) -> list[str]:
        """The steps before release that have something to do and are not done."""
        attempt = self.attempt
        if "collect" in attempt.steps:
            return []
        needed = {
            "place": not attempt.nodes,
            "provision": not attempt.ready,
            "sync": deliveries_wanted(attempt),
            "setup": bool(attempt.spec.setup),
            "run": True,
            "collect": True,
        }
        return [name for name, wanted in needed.items() if wanted and name not in attempt.steps]

    async def _known_end(self) -> Event | None:
        """How the attempt ended, where that was so before this engine came."""
        attempt = self.attempt
        if FAILURE in attempt.steps:
            return event_from_dict(attempt.steps[FAILURE])
        if attempt.reopened and not attempt.nodes and "collect" not in attempt.steps:
            for cluster in await self.ledger.clusters(self.run.run_id):
                if cluster.token == attempt.token and cluster.closed is not None:
                    return NodeLost(detail="its nodes were removed while no engine was there")
        return None

    async def _step(self, name: str) -> None:
        self.run.runtime.guard.check()
        key, number = self.attempt.key, self.attempt.number
        label = name if number == 1 else f"{name} (attempt {number})"
        tags = (*self.run.tags, f"stix-stage:{key}", f"stix-step:{name}")
        run = StepRun(name=label, parts=(number, name), tags=tags)
        names = {"run_id": self.run.run_id, "stage": key, "attempt": number}
        await step(TASKS[name], run, names)

    async def _release(self) -> None:
        try:
            await self._step("release")
        except Fenced as error:
            self.run.runtime.guard.die(str(error))
            raise
        except Exception as error:  # noqa: BLE001  whatever Prefect does, the nodes must go
            log.warning("%s: release as a task failed: %r", self.attempt.token, error)
            await release_nodes(self.attempt, "released")

    async def _abandon(self) -> None:
        """What a cancelled attempt still owes."""
        reason = self.run.intent.reason or "cancelled"
        await self._close(AttemptState.CANCELLED, Cancelled(detail=reason))

    async def _close(self, state: AttemptState, event: Event | None) -> None:
        await self._release()
        await self._keep_logs()
        await self.ledger.finish_attempt(
            self.fence,
            self.attempt.key,
            self.attempt.number,
            state,
            event=event.to_dict() if event is not None else None,
        )

    async def _keep_logs(self) -> None:
        """Store the logs; a store out of reach must not change how the attempt ends."""
        try:
            await store_logs(self.attempt)
        except Fenced:
            raise
        except (StixError, OSError) as error:
            log.warning("%s: its logs are not stored: %s", self.attempt.token, error)
