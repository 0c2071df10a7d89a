"""What Alembic runs: always on a connection handed over by ``stix.ledger.migrate``."""

from __future__ import annotations

from alembic import context

from stix.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
