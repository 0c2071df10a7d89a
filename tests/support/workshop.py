"""What runs need, without a server: a ledger, the local cloud, a store and a vault of one home."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.client.orchestration import PrefectClient

from stix.clouds.base import Cloud, Node, Selector
from stix.config import Config
from stix.engine.guard import Guard
from stix.engine.runs import FlowRuns
from stix.engine.runtime import Attempt, CloudSet, RunContext, Runtime
from stix.flows.host import cloud_configs
from stix.flows.submit import Submission
from stix.ledger import Ledger
from stix.ledger.submission import new_run
from stix.plan.place import place
from stix.secrets import Vault
from stix.spec.changes.overrides import Overrides, split_secrets
from stix.spec.expand import points
from stix.spec.folders.sources import packed
from stix.spec.loader import load_file
from stix.spec.recovery import RecoveryPolicy
from stix.spec.wire import from_wire
from stix.storage.artifacts import Replicas
from stix.tasks.buckets import with_store
from tests.support.server import make_home

NOWHERE = "http://127.0.0.1:9/api"
TTL_S = 3600.0


@dataclass
class Workshop:
    """One home with one engine, which is this process."""

    runtime: Runtime
    folder: Path
    made: list[RunContext] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        return self.runtime.ledger

    async def submit(
        self, text: str, *, options: Mapping[str, Any] | None = None, **secrets: str
    ) -> str:
        """Record a run of the pipeline; its id."""
        path = self.folder / "pipeline.yaml"
        path.write_text(text)
        pipeline, found = split_secrets(load_file(path, Overrides(secrets=secrets)).pipeline)
        new = new_run(pipeline, f"run-{uuid.uuid4().hex[:10]}")
        code = {}
        for source in packed(pipeline.stages.values(), self.folder, found):
            new.uploads[source.key] = self.runtime.store.put_tar(source.content).digest
            code[source.key] = source.facts
        new.source.update(text=text, code=code)
        new.options.update(options or {})
        if found:
            self.runtime.vault.put(new.id, found)
        return await self.ledger.create_run(new)

    async def context(self, text: str, **how: Any) -> RunContext:
        """A run in our hands, placed, with its rows."""
        run_id = await self.submit(text, **how)
        claim = await self.ledger.claim_run(self.runtime.engine_id, run_id)
        assert claim is not None
        row = await self.ledger.run(run_id)
        spec = from_wire(row.spec)
        run = RunContext(
            runtime=self.runtime,
            run_id=run_id,
            name=row.name,
            fence=claim.fence,
            flow_run_id=uuid.uuid4(),
            pipeline=spec,
            specs=with_store(spec.resolved().stages, self.runtime.config.bucket_store),
            points={point.key: point for point in points(spec)},
            uploads=row.uploads,
            options=row.options,
            secrets=self.runtime.vault.get(run_id),
            code=row.source.get("code", {}),
        )
        run.plan = place(spec, await self.runtime.clouds.get("local").offers())
        run.stage_rows.update({s.key: s for s in await self.ledger.stages(run_id)})
        await self.ledger.start_run(run.fence)
        self.made.append(run)
        return run

    async def attempt(self, run: RunContext, key: str = "main", number: int = 1) -> Attempt:
        """An attempt of a stage, begun in the ledger."""
        point = run.points[key]
        attempt = Attempt(
            run=run,
            point=point,
            number=number,
            choice=run.plan.stages[point.stage].chosen,
            inputs={},
            policy=RecoveryPolicy.effective(run.specs[point.stage]),
        )
        await self.ledger.start_attempt(run.fence, key, number, attempt.choice.to_dict())
        return attempt

    async def nodes(self) -> list[Node]:
        return await self.nodes_of(self.runtime.clouds.get("local"))

    async def nodes_of(self, cloud: Cloud) -> list[Node]:
        return await cloud.list(Selector())


def submission(workshop: Workshop, text: str, **more: Any) -> Submission:
    """A pipeline file on this machine, as a deployment names it."""
    path = workshop.folder / "deployed.yaml"
    path.write_text(text)
    return Submission(path, **more)


@asynccontextmanager
async def open_workshop(
    ledger: Ledger, folder: Path, config_text: str = "", prefect: PrefectClient | None = None
) -> AsyncIterator[Workshop]:
    """A workshop, and nothing of it afterwards."""
    home = make_home(config_text or "local: {cpus: 8, memory: 16}\n")
    config = Config.load(home)
    config.create()
    engine_id = f"engine-{uuid.uuid4().hex[:8]}"
    await ledger.register_engine(engine_id, "test", os.getpid(), TTL_S)
    guard = Guard(TTL_S)
    guard.renewed(time.monotonic())
    client = prefect or PrefectClient(NOWHERE)
    runtime = Runtime(
        engine_id=engine_id,
        config=config,
        ledger=ledger,
        guard=guard,
        clouds=CloudSet(cloud_configs(config), {"local": True}, ledger),
        store=Replicas.open(config.artifact_stores, config.artifact_copies),
        vault=Vault(config.vault),
        prefect=client,
        flow_runs=FlowRuns(client),
    )
    workshop = Workshop(runtime, folder)
    try:
        yield workshop
    finally:
        cloud = runtime.clouds.get("local")
        await cloud.terminate([node.ref for node in await cloud.list(Selector())])
        await runtime.clouds.close()
        shutil.rmtree(home, ignore_errors=True)
        with suppress(OSError):
            shutil.rmtree(config.socket_dir())
