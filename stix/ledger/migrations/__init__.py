"""Alembic's folder; run by ``stix.ledger.migrate``."""
