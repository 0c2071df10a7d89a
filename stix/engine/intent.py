"""Why a run's asyncio task is being cancelled, and how to hold a cancellation off.

Prefect ends a cancelled coroutine as Crashed, since it cannot know why it was cancelled. The
reason travels in a mutable holder per run, inherited by the contexts of its stages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")


class Why(StrEnum):
    """``CANCEL``: end as Cancelled, with teardown. ``RELINQUISH``: leave everything as it is."""

    CANCEL = "cancel"
    RELINQUISH = "relinquish"


class Intent:
    """The reason for the cancellation of one run; None while nobody asked for it."""

    def __init__(self) -> None:
        self.why: Why | None = None
        self.reason = ""


INTENT: ContextVar[Intent | None] = ContextVar("stix_intent", default=None)


def current_why() -> Why | None:
    """Why the current run is being cancelled, if it is."""
    intent = INTENT.get()
    return intent.why if intent is not None else None


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end even if the caller is cancelled meanwhile; then cancel the caller.

    Only a handover (``RELINQUISH``) cancels the work too: the next engine goes on with it.
    ``anyio.CancelScope(shield=True)`` does not hold off ``asyncio.Task.cancel()``.
    """
    inner = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not inner.done():
        try:
            await asyncio.wait([inner])
        except asyncio.CancelledError as error:
            cancelled = error
            if current_why() is Why.RELINQUISH:
                inner.cancel()
    if cancelled is not None:
        failure = None if inner.cancelled() else inner.exception()
        raise cancelled from failure
    return inner.result()
