"""What clouds made of whole hosts share: from the agent's words to those of a cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from stix.clouds.base import CreateRequest, Node, NodeRef, NodeState, Selector
from stix.clouds.errors import AuthError, CapacityError, CloudError, Scope, TransientError
from stix.errors import StixError
from stix.plan.offers import Demand
from stix.remote.agent import AgentError, NodeRecord, UpRequest
from stix.remote.base import ConnectionLost, HostKeyError, LoginRefused

T = TypeVar("T")


class UnusableHost(CloudError):
    """The host answers, but nodes cannot be made there, such as without Python."""


def node_of(record: NodeRecord, ref: NodeRef) -> Node:
    """The node that a host reports."""
    return Node(
        ref=ref,
        state=NodeState(record.state),
        address=record.address,
        rank=record.rank,
        directory=record.directory,
        socket=record.socket,
        tags=dict(record.tags),
        accelerators={name: list(indices) for name, indices in record.accelerators.items()},
    )


def agrees(tags: Mapping[str, str], selector: Selector) -> bool:
    """Whether ``tags`` hold all that the selector asks for."""
    return all(tags.get(name) == value for name, value in selector.tags.items())


def up_request(
    request: CreateRequest, rank: int, limits: Mapping[str, Any], address: str
) -> UpRequest:
    """One node of a wish."""
    return UpRequest(
        token=request.token,
        rank=rank,
        name=request.name,
        tags=dict(request.tags),
        demand=demand_dict(request.demand),
        limits=limits,
        address=address,
    )


def demand_dict(demand: Demand) -> dict[str, Any]:
    return {
        "cpus": demand.cpus,
        "memory_gib": demand.memory_gib,
        "accelerators": dict(demand.accelerators),
    }


def cloud_error(error: StixError, scope: Scope, where: str = "") -> CloudError:
    """The same failure in the words of a cloud; ``scope`` is that of a shortage."""
    at = f"{where}: " if where else ""
    message = f"{at}{error.message}"
    if isinstance(error, AgentError) and error.code == "capacity":
        return CapacityError(message, scope=scope)
    if isinstance(error, AgentError) and error.code == "no_python":
        return UnusableHost(message, fix=error.fix)
    if isinstance(error, HostKeyError | LoginRefused):
        return AuthError(message, fix=error.fix)
    if isinstance(error, ConnectionLost):
        return TransientError(message)
    if isinstance(error, CloudError):
        return error
    return CloudError(message, fix=error.fix)


async def finish(act: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do ``act`` to its end, also when cancelled; then the cancellation goes on.

    A command that makes a node must not be left half done: what it makes has to be listed.
    """
    task = asyncio.create_task(act())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            await asyncio.wait([task])
        raise


async def settle(acts: Sequence[Awaitable[T]]) -> tuple[list[T], list[BaseException]]:
    """Await all side by side, whatever happens to one: results and errors.

    A cancellation reaches each, and goes on when all have ended.
    """
    answers = await asyncio.gather(*acts, return_exceptions=True)
    good = [answer for answer in answers if not isinstance(answer, BaseException)]
    return good, [answer for answer in answers if isinstance(answer, BaseException)]
