"""The tables of the ledger.

Times are the database's own clock. Money is USD with six decimals. ``migrations`` builds the same
tables; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    Sequence,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB

HEAD = "0006"
"""Newest revision; a test compares it with the folder, so that a start need not load Alembic."""

metadata = MetaData()

lease_token = Sequence("lease_token", metadata=metadata, start=1)


def _time(name: str, *, now: bool = False) -> Column[Any]:
    default = text("clock_timestamp()") if now else None
    return Column(name, DateTime(timezone=True), server_default=default, nullable=not now)


def _json(name: str, default: str | None = None) -> Column[Any]:
    value = None if default is None else text(f"'{default}'::jsonb")
    return Column(name, JSONB, server_default=value, nullable=default is None)


def _required(name: str, type_: Any = Text, default: str | None = None) -> Column[Any]:
    value = None if default is None else text(default)
    return Column(name, type_, nullable=False, server_default=value)


def _run() -> Column[Any]:
    return Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)


def _money(name: str, *, default: str | None = None) -> Column[Any]:
    return _required(name, Numeric(18, 6), default)


def _of_stage() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["run_id", "key"], ["stages.run_id", "stages.key"], ondelete="CASCADE"
    )


runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    _required("name"),
    _required("state"),
    # Not JSONB, which sorts the keys of a map: the order of stages and of a matrix has a meaning.
    Column("spec", JSON, server_default=text("'{}'::json"), nullable=False),
    _json("source", "{}"),
    _json("uploads", "{}"),
    _json("options", "{}"),
    _json("secret_names", "[]"),
    Column("flow_run_id", Text),
    Column("deadline_s", Float),
    Column("reason", Text),
    _json("error"),
    _money("cost_usd", default="0"),
    _required("resumes", Integer, "0"),
    _time("created", now=True),
    _time("started"),
    _time("ended"),
    Index("runs_created", text("created DESC")),
    Index("runs_name", "name", text("created DESC")),
)

stages = Table(
    "stages",
    metadata,
    _run(),
    Column("key", Text, primary_key=True),
    _required("position", Integer),
    _required("stage"),
    _json("params", "{}"),
    _json("needs", "[]"),
    _required("state", default="'pending'"),
    Column("reason", Text),
    _json("placement"),
    Column("cache_key", Text),
    _json("cache_parts"),
    _json("result"),
    _json("outputs"),
    _json("error"),
    Column("flow_run_id", Text),
    _time("started"),
    _time("ended"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _required("resume", Integer, "0"),
    _required("state", default="'running'"),
    _json("offer"),
    _json("steps", "{}"),
    _json("event"),
    _json("action"),
    Column("exit_code", Integer),
    _time("started", now=True),
    _time("ended"),
    _of_stage(),
)

engines = Table(
    "engines",
    metadata,
    Column("id", Text, primary_key=True),
    _required("host"),
    _required("pid", BigInteger),
    _time("started", now=True),
    Column("expires", DateTime(timezone=True), nullable=False),
    _time("fenced"),
    _time("retired"),
)

# One row per run from its creation, because it also counts the run's events. It is narrow and has
# no index on what changes, so that its many updates stay within one page.
leases = Table(
    "leases",
    metadata,
    _run(),
    Column("engine_id", Text, ForeignKey("engines.id")),
    _required("token", BigInteger, "0"),
    _required("done", Boolean, "false"),
    _required("events", BigInteger, "0"),
    Column("op", BigInteger),
    _time("claimed"),
    _time("last_event", now=True),
    Index("leases_open", "run_id", postgresql_where=text("NOT done")),
)

intents = Table(
    "intents",
    metadata,
    Column("token", Text, primary_key=True),
    _required("run_id"),
    _required("key"),
    _required("attempt", Integer),
    _required("cloud"),
    _json("request", "{}"),
    Column("outcome", Text),
    _json("detail"),
    _time("opened", now=True),
    _time("settled"),
    _of_stage(),
    Index("intents_run", "run_id", "key"),
    Index(
        "intents_open",
        "cloud",
        postgresql_where=text("outcome IS NULL OR outcome = 'created'"),
    ),
)

clusters = Table(
    "clusters",
    metadata,
    Column("token", Text, primary_key=True),
    _required("run_id"),
    _required("key"),
    _required("attempt", Integer),
    _required("cloud"),
    _json("offer", "{}"),
    _money("price_usd_h"),
    _time("created", now=True),
    _time("closed"),
    Column("reason", Text),
    _of_stage(),
    Index("clusters_run", "run_id", "key"),
    Index("clusters_open", "run_id", postgresql_where=text("closed IS NULL")),
)

nodes = Table(
    "nodes",
    metadata,
    Column("token", Text, ForeignKey("clusters.token", ondelete="CASCADE"), primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    _required("id"),
    _required("cloud"),
    _json("data", "{}"),
    _time("closed"),
    Index("nodes_id", "id"),
)

receipts = Table(
    "receipts",
    metadata,
    Column("token", Text, ForeignKey("clusters.token", ondelete="CASCADE"), primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    _required("run_id"),
    _required("key"),
    _required("attempt", Integer),
    _required("kind"),
    _required("description"),
    _money("quantity"),
    _required("unit"),
    _money("unit_price_usd"),
    _money("usd"),
    _time("created", now=True),
    Index("receipts_run", "run_id"),
)

artifacts = Table(
    "artifacts",
    metadata,
    _run(),
    Column("key", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    _required("digest"),
    _required("bytes", BigInteger),
    _required("files", BigInteger),
    _required("url"),
    _time("created", now=True),
    Index("artifacts_digest", "digest"),
)

# A store itself knows what it has; this is what was seen of it.
replicas = Table(
    "replicas",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("store", Text, primary_key=True),
    _time("created", now=True),
)

cache = Table(
    "cache",
    metadata,
    Column("cache_key", Text, primary_key=True),
    _required("run_id"),
    _required("key"),
    _json("outputs", "{}"),
    _json("result"),
    _time("created", now=True),
)

events = Table(
    "events",
    metadata,
    _run(),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _required("kind"),
    Column("key", Text),
    _json("data", "{}"),
    Column("op", BigInteger),
    _time("at", now=True),
)

# One row for each circuit of which a call failed since its last success.
breakers = Table(
    "breakers",
    metadata,
    Column("cloud", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    _required("failures", Integer),
    _required("reason"),
    _time("opened"),
    _time("until"),
    _required("cooldown_s", Float, "0"),
    Column("probe", Text),
    _time("probe_until"),
    Column("op", BigInteger),
)

# One row for each volume from before it is made until it is gone.
volumes = Table(
    "volumes",
    metadata,
    Column("name", Text, primary_key=True),
    _required("kind"),
    _required("cloud"),
    _required("region"),
    Column("zone", Text),
    Column("size_gib", Float),
    _json("labels", "{}"),
    _json("config", "{}"),
    _required("existing", default="''"),
    _required("id", default="''"),
    _required("state", default="'creating'"),
    _required("reason", default="''"),
    _time("created", now=True),
    _time("attached"),
)

# One row for each bucket that runs use by its name, from before it is made until it is gone.
buckets = Table(
    "buckets",
    metadata,
    Column("url", Text, primary_key=True),
    _required("region"),
    Column("made", Boolean, nullable=False),
    _required("state"),
    _time("created", now=True),
)

bucket_uses = Table(
    "bucket_uses",
    metadata,
    Column("url", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("persistent", Boolean, nullable=False),
    _json("filled", "{}"),
)
