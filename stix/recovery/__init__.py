"""Pure decisions about what to do when an attempt ends badly."""

from stix.recovery.actions import Action, Decision, GiveUp, NextOffer, RetryHere
from stix.recovery.decide import Market, decide
from stix.recovery.events import (
    Cancelled,
    Capacity,
    Event,
    NodeLost,
    OutOfMemory,
    Preempted,
    Refused,
    SetupFailed,
    TimedOut,
    UserError,
    event_from_dict,
)

__all__ = [
    "Action",
    "Cancelled",
    "Capacity",
    "Decision",
    "Event",
    "GiveUp",
    "Market",
    "NextOffer",
    "NodeLost",
    "OutOfMemory",
    "Preempted",
    "Refused",
    "RetryHere",
    "SetupFailed",
    "TimedOut",
    "UserError",
    "decide",
    "event_from_dict",
]
