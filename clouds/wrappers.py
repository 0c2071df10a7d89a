"""What surrounds every adapter: retry with a budget, and one audit line per call.

Adapters hold none of it. ``wrap`` gives the same interface with the same optional abilities, so
that ``isinstance(cloud, CanStop)`` answers for the adapter inside.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

import tenacity

from stix.clouds.base import (
    CanChaos,
    CanDescribe,
    CanStop,
    Cloud,
    CreateRequest,
    Identity,
    Node,
    NodeRef,
    NodeState,
    Selector,
)
from stix.clouds.errors import CloudError, Throttled
from stix.plan.offers import Offer
from stix.remote.base import Runner

T = TypeVar("T")
log = logging.getLogger("stix.clouds")


@dataclass(frozen=True)
class Call:
    """One call of an adapter, with what an audit wants to know. Holds no secret."""

    cloud: str
    name: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Around(Protocol):
    """Something done around each call."""

    async def __call__(self, call: Call, proceed: Callable[[], Awaitable[T]]) -> T: ...


@dataclass(frozen=True)
class Retry:
    """Repeat calls that failed with a retryable error, at most ``attempts`` times in ``budget_s``.

    Every call of the interface is idempotent (``create`` by its token), so each may be repeated.
    The pause is what the provider asked for, else 0.2 s doubled each time up to ``cap_s``.
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

        async def attempt() -> T:  # a real coroutine function: tenacity awaits no other callable
            return await proceed()

        return await retrying(attempt)

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
        extra=_extra(call, outcome=type(error).__name__),
    )


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
                extra=_extra(call, outcome=outcome, seconds=round(seconds, 6)),
            )


def _extra(call: Call, **more: Any) -> dict[str, Any]:
    return {"stix_cloud": call.cloud, "stix_call": call.name, **_prefixed({**call.details, **more})}


def _prefixed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {f"stix_{key}": value for key, value in fields.items()}


class WrappedCloud:
    """The interface of a cloud, forwarded through ``around`` (the first is the outermost)."""

    def __init__(self, inner: Cloud, around: Sequence[Around]) -> None:
        self.name = inner.name
        self.inner = inner
        self._around = around

    async def call(
        self, name: str, act: Callable[[], Awaitable[T]], details: Mapping[str, Any] | None = None
    ) -> T:
        """Do ``act`` inside everything that surrounds this cloud."""
        call = Call(self.name, name, details or {})
        for around in reversed(self._around):
            act = _inside(around, call, act)
        return await act()

    async def check(self) -> Identity:
        return await self.call("check", self.inner.check)

    async def offers(self) -> Sequence[Offer]:
        return await self.call("offers", self.inner.offers)

    async def create(self, request: CreateRequest) -> list[Node]:
        details = {
            "token": request.token,
            "nodes": request.count,
            "infra": request.offer.infra,
            "instance_type": request.offer.instance_type,
        }
        return await self.call("create", lambda: self.inner.create(request), details)

    async def list(self, selector: Selector) -> list[Node]:
        return await self.call("list", lambda: self.inner.list(selector))

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        await self.call("terminate", lambda: self.inner.terminate(nodes), _ids(nodes))

    async def runner(self, node: Node) -> Runner:
        return await self.call("runner", lambda: self.inner.runner(node))

    async def close(self) -> None:
        await self.inner.close()


def _inside(
    around: Around, call: Call, act: Callable[[], Awaitable[T]]
) -> Callable[[], Awaitable[T]]:
    return lambda: around(call, act)


def _ids(nodes: Sequence[NodeRef]) -> dict[str, Any]:
    return {"ids": [node.id for node in nodes]}


class _WrappedStop(WrappedCloud):
    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        inner = cast(CanStop, self.inner)
        await self.call("stop", lambda: inner.stop(nodes), _ids(nodes))

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        inner = cast(CanStop, self.inner)
        await self.call("start", lambda: inner.start(nodes), _ids(nodes))


class _WrappedChaos(WrappedCloud):
    async def preempt(self, node: NodeRef) -> None:
        inner = cast(CanChaos, self.inner)
        await self.call("preempt", lambda: inner.preempt(node), _ids([node]))

    async def kill(self, node: NodeRef) -> None:
        inner = cast(CanChaos, self.inner)
        await self.call("kill", lambda: inner.kill(node), _ids([node]))


class _WrappedDescribe(WrappedCloud):
    async def describe(self, node: NodeRef) -> NodeState | None:
        inner = cast(CanDescribe, self.inner)
        return await self.call("describe", lambda: inner.describe(node), _ids([node]))


ABILITIES: Mapping[Any, type[WrappedCloud]] = {
    CanStop: _WrappedStop,
    CanChaos: _WrappedChaos,
    CanDescribe: _WrappedDescribe,
}
"""Each optional ability with the class that forwards it."""


def wrap(cloud: Cloud, around: Sequence[Around] | None = None) -> Cloud:
    """``cloud`` with ``around`` (audit line outside, retry inside, where not given)."""
    bases = [mixin for ability, mixin in ABILITIES.items() if isinstance(cloud, ability)]
    wrapped = type("WrappedCloud", (*bases, WrappedCloud), {})
    return cast(Cloud, wrapped(cloud, around if around is not None else (Audit(), Retry())))
