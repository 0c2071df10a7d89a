"""The forms of ``autostop``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from stix.spec import forms
from stix.spec.base import Accepts, Also, Spec, bad
from stix.spec.problems import choose
from stix.spec.values import kind
from stix.spec.words.amounts import flag, text, whole

WAITS = ("jobs_and_ssh", "jobs", "none")
_MINUTES = {"m": 1, "h": 60, "d": 24 * 60, "w": 7 * 24 * 60}
_TIME = re.compile(r"([0-9]{1,12})([mhdw]?)\Z", re.IGNORECASE)
_FIX = 'write minutes, a time such as "2h", true, false, or {idle_minutes: 10, down: true}'


def _wait(value: Any) -> Any:
    if not isinstance(value, str):
        raise bad(f"wait_for cannot be {kind(value)}", choose("", WAITS))
    if value.lower() not in WAITS:
        raise bad(f"{value!r} is nothing to wait for", choose(value, WAITS))
    return value.lower()


class Autostop(Spec):
    """When an idle node stops by itself.

    Attributes:
        idle_minutes: Minutes without work until then.
        down: The node is given back rather than stopped.
        wait_for: What counts as work: ``jobs_and_ssh``, ``jobs`` or ``none``.
        hook: Shell command to run before; SkyPilot's older form of ``config.hooks``.
        hook_timeout: Seconds that the command may take.
    """

    null_means: ClassVar[tuple[str, ...]] = ("idle_minutes", "down")
    short: ClassVar[tuple[dict[str, Any], ...]] = (
        {"type": "boolean"},
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": "^[0-9]+[mhdwMHDW]?$", "examples": ["2h"]},
    )

    idle_minutes: Annotated[
        int,
        BeforeValidator(whole(0, None, "write whole minutes from 0")),
        Accepts({"type": "integer", "minimum": 0}),
    ] = 0
    down: Annotated[bool, BeforeValidator(flag)] = False
    wait_for: Annotated[str | None, BeforeValidator(_wait), Accepts(forms.word(WAITS))] = None
    hook: Annotated[str | None, BeforeValidator(text)] = None
    hook_timeout: Annotated[
        int | None,
        BeforeValidator(whole(1, None, "write whole seconds from 1")),
        Accepts({"type": "integer", "minimum": 1}),
    ] = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...


def _short(value: Any) -> Any:
    """Booleans, minutes and times as the map they stand for; false and null stay."""
    if isinstance(value, bool):
        return {} if value else False
    if isinstance(value, int):
        return {"idle_minutes": value}
    if isinstance(value, str):
        found = _TIME.match(value)
        if found is None:
            raise bad(f"{value!r} is not a time", _FIX)
        return {"idle_minutes": int(found[1]) * _MINUTES[found[2].lower() or "m"]}
    if value is None or isinstance(value, dict | Autostop):
        return value
    raise bad(f"autostop cannot be {kind(value)}", _FIX)


def _form(value: Any) -> str:
    if value is None:
        return "none"
    return "off" if value is False else "on"


AutostopForms = Annotated[
    Annotated[Autostop, Tag("on")]
    | Annotated[Literal[False], Tag("off")]
    | Annotated[None, Tag("none")],
    Discriminator(_form),
    BeforeValidator(_short),
    Also({"type": ["boolean", "integer"]}),
    Also({"type": "string", "pattern": "^[0-9]+[mhdwMHDW]?$"}),
]
"""An `Autostop`, or false where it is switched off."""
