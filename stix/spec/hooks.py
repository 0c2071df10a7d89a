"""Commands that run on a node when it is stopped, preempted or taken down."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from stix.spec import values
from stix.spec.base import bad
from stix.spec.exact import Exact, Json, Kind, Number
from stix.spec.problems import choose

EVENTS = ("stop", "preemption", "down")
MAX_HOOKS = 32
MAX_SCRIPT = 16 * 1024
TIMEOUT = 3600


class _Script(Kind):
    """A script of bash."""

    def check(self, value: Any, name: str) -> Any:
        if not isinstance(value, str):
            said = f"{name} must be text, not {values.kind(value)}"
            raise bad(said, "write the commands as text")
        if not value:
            raise bad("the hook has no commands", "write the commands, or remove the hook")
        if len(value) > MAX_SCRIPT:
            fix = "put the script into workdir and call it from here"
            raise bad(f"the hook has {len(value)} characters; at most {MAX_SCRIPT}", fix)
        return value

    def schema(self) -> Json:
        return {"type": "string", "minLength": 1, "maxLength": MAX_SCRIPT}


class _Events(Kind):
    """Some of the events, each once."""

    def check(self, value: Any, name: str) -> Any:
        fix = f"write some of {name}: [{', '.join(EVENTS)}]"
        if not isinstance(value, list | tuple):
            raise bad(f"{name} must be a list, not {values.kind(value)}", fix)
        if not value:
            raise bad(f"{name} is empty", f"{fix}, or remove it for all of them")
        for event in value:
            if not isinstance(event, str) or event not in EVENTS:
                raise bad(f"there is no event {event!r}", choose(str(event), EVENTS))
        if len(set(value)) < len(value):
            raise bad(f"{name} names an event twice", "name each event once")
        return list(value)

    def schema(self) -> Json:
        entry = {"type": "string", "enum": list(EVENTS)}
        return {"type": "array", "items": entry, "minItems": 1, "uniqueItems": True}


class Hook(Exact):
    """A script for the end of a node.

    Attributes:
        run: Commands of bash, at most 16 KiB.
        events: When it runs: ``stop``, ``preemption``, ``down``; all three if not given.
        timeout: Seconds after which it is cut off; an hour if not given.
    """

    run: Annotated[str, _Script()]
    events: Annotated[list[str], _Events()] = Field(default_factory=lambda: list(EVENTS))
    timeout: Annotated[int, Number(least=1, whole=True, unit="seconds")] = TIMEOUT


def listed(value: Any) -> Any:
    """The list of hooks before each is looked at."""
    if not isinstance(value, list | tuple):
        said = f"hooks must be a list, not {values.kind(value)}"
        raise bad(said, "write hooks: [{run: COMMAND, events: [down]}]")
    if len(value) > MAX_HOOKS:
        raise bad(f"there are {len(value)} hooks; at most {MAX_HOOKS}", "join some of them")
    return value
