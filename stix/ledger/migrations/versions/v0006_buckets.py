"""Buckets by name, and which runs use them."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE buckets (
        url TEXT NOT NULL,
        region TEXT NOT NULL,
        made BOOLEAN NOT NULL,
        state TEXT NOT NULL,
        created TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (url)
    )
    """,
    """
    CREATE TABLE bucket_uses (
        url TEXT NOT NULL,
        run_id TEXT NOT NULL,
        persistent BOOLEAN NOT NULL,
        filled JSONB DEFAULT '{}'::jsonb NOT NULL,
        PRIMARY KEY (url, run_id)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
