"""Which store holds which artifact."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE replicas (
        digest TEXT NOT NULL,
        store TEXT NOT NULL,
        created TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (digest, store)
    )
    """,
    # What is recorded lies where its URL says; uploads follow when somebody looks for them.
    r"""
    INSERT INTO replicas (digest, store, created)
    SELECT digest, regexp_replace(url, '/manifests/[^/]+/[^/]+$', ''), min(created)
    FROM artifacts GROUP BY 1, 2
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
