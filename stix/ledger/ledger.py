"""The ledger: what STIX knows of runs, machines and money, and who may change it."""

from __future__ import annotations

from typing import Self

from stix.ledger.artifacts import Artifacts
from stix.ledger.breakers import Breakers
from stix.ledger.buckets import Buckets
from stix.ledger.checkpoints import Checkpoints
from stix.ledger.database import Database
from stix.ledger.events import Events
from stix.ledger.history import Earlier
from stix.ledger.intents import Intents
from stix.ledger.leases import Leases
from stix.ledger.money import Money
from stix.ledger.plans import Plans
from stix.ledger.replicas import Replicas
from stix.ledger.runs import Runs
from stix.ledger.sql import Statement
from stix.ledger.stages import Stages
from stix.ledger.volumes import Volumes

_HELLO = Statement.of("SELECT 1")


class Ledger(
    Leases,
    Runs,
    Stages,
    Plans,
    Intents,
    Money,
    Artifacts,
    Events,
    Earlier,
    Breakers,
    Checkpoints,
    Volumes,
    Replicas,
    Buckets,
):
    """One PostgreSQL database, through ten connections.

    Every write is one statement. Those for a run take a ``Fence`` and raise ``Fenced`` when it no
    longer holds; they also raise ``NotFound`` for a stage or attempt that does not exist. Every
    method waits out a restart of the database and raises ``LedgerUnavailable`` after ``patience_s``
    seconds; a write whose answer was lost has its effect once. Belongs to one event loop.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    async def open(cls, url: str, *, patience_s: float = 60) -> Self:
        """Connect to a database on which ``migrate`` has run."""
        database = Database(url, patience_s)
        await database.fetch(_HELLO)
        return cls(database)

    async def close(self) -> None:
        """Close all connections; listeners close their own."""
        await self._db.close()
