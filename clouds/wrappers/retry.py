"""Repeat what may succeed when asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from stix.clouds.errors import CircuitOpen, CloudError, Throttled
from stix.clouds.wrappers.call import Call, extra, log

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """Repeat calls that failed with a retryable error, at most ``attempts`` times in ``budget_s``.

    Every call of the interface is idempotent (``create`` by its token), so each may be repeated.
    The pause is what the provider asked for, else 0.2 s doubled each time up to ``cap_s``. Where a
    circuit opens between two tries, the error is that of the last try: it may have had an effect.
    """

    attempts: int = 5
    budget_s: float = 60.0
    cap_s: float = 10.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def __call__(self, call: Call, proceed: Callable[[], Awaitable[T]]) -> T:
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self.attempts)
            | tenacity.stop_before_delay(self.budget_s),
            wait=self._pause,
            retry=tenacity.retry_if_exception(_retryable),
            before_sleep=lambda state: _log_retry(call, state),
            sleep=self.sleep,
            reraise=True,
        )

        failed: list[CloudError] = []

        async def attempt() -> T:  # a real coroutine function: tenacity awaits no other callable
            try:
                return await proceed()
            except CloudError as error:
                failed.append(error)
                raise

        try:
            return await retrying(attempt)
        except CircuitOpen as refusal:
            if len(failed) > 1:
                raise failed[-2] from refusal
            raise

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Throttled):
            return error.retry_after
        return min(self.cap_s, 0.2 * 2.0 ** (state.attempt_number - 1))


def _retryable(error: BaseException) -> bool:
    return isinstance(error, CloudError) and error.retryable


def _log_retry(call: Call, state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning(
        "%s.%s: %s; trying again (%d)",
        call.cloud,
        call.name,
        getattr(error, "message", error),
        state.attempt_number + 1,
        extra=extra(call, outcome=type(error).__name__),
    )
