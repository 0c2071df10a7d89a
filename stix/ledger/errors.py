"""What the ledger refuses."""

from __future__ import annotations

from stix.errors import StixError


class Fenced(StixError):
    """The caller may not act for the run: a newer engine owns it, or its own engine is fenced.

    The write that raised it had no effect. Nothing to retry: the process must stop acting.
    """


class LedgerUnavailable(StixError):
    """PostgreSQL did not answer for as long as the ledger is patient."""


class NotFound(StixError):
    """A run, stage or cluster the ledger does not know, or a prefix of several runs."""


class WrongState(StixError):
    """The run is in a state that does not allow the transition."""
