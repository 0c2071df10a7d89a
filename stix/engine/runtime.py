"""What an engine process holds, and what belongs to one run and one attempt in it.

Prefect's tasks take only names as parameters (a run, a stage, an attempt), since parameters are
stored and shown. Everything else reaches them through these context variables, which the asyncio
task of a run sets and its children inherit.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.client.orchestration import PrefectClient

from stix.clouds.base import CanPrepare, Cloud, Node
from stix.clouds.config import CloudConfig
from stix.clouds.registry import open_cloud
from stix.clouds.setup import setup_of
from stix.clouds.wrappers import BreakerStore
from stix.config import Config
from stix.engine.guard import Guard
from stix.engine.intent import Intent
from stix.engine.runs import FlowRuns
from stix.ledger import Fence, Ledger, StageRow
from stix.plan.jointplan import JointPlan
from stix.plan.offers import Offer
from stix.plan.placement import Choice, Plan
from stix.plan.regions import Place
from stix.recovery.order import Past
from stix.remote.agent import AgentClient
from stix.secrets import Redactor, Vault
from stix.spec.expand import Point
from stix.spec.models import PipelineSpec
from stix.spec.recovery import RecoveryPolicy
from stix.spec.stage import StageSpec
from stix.storage.artifacts import Replicas


class CloudSet:
    """The clouds of this server, each opened on first use.

    Args:
        configs: Every installed cloud: nodes may be left on one that is switched off.
        enabled: Whether new nodes may be made there, by name; where None, they may if the cloud
            needs no credentials or has some. Those that are not named make none.
        breakers: Where the circuits of providers are kept; in memory where not given.
    """

    def __init__(
        self,
        configs: Mapping[str, CloudConfig],
        enabled: Mapping[str, bool | None],
        breakers: BreakerStore | None = None,
    ) -> None:
        self._configs = configs
        self._enabled = enabled
        self._breakers = breakers
        self._open: dict[str, Cloud] = {}
        self._freed: dict[str, asyncio.Event] = {}

    def freed(self, name: str) -> None:
        """Nodes of this cloud were given back: whoever waits for room tries again."""
        self._freed.pop(name, asyncio.Event()).set()

    async def wait_for_room(self, name: str, seconds: float) -> None:
        """Wait for nodes of this cloud to be given back by a run of this engine, or so long."""
        event = self._freed.setdefault(name, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return

    @property
    def names(self) -> list[str]:
        """The clouds that are enabled, as it is now: credentials come and go."""
        return [name for name, said in self._enabled.items() if self._used(name, said)]

    def _used(self, name: str, said: bool | None) -> bool:
        if said is not None:
            return said
        configured = bool(self._configs[name].settings)
        return setup_of(name, self.get).used(said, configured=configured)

    def get(self, name: str) -> Cloud:
        if name not in self._open:
            self._open[name] = open_cloud(name, self._configs[name], breakers=self._breakers)
        return self._open[name]

    async def close(self) -> None:
        for cloud in self._open.values():
            await cloud.close()
        self._open.clear()


@dataclass(frozen=True)
class Runtime:
    """The services of an engine process, shared by all its runs."""

    engine_id: str
    config: Config
    ledger: Ledger
    guard: Guard
    clouds: CloudSet
    store: Replicas
    vault: Vault
    prefect: PrefectClient
    flow_runs: FlowRuns


@dataclass
class RunContext:
    """One run in the hands of this engine.

    Attributes:
        plan: What each stage takes; for a stage that has begun it stays as it was then.
        joint: The whole plan with its reasons, as it was made last.
        where: Stage to the offer that gave it nodes last, for stages that have begun; None where
            it has none yet.
        replanning: Held while the rest of the run is placed again.
        driving: The pipeline's flow has begun: from then on a cancellation meets its teardown.
        releases: Nodes that could not be removed yet, while the run goes on without them.
        bucket_locks: Held while a bucket is made or filled, by its URL.
        code: What is known of the code of each working directory, by its name in ``uploads``.
    """

    runtime: Runtime
    run_id: str
    name: str
    fence: Fence
    flow_run_id: uuid.UUID
    pipeline: PipelineSpec
    specs: Mapping[str, StageSpec]
    points: Mapping[str, Point]
    uploads: Mapping[str, str]
    options: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    plan: Plan = field(default_factory=Plan)
    joint: JointPlan | None = None
    where: dict[str, Offer | None] = field(default_factory=dict)
    replanning: asyncio.Lock = field(default_factory=asyncio.Lock)
    intent: Intent = field(default_factory=Intent)
    stage_flow_runs: dict[str, uuid.UUID] = field(default_factory=dict)
    stage_rows: dict[str, StageRow] = field(default_factory=dict)
    takeover: bool = False
    resumed: int = 0
    driving: bool = False
    ended: dict[str, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ended = {key: asyncio.Event() for key in self.points}

    async def stage_ended(self, key: str) -> None:
        """Let the stages go that wait for this one; Prefect may hear of its end later."""
        self.stage_rows[key] = await self.runtime.ledger.stage(self.run_id, key)
        self.ended[key].set()

    releases: set[asyncio.Task[None]] = field(default_factory=set)
    bucket_locks: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )
    code: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags of every Prefect row of this run."""
        return ("stix", f"stix-run:{self.run_id}")

    def redacted(self, text: str) -> str:
        """``text`` without the run's secrets: for messages of errors that we did not write."""
        return Redactor(self.secrets.values()).text(text)


