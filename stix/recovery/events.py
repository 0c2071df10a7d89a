"""What can happen to an attempt, as data: small, frozen, with a JSON form for the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

Scope = Literal["type", "zone", "region", "cloud"]


@dataclass(frozen=True)
class Event:
    """Something that ended an attempt other than by success.

    Attributes:
        kind: The name under which a policy's rules and budgets speak of it.
        detail: One line for people; decisions never read it.
    """

    kind: ClassVar[str]
    detail: str = field(default="", kw_only=True, compare=False)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Capacity(Event):
    """The place has no room: nothing of the user's ran. ``scope``: how far the shortage reaches."""

    kind: ClassVar[str] = "capacity"
    scope: Scope = "zone"


@dataclass(frozen=True)
class Denied(Event):
    """The provider refused the login, or lets this account do nothing: nothing of the user's ran.

    It would refuse again, but another cloud may do.
    """

    kind: ClassVar[str] = "denied"
    scope: Scope = "cloud"


@dataclass(frozen=True)
class Preempted(Event):
    """The provider took a node back."""

    kind: ClassVar[str] = "preempted"


@dataclass(frozen=True)
class NodeLost(Event):
    """A node died or cannot be reached any more."""

    kind: ClassVar[str] = "node_lost"


@dataclass(frozen=True)
class SetupFailed(Event):
    """The ``setup`` command ended with ``exit_code``."""

    kind: ClassVar[str] = "setup_failed"
    exit_code: int = 1


@dataclass(frozen=True)
class UserError(Event):
    """The ``run`` command ended with ``exit_code`` (128 + signal number where a signal did it)."""

    kind: ClassVar[str] = "user_error"
    exit_code: int = 1


@dataclass(frozen=True)
class OutOfMemory(Event):
    """The kernel killed a process of the stage for want of memory.

    It is judged as a user error of this exit code: 137 is 128 + SIGKILL, what a shell reports.
    """

    kind: ClassVar[str] = "out_of_memory"
    exit_code: int = 137


@dataclass(frozen=True)
class TimedOut(Event):
    """The stage was stopped at its deadline."""

    kind: ClassVar[str] = "timeout"


@dataclass(frozen=True)
class Refused(Event):
    """The provider refused the request: it would refuse again, and so would others."""

    kind: ClassVar[str] = "refused"


@dataclass(frozen=True)
class Cancelled(Event):
    """Somebody asked for the end."""

    kind: ClassVar[str] = "cancelled"


KINDS: Mapping[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        Capacity,
        Denied,
        Preempted,
        NodeLost,
        SetupFailed,
        UserError,
        OutOfMemory,
        TimedOut,
        Refused,
        Cancelled,
    )
}


def event_from_dict(data: Mapping[str, Any]) -> Event:
    """The event that ``to_dict`` wrote.

    Raises:
        KeyError: the kind is unknown.
    """
    fields = {key: value for key, value in data.items() if key != "kind"}
    return KINDS[data["kind"]](**fields)
