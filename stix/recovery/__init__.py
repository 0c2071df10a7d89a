"""Pure decisions about what to do when an attempt ends badly."""

from stix.recovery.actions import Action, Decision, GiveUp, NextOffer, RetryHere
from stix.recovery.decide import Market, decide
from stix.recovery.events import (
    Cancelled,
    Capacity,
    Denied,
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
from stix.recovery.order import Order, Past, Search

__all__ = [
    "Action",
    "Cancelled",
    "Capacity",
    "Decision",
    "Denied",
    "Event",
    "GiveUp",
    "Market",
    "NextOffer",
    "NodeLost",
    "Order",
    "OutOfMemory",
    "Past",
    "Preempted",
    "Refused",
    "RetryHere",
    "Search",
    "SetupFailed",
    "TimedOut",
    "UserError",
    "decide",
    "event_from_dict",
]
