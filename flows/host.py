"""What an engine does all day: claim runs, run their flows, pass cancellations on."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from prefect.client.schemas.objects import FlowRun
from prefect.context import AsyncClientContext

from stix.clouds.config import CloudConfig
from stix.clouds.registry import names as cloud_names
from stix.config import Config
from stix.engine.guard import Guard
from stix.engine.intent import INTENT, Intent, Why, shielded
from stix.engine.private import check_contract, install_patience, run_flow
from stix.engine.runs import FlowRuns, FlowRunWish
from stix.engine.runtime import RUN, CloudSet, RunContext, Runtime
from stix.errors import StixError
from stix.flows.ending import close_ledger
from stix.flows.pipeline import pipeline
from stix.flows.takeover import close_orphans, close_run, fail_run
from stix.flows.ui_cancel import watch_cancellations
from stix.flows.worker import run_worker
from stix.ledger import Claim, Fenced, Ledger
from stix.secrets import Vault
from stix.spec.expand import points
from stix.spec.states import RunState
from stix.spec.wire import from_wire
from stix.storage.artifacts import Replicas
from stix.tasks.buckets import with_store

log = logging.getLogger("stix.engine")

CLAIM_LIMIT = 50
POLL_S = 3.0
# A zombie's request that was inside the server when the token moved may still commit.
SETTLE_S = 1.0


@dataclass(frozen=True)
class HostConfig:
    """What a host is made from."""

    config: Config
    engine_id: str
    guard: Guard
    ledger_url: str


@dataclass
class Held:
    """A run that this engine runs now."""

    task: asyncio.Task[None]
    intent: Intent
    context: RunContext | None = None


class Host:
    """All runs of this engine process."""

    def __init__(self, runtime: Runtime, ledger_url: str) -> None:
        self.runtime = runtime
        self._ledger_url = ledger_url
        self._held: dict[str, Held] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self._fault: BaseException | None = None

    @classmethod
    async def open(cls, made_from: HostConfig) -> Host:
        """Connect to everything a run needs."""
        check_contract()
        install_patience(made_from.guard.die)
        config = made_from.config
        client_context = await AsyncClientContext().__aenter__()
        client = client_context.client
        store = Replicas.open(config.artifact_stores, config.artifact_copies)
        ledger = await Ledger.open(made_from.ledger_url)
        enabled = {name: config.cloud_enabled(name) for name in cloud_names()}
        runtime = Runtime(
            engine_id=made_from.engine_id,
            config=config,
            ledger=ledger,
            guard=made_from.guard,
            clouds=CloudSet(cloud_configs(config), enabled, ledger),
            store=store,
            vault=Vault(config.vault),
            prefect=client,
            flow_runs=FlowRuns(client),
        )
        return cls(runtime, made_from.ledger_url)

    async def serve(self, stop: threading.Event) -> None:
        """Work until ``stop``; an error in any of the loops ends it."""
        loops = {
            "claim": self._claim_loop(),
            "listen": self._listen_loop(),
            "cancel": watch_cancellations(self.runtime.prefect, self.cancel_flow_run),
            "worker": run_worker(self.runtime, self.adopt),
        }
        tasks = [asyncio.create_task(loop, name=name) for name, loop in loops.items()]
        stopping = asyncio.create_task(_wait_for(stop))
        done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        self._closing = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done - {stopping}:
            task.result()

    async def close(self, timeout_s: float) -> None:
        """Hand the runs over: their jobs go on, their rows stay as they are."""
        for held in self._held.values():
            _stop(held, Why.RELINQUISH, "the engine stops")
        waiting = [held.task for held in self._held.values()]
        if waiting:
            await asyncio.wait(waiting, timeout=timeout_s)
        await self.runtime.clouds.close()
        await self.runtime.ledger.close()

    # -- claiming ---------------------------------------------------------------------------

    async def _claim_loop(self) -> None:
        while True:
            claims = await self.runtime.ledger.claim(self.runtime.engine_id, limit=CLAIM_LIMIT)
            for claim in claims:
                self._start(claim)
            if self._fault is not None:
                raise self._fault
            await self._pass_cancellations()
            if len(claims) < CLAIM_LIMIT:
                await _wait_event(self._wake, POLL_S)
            self._wake.clear()

    async def _listen_loop(self) -> None:
        async with self.runtime.ledger.listen("stix_work", "stix_cancel") as messages:
            async for _ in messages:
                self._wake.set()

    def _start(self, claim: Claim) -> None:
        intent = Intent()
        task = asyncio.create_task(self._run(claim, intent), name=f"run {claim.run_id}")
        held = Held(task, intent)
        self._held[claim.run_id] = held
        task.add_done_callback(lambda _: self._ended(claim.run_id, held))

    def _ended(self, run_id: str, held: Held) -> None:
        if self._held.get(run_id) is held:  # it may have been resumed and claimed again meanwhile
            del self._held[run_id]
        if not held.task.cancelled() and held.task.exception() is not None:
            self._fault = held.task.exception()
            self._wake.set()

    async def adopt(self, run_id: str) -> None:
        """Take the named run, if it is free, and wait for its end (a deployment's run).

        It may be in the hands of our own claim loop, or on the way there, or another engine's.
        """
        while not self._closing:
            claim = await self.runtime.ledger.claim_run(self.runtime.engine_id, run_id)
            if claim is not None:
                self._start(claim)
            held = self._held.get(run_id)
            if held is not None:
                await asyncio.wait([held.task])
            if (await self.runtime.ledger.run(run_id)).state.final:
                return
            await asyncio.sleep(POLL_S)

    # -- cancelling -------------------------------------------------------------------------

    async def _pass_cancellations(self) -> None:
        for run_id in await self.runtime.ledger.cancelling_runs(self.runtime.engine_id):
            held = self._held.get(run_id)
            if held is not None and held.context is not None and held.context.driving:
                run = await self.runtime.ledger.run(run_id)
                _stop(held, Why.CANCEL, run.reason or "cancelled")

    async def cancel_flow_run(self, flow_run_id: uuid.UUID) -> None:
        """Somebody pressed Cancel in the Prefect UI, on a run of ours or on one of its stages."""
        for run_id, held in list(self._held.items()):
            context = held.context
            if context is None:
                continue
            if (
                flow_run_id == context.flow_run_id
                or flow_run_id in context.stage_flow_runs.values()
            ):
                await self.runtime.ledger.request_cancel(run_id, "cancelled in the Prefect UI")
        self._wake.set()

    # -- running ----------------------------------------------------------------------------

    async def _run(self, claim: Claim, intent: Intent) -> None:
        """A run to its end. What this raises, it could not cope with: the engine ends by it."""
        INTENT.set(intent)
        try:
            await self._run_flow(claim, intent)
        except Fenced as error:
            await self._fenced(error)
            return
        except asyncio.CancelledError:
            if intent.why is None:
                raise
        except Exception as error:
            log.exception("run %s failed in the engine", claim.run_id)
            await self._fail(claim, f"the engine failed: {type(error).__name__}: {error}")
        if intent.why is not Why.RELINQUISH:  # its retirement frees all leases of the engine
            await shielded(self._leave(claim))

    async def _fenced(self, error: Fenced) -> None:
        """Another engine acts for a run of ours, or the run ended and was resumed meanwhile."""
        if await self.runtime.ledger.is_engine_fenced(self.runtime.engine_id):
            self.runtime.guard.die(str(error))
        log.info("%s", error.message)

    async def _fail(self, claim: Claim, reason: str) -> None:
        """End a run that met a fault of ours, in the ledger and in Prefect."""
        ledger = self.runtime.ledger
        held = self._held.get(claim.run_id)
        context = held.context if held is not None else None
        reason = reason if context is None else context.redacted(reason)
        try:
            if (await ledger.run(claim.run_id)).state.final:
                return
            await close_ledger(ledger, claim.fence, RunState.FAILED, reason)
        except Fenced as error:
            await self._fenced(error)
            return
        row = await ledger.run(claim.run_id)
        if row.flow_run_id:
            await fail_run(self.runtime.prefect, uuid.UUID(row.flow_run_id), reason)

    async def _leave(self, claim: Claim) -> None:
        row = await self.runtime.ledger.run(claim.run_id)
        if row.state.final:
            self.runtime.vault.delete(claim.run_id)
            return
        with suppress(Fenced):  # it was resumed after its end, and belongs to a newer claim
            await self.runtime.ledger.release(claim.fence)

    async def _run_flow(self, claim: Claim, intent: Intent) -> None:
        context, flow_run = await self._prepare(claim, intent)
        RUN.set(context)
        held = self._held.get(claim.run_id)
        if held is not None:
            held.context = context
        self._wake.set()  # a cancellation may have come while we prepared
        try:
            state = await run_flow(
                pipeline, flow_run, {"run_id": claim.run_id, "file": None, "envs": None}
            )
        finally:
            for release in list(context.releases):  # the sweeper does it, now that the run is over
                release.cancel()
        row = await self.runtime.ledger.run(claim.run_id)
        if not row.state.final:  # a fault of ours: the flow caught it, the ledger must know
            await self._fail(claim, state.message or "the pipeline's flow failed")
        if claim.takeover:
            rows = {row.key: row for row in await self.runtime.ledger.stages(claim.run_id)}
            await close_orphans(self.runtime.prefect, claim.run_id, flow_run.id, rows)

    async def _prepare(self, claim: Claim, intent: Intent) -> tuple[RunContext, FlowRun]:
        ledger = self.runtime.ledger
        row = await ledger.run(claim.run_id)
        spec = from_wire(row.spec)
        if claim.takeover and claim.flow_run_id:
            await asyncio.sleep(SETTLE_S)
            rows = {stage.key: stage for stage in await ledger.stages(claim.run_id)}
            root = uuid.UUID(claim.flow_run_id)
            await close_orphans(self.runtime.prefect, claim.run_id, root, rows)
            await close_run(self.runtime.prefect, root)
        flow_run = await self._flow_run(claim, row.name)
        context = RunContext(
            runtime=self.runtime,
            run_id=claim.run_id,
            name=row.name,
            fence=claim.fence,
            flow_run_id=flow_run.id,
            pipeline=spec,
            specs=with_store(spec.resolved().stages, self.runtime.config.bucket_store),
            points={point.key: point for point in points(spec)},
            uploads=row.uploads,
            options=row.options,
            secrets=self._secrets(claim.run_id, row.secret_names),
            intent=intent,
            takeover=claim.takeover,
            resumed=row.resumes,
            code=row.source.get("code", {}),
        )
        return context, flow_run

    def _secrets(self, run_id: str, names: Sequence[str]) -> dict[str, str]:
        """The values of the run's secrets.

        Raises:
            StixError: one is missing.
        """
        values = self.runtime.vault.get(run_id) if names else {}
        missing = [name for name in names if name not in values]
        if missing:
            raise StixError(
                f"the vault holds no value for {', '.join(missing)} of run {run_id}",
                fix=f"stix resume {run_id} --secret {missing[0]}",
            )
        return values

    async def _flow_run(self, claim: Claim, name: str) -> FlowRun:
        runs = self.runtime.flow_runs
        if claim.flow_run_id:
            flow_run = await self.runtime.prefect.read_flow_run(uuid.UUID(claim.flow_run_id))
            if flow_run.state is not None and flow_run.state.is_pending():
                return flow_run
            return await runs.reopen(flow_run.id, "A new engine goes on with it.")
        parameters = {"run_id": claim.run_id}
        tags = ("stix", f"stix-run:{claim.run_id}", f"stix-pipeline:{name}")
        wish = FlowRunWish(pipeline, claim.run_id, claim.run_id, parameters, tags)
        flow_run = await runs.ensure(wish)
        await self.runtime.ledger.set_flow_run(claim.fence, str(flow_run.id))
        return flow_run


def _stop(held: Held, why: Why, reason: str) -> None:
    if held.intent.why is None:
        held.intent.why, held.intent.reason = why, reason
        held.task.cancel()


async def _wait_for(stop: threading.Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(0.1)


async def _wait_event(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def cloud_configs(config: Config) -> dict[str, CloudConfig]:
    """The surroundings of each installed cloud."""
    return {
        name: CloudConfig(
            home=config.home,
            socket_dir=config.socket_dir(),
            settings=config.cloud(name),
            home_id=config.home_id(),
        )
        for name in cloud_names()
    }