@dataclass
class Attempt:
    """One attempt of a stage run: what the steps of it share.

    Attributes:
        policy: What to do when something goes wrong.
        steps: What finished steps left behind, by step; filled from the ledger after a takeover.
        nodes: Its nodes, once there are any.
        shortages: Offers that had no room, as far as this engine tried them.
        clients: Rank to the client of its agent, for as long as the attempt lasts.
        inputs: Input name to what is fetched for it: a list of (sub path, digest); the sub path
            is empty where the input is one artifact.
        reopened: An earlier engine began with it.
    """

    run: RunContext
    point: Point
    number: int
    choice: Choice
    inputs: Mapping[str, Sequence[tuple[str, str]]]
    policy: RecoveryPolicy
    steps: dict[str, Any] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    shortages: list[Past] = field(default_factory=list)
    clients: dict[int, AgentClient] = field(default_factory=dict)
    reopened: bool = False

    @property
    def key(self) -> str:
        return self.point.key

    @property
    def spec(self) -> StageSpec:
        return self.run.specs[self.point.stage]

    @property
    def secrets(self) -> dict[str, str]:
        """Values of the secrets that this stage names."""
        return {name: self.run.secrets[name] for name in self.spec.secrets}

    @property
    def log_dir(self) -> Path:
        """Where the full output of this attempt lies."""
        config = self.run.runtime.config
        return config.attempt_logs(self.run.run_id, self.key, self.number)

    @property
    def token(self) -> str:
        """Names the wish for nodes: the same after a crash, another for each offer tried."""
        wish = f"{self.run.run_id}.{self.key}.{self.number}"
        return f"{wish}.{self.shortage_count}" if self.shortage_count else wish

    @property
    def shortage_count(self) -> int:
        """Offers that had no room, those that earlier engines tried included."""
        return int(self.steps.get("shortages", {}).get("count", 0))

    @property
    def ready(self) -> bool:
        """Whether there are nodes, and our agent is on each."""
        return bool(self.nodes) and all(
            node.socket or not isinstance(self.cloud, CanPrepare) for node in self.nodes
        )

    @property
    def cloud(self) -> Cloud:
        return self.run.runtime.clouds.get(self.choice.offer.cloud)

    @property
    def store(self) -> Replicas:
        """Where its artifacts go to and come from: the stores, the cheapest for its nodes first."""
        return self.run.runtime.store.near(Place.of(self.choice.offer))

    def job_id(self, kind: str) -> str:
        """The name of a job on a node; its run comes first, for fencing."""
        return f"{self.run.run_id}/{self.key}/{self.number}/{kind}"

    async def finish_step(self, step: str, result: Mapping[str, Any]) -> None:
        """Record that a step ended well: an engine that takes over does not repeat it."""
        ledger = self.run.runtime.ledger
        await ledger.record_step(self.run.fence, self.key, self.number, step, dict(result))
        self.steps[step] = dict(result)


RUN: ContextVar[RunContext] = ContextVar("stix_run")
ATTEMPT: ContextVar[Attempt] = ContextVar("stix_attempt")
