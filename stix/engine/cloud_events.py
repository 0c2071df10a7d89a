"""What a provider's error means for an attempt; pure."""

from __future__ import annotations

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CircuitOpen,
    CloudError,
    InvalidRequest,
    NodeGone,
    UnsupportedFeature,
)
from stix.recovery.events import Capacity, Denied, Event, NodeLost, Preempted, Refused

ELSEWHERE = (CapacityError, AuthError, CircuitOpen)
"""Errors of which nothing of ours ran and nothing was made: the next offer is asked."""


def event_of(error: CloudError) -> Event:
    """The event that ``create``, or the wait for its nodes, ends in.

    ``Capacity`` and ``Denied`` are answered by asking elsewhere, within the attempt.
    """
    words = f"{error.message}; {error.fix}" if error.fix else error.message
    if isinstance(error, CapacityError | CircuitOpen):  # an outage: elsewhere there may be room
        return Capacity(scope=error.scope, detail=error.message)
    if isinstance(error, AuthError):
        return Denied(detail=words)
    if isinstance(error, InvalidRequest | UnsupportedFeature):
        return Refused(detail=words)
    if isinstance(error, NodeGone) and error.preempted:
        return Preempted(detail=words)
    return NodeLost(detail=words)
