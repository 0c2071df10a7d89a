"""How a step fails: with a typed event, for the recovery policy to answer."""

from __future__ import annotations

from stix.engine.private import ExpectedFailure
from stix.recovery.events import Event

FAILURE = "failure"
"""The entry of an attempt's steps that holds the event which ended it."""


class StepFailed(ExpectedFailure):
    """A step failed in a way that the policy knows. ``event`` says how."""

    def __init__(self, event: Event, message: str) -> None:
        super().__init__(message)
        self.event = event
