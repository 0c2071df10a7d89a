"""A server that a command started stops by itself when nobody needs it any more."""

from __future__ import annotations

import asyncio
import logging
import time

from stix.ledger import LedgerUnavailable
from stix.server.context import Context

log = logging.getLogger("stix.server")

_LOOK_EVERY_S = 5.0


async def idle_seconds(context: Context) -> float:
    """Seconds without an active run, an event of a run or a call (other than health)."""
    active, quiet = await context.ledger.recent_activity()
    if active:
        return 0.0
    up = time.time() - context.started
    return min(quiet, up, time.monotonic() - context.last_call)


async def stop_when_idle(context: Context) -> None:
    """Stop the home once it was idle for ``server.idle_minutes``."""
    limit = context.config.server.idle_minutes * 60
    while True:
        await asyncio.sleep(min(_LOOK_EVERY_S, max(limit / 4, 0.1)))
        try:
            idle = await idle_seconds(context)
        except LedgerUnavailable:
            continue
        if idle >= limit:
            log.info("idle for %.0f s: stopping", idle)
            context.stop_home()
            return
