"""The small languages of many fields: durations, texts of variables, paths, scalars."""

from __future__ import annotations

import math
import posixpath
import re
from datetime import date, datetime
from typing import Any

from stix.spec.base import bad

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)", re.IGNORECASE)
_LONGEST = 100
"""Characters of a duration: of digits without a unit, each is tried as the first."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?$")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
OUTPUT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z")
STAGE_NAME = re.compile(r"(?=.{1,100}\Z)[A-Za-z0-9]+(?:[_-]{1,2}[A-Za-z0-9]+)*\Z")
TASK_NAME = re.compile(r"[a-zA-Z0-9]+(?:[._-]{1,2}[a-zA-Z0-9]+)*\Z")

Scalar = str | int | float | bool


def number(value: float) -> str:
    """A number as people write it: ``4`` rather than ``4.0``."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def duration(value: Any) -> float:
    """Seconds of ``90``, ``"90"``, ``"10m"``, ``"1h30m"``, ``"2d"``."""
    fix = 'write seconds or a duration such as "90s", "10m", "2h" or "1d"'
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise bad(f"{kind(value)} is not a duration", fix)
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.match(text):
            value = float(text)
        elif text and len(text) < _LONGEST and not _DURATION.sub("", text).strip():
            value = sum(float(n) * _UNITS[u.lower()] for n, u in _DURATION.findall(text))
        else:
            raise bad(f"{value!r} is not a duration", fix)
    if not math.isfinite(value) or value < 0:
        raise bad(f"a duration cannot be {value}", fix)
    return float(value)


def positive_duration(value: Any) -> float:
    """As `duration`, but zero is refused."""
    seconds = duration(value)
    if seconds == 0:
        raise bad("a duration here must be above zero", 'write something like "10m" or "2h"')
    return seconds


def kind(value: Any) -> str:
    """What a value is, for people."""
    names = {dict: "a map", list: "a list", str: "text", bool: "a boolean", type(None): "nothing"}
    # Never the value itself: it may be a secret.
    return names.get(type(value), "a number" if isinstance(value, int | float) else "this value")


def env_text(value: Any) -> str | None:
    """The value of a variable as text, as SkyPilot writes it: ``True``, ``1.5``, ISO dates."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | date):
        return str(value)
    raise bad(f"a variable cannot hold {kind(value)}", "write text, in quotes where in doubt")


def relative_path(value: Any, word: str) -> str:
    """A path below the working directory, normalised.

    Raises:
        PydanticCustomError: it is absolute, empty, or leads out of the directory.
    """
    fix = "write a path relative to the working directory, without '..'"
    if not isinstance(value, str):
        raise bad(f"the path of {word} must be text, not {kind(value)}", fix)
    if not value.strip() or value.startswith(("/", "~")) or "\0" in value or "\n" in value:
        raise bad(f"the path of {word} must be relative to the working directory", fix)
    if ".." in value.split("/"):
        raise bad(f"the path of {word} leads out of the working directory", fix)
    path = posixpath.normpath(value)
    if path == ".":
        raise bad(
            f"the path of {word} is the whole working directory", "name a file or folder in it"
        )
    return path


def scalar(value: Any) -> Scalar:
    """One value of a matrix."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise bad(f"a matrix value cannot be {kind(value)}", "write text, a number or a boolean")
