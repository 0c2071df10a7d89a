"""Tell what would be done, and do nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from stix.clouds.base import CreateRequest, Node, NodeRef, NodeState
from stix.clouds.wrappers.call import Call

T = TypeVar("T")

PREFIX = "dry-run"
"""How the ids of invented nodes begin."""
CHANGES = frozenset(
    {"create", "prepare", "terminate", "stop", "start", "open_ports", "remove", "preempt", "kill"}
)
"""Calls that change something at the provider."""


class DryRun:
    """Calls that change something are told to ``tell`` and go no further; the others pass.

    ``create`` answers nodes that do not exist, ``prepare`` the node that it was given.
    """

    def __init__(self, tell: Callable[[Call], None]) -> None:
        self._tell = tell

    async def __call__(self, call: Call, proceed: Callable[[], Awaitable[T]]) -> T:
        if call.name not in CHANGES:
            return await proceed()
        self._tell(call)
        return cast(T, _answer(call))


def _answer(call: Call) -> Any:
    if call.name == "create":
        return _invented(call.cloud, call.args[0])
    return call.args[0] if call.name == "prepare" else None


def _invented(cloud: str, request: CreateRequest) -> list[Node]:
    offer = request.offer
    return [
        Node(
            NodeRef(cloud, f"{PREFIX}-{request.token}-{rank}", offer.region, offer.zone),
            NodeState.RUNNING,
            "",
            rank=rank,
            tags=dict(request.tags),
            spot=offer.spot,
            billed=False,
        )
        for rank in range(request.count)
    ]
