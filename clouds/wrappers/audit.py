"""One log line per call."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stix.clouds.wrappers.call import Call, extra, log

T = TypeVar("T")


class Audit:
    """One log line per call: which, how long (seconds), how it ended."""

    async def __call__(self, call: Call, proceed: Callable[[], Awaitable[T]]) -> T:
        started = time.monotonic()
        outcome = "ok"
        try:
            return await proceed()
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            seconds = time.monotonic() - started
            log.log(
                logging.DEBUG if call.name == "runner" else logging.INFO,
                "%s.%s %s in %.3f s",
                call.cloud,
                call.name,
                outcome,
                seconds,
                extra=extra(call, outcome=outcome, seconds=round(seconds, 6)),
            )
