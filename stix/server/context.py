"""What the server process holds, for the calls of the API and for the sweeper."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from stix.clouds import registry
from stix.clouds.base import Cloud
from stix.clouds.config import CloudConfig
from stix.clouds.setup import Setup, setup_of
from stix.config import Config
from stix.ledger import Ledger, LedgerUnavailable, migrate
from stix.secrets import Vault
from stix.server import databases
from stix.server.fence import Standing
from stix.server.postgres import database_url
from stix.server.waiters import Waiters

if TYPE_CHECKING:
    from stix.storage.artifacts import Replicas

log = logging.getLogger("stix.server")

PATIENCE_S = 20.0
"""How long a call waits for a database that restarts."""
FENCE_PATIENCE_S = 2.0
"""The same for the question whether an engine is fenced; its caller tries again by itself."""
FENCE_TIMEOUT_S = 5.0


class Context:
    """The services of the server process.

    Args:
        config: The home.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.vault = Vault(config.vault)
        self.started = time.time()
        self.waiters = Waiters()
        self.last_call = time.monotonic()
        self._ledger: Ledger | None = None
        self._standings: Standings | None = None
        self._store: Replicas | None = None
        self._clouds: dict[str, Cloud] = {}

    @property
    def ledger(self) -> Ledger:
        assert self._ledger is not None, "the server has not started"
        return self._ledger

    @property
    def store(self) -> Replicas:
        """The stores of artifacts, opened at first use."""
        if self._store is None:
            from stix.storage.artifacts import Replicas

            self._store = Replicas.open(self.config.artifact_stores, self.config.artifact_copies)
        return self._store

    @property
    def cloud_names(self) -> list[str]:
        return registry.names()

    def cloud(self, name: str) -> Cloud:
        """A cloud, opened at first use.

        Raises:
            CloudError: it is unknown, not installed, or its settings are wrong.
        """
        if name not in self._clouds:
            surroundings = CloudConfig(
                home=self.config.home,
                socket_dir=self.config.socket_dir(),
                settings=self.config.cloud(name),
                home_id=self.config.home_id(),
            )
            breakers = self._ledger  # none yet where only the clouds are asked for
            self._clouds[name] = registry.open_cloud(name, surroundings, breakers=breakers)
        return self._clouds[name]

    def setup(self, name: str) -> Setup:
        """How far a cloud is set up, without asking it."""
        return setup_of(name, self.cloud)

    def asks(self, setup: Setup) -> bool:
        """Whether to ask a cloud what it has of ours."""
        name = setup.name
        said = self.config.cloud_enabled(name) is True
        return setup.asked(configured=said or bool(self.config.cloud(name)))

    def uses(self, setup: Setup) -> bool:
        """Whether new nodes may be made on a cloud."""
        said = self.config.cloud_enabled(setup.name)
        return setup.used(said, configured=bool(self.config.cloud(setup.name)))

    async def standing(self, engine: str) -> Standing:
        """What the ledger says of an engine now."""
        assert self._standings is not None, "the server has not started"
        return await self._standings.of(engine)

    def touch(self) -> None:
        """Remember that somebody uses this server."""
        self.last_call = time.monotonic()

    def stop_home(self) -> None:
        """Ask the supervisor to stop everything, ourselves included."""
        os.kill(int(os.environ["STIX_SUPERVISOR"]), signal.SIGTERM)

    async def open(self) -> None:
        """Wait for the database, bring the ledger up to date, connect."""
        await databases.create(self.config)
        url = database_url(self.config, "stix")
        await migrate(url)
        self._ledger = await Ledger.open(url, patience_s=PATIENCE_S)
        watch = await Ledger.open(url, patience_s=FENCE_PATIENCE_S)
        self._standings = Standings(watch.is_engine_fenced)

    async def close(self) -> None:
        """Release connections."""
        for cloud in self._clouds.values():
            await cloud.close()
        await self.ledger.close()


@asynccontextmanager
async def open_context(context: Context) -> AsyncIterator[Context]:
    """``context``, connected."""
    await context.open()
    try:
        yield context
    finally:
        await context.close()


class Standings:
    """Asks the ledger about engines; calls that wait at the same time share one question.

    An answer serves only those who came before its question was sent, so that no call gets
    through on an answer that is older than the call.
    """

    def __init__(self, is_fenced: Callable[[str], Awaitable[bool]]) -> None:
        self._is_fenced = is_fenced
        self._asking = asyncio.Lock()
        self._waiting: dict[str, asyncio.Task[Standing]] = {}

    async def of(self, engine: str) -> Standing:
        """The standing of one engine."""
        task = self._waiting.get(engine)
        if task is None:
            task = self._waiting[engine] = asyncio.create_task(self._ask(engine))
        return await asyncio.shield(task)

    async def _ask(self, engine: str) -> Standing:
        async with self._asking:
            del self._waiting[engine]
            try:
                async with asyncio.timeout(FENCE_TIMEOUT_S):
                    fenced = await self._is_fenced(engine)
            except (LedgerUnavailable, TimeoutError):
                return Standing.UNKNOWN
            return Standing.FENCED if fenced else Standing.GOOD
