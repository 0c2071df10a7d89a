"""A pipeline keeps the order of its maps, which JSONB does not."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE runs ALTER COLUMN spec DROP DEFAULT",
    "ALTER TABLE runs ALTER COLUMN spec TYPE JSON USING spec::json",
    "ALTER TABLE runs ALTER COLUMN spec SET DEFAULT '{}'::json",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
