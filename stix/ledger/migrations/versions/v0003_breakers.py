"""Circuits of providers that fail, shared by all processes of a home."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE breakers (
        cloud TEXT NOT NULL,
        region TEXT NOT NULL,
        failures INTEGER NOT NULL,
        reason TEXT NOT NULL,
        opened TIMESTAMP WITH TIME ZONE,
        until TIMESTAMP WITH TIME ZONE,
        cooldown_s FLOAT DEFAULT 0 NOT NULL,
        probe TEXT,
        probe_until TIMESTAMP WITH TIME ZONE,
        op BIGINT,
        PRIMARY KEY (cloud, region)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
