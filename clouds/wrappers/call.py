"""One call of an adapter, and what is done around it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
log = logging.getLogger("stix.clouds")

ANYWHERE = "-"
"""The region of a call that knows none, and of clouds that have none."""


@dataclass(frozen=True)
class Call:
    """One call of an adapter, with what an audit wants to know.

    Attributes:
        details: What is logged. Holds no secret.
        region: Where it acts; ``-`` where the call does not say.
        args: What the adapter is given; for those around that answer in its place.
    """

    cloud: str
    name: str
    details: Mapping[str, Any] = field(default_factory=dict)
    region: str = ANYWHERE
    args: tuple[Any, ...] = field(default=(), repr=False)


class Around(Protocol):
    """Something done around each call."""

    async def __call__(self, call: Call, proceed: Callable[[], Awaitable[T]]) -> T: ...


def extra(call: Call, **more: Any) -> dict[str, Any]:
    """The fields of a log line about a call."""
    fields = {"cloud": call.cloud, "call": call.name, **call.details, **more}
    return {f"stix_{key}": value for key, value in fields.items()}
