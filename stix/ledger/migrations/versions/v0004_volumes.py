"""Volumes: storage with a name that outlives nodes."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE volumes (
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        cloud TEXT NOT NULL,
        region TEXT NOT NULL,
        zone TEXT,
        size_gib FLOAT,
        labels JSONB DEFAULT '{}'::jsonb NOT NULL,
        config JSONB DEFAULT '{}'::jsonb NOT NULL,
        existing TEXT DEFAULT '' NOT NULL,
        id TEXT DEFAULT '' NOT NULL,
        state TEXT DEFAULT 'creating' NOT NULL,
        reason TEXT DEFAULT '' NOT NULL,
        created TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        attached TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (name)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
