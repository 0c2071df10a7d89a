"""The small languages inside fields: durations, amounts, accelerators, places, scalars."""

from __future__ import annotations

import math
import posixpath
import re
from datetime import date, datetime
from typing import Any

from stix.spec.base import bad

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?$")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgtp])(?:i?b|i)?)?$", re.IGNORECASE)
_GIB = {"k": 1 / 1024**2, "m": 1 / 1024, "g": 1.0, "t": 1024.0, "p": 1024.0**2}
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
STAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z")
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
        elif text and not _DURATION.sub("", text).strip():
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


def amount(value: Any, *, memory: bool = False) -> str:
    """Canonical form of ``cpus`` or ``memory``: ``"4"`` or ``"4+"`` (vCPUs, or GiB)."""
    word = "memory" if memory else "cpus"
    example = "16, 16+ or 16GB" if memory else "4 or 4+"
    fix = f"write {word}: {example}"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise bad(f"{word} must be a number or text such as {example}, not {kind(value)}", fix)
    text = str(value).strip()
    plus = text.endswith("+")
    core = text[: -1 if plus else None]
    found = _SIZE.match(core) if memory else _NUMBER.match(core)
    if not found:
        raise bad(f"{word} must be a number or text such as {example}, not {text!r}", fix)
    size = float(found.group(1)) * _GIB[(found.group(2) or "g").lower()] if memory else float(core)
    if size <= 0 or not math.isfinite(size):
        raise bad(f"{word} must be above zero, not {text}", fix)
    return number(size) + ("+" if plus else "")


def split_amount(text: str | None) -> tuple[float, bool]:
    """The least amount and whether more is allowed; ``(0, True)`` where nothing is asked."""
    if text is None:
        return 0.0, True
    return float(text.rstrip("+")), text.endswith("+")


def whole_gib(value: Any) -> int:
    """A disk size in GiB, from ``100`` or ``"100GB"``."""
    fix = "write a whole number of GB, such as disk_size: 100"
    found = _SIZE.match(str(value).strip()) if isinstance(value, int | str) else None
    if found is None or isinstance(value, bool):
        raise bad(f"{value!r} is not a disk size", fix)
    size = float(found.group(1)) * _GIB[(found.group(2) or "g").lower()]
    if size < 1 or not size.is_integer():
        raise bad(f"a disk size must be whole GB above zero, not {value}", fix)
    return int(size)


def accelerator(text: str) -> dict[str, float]:
    """``A100``, ``A100:8``, ``80GB+:2`` or ``NVIDIA:80GB`` to name and count."""
    name, _, tail = text.strip().rpartition(":")
    if name and _NUMBER.match(tail):
        return {name: _count(name, float(tail))}
    if name and not re.match(r"\d+(\.\d+)?GB\+?\Z", tail, re.IGNORECASE):
        raise bad(f"{text!r} is not an accelerator", "write NAME or NAME:COUNT, such as A100:8")
    if not text.strip():
        raise bad(
            "the name of the accelerator is empty", "write NAME or NAME:COUNT, such as A100:8"
        )
    return {text.strip(): 1.0}


def _count(name: str, count: float) -> float:
    if not count > 0 or not math.isfinite(count):
        raise bad(f"the count of {name} must be above zero", f"write {name}:1 or more")
    return count


def accelerators(value: Any) -> list[dict[str, float]]:
    """Each alternative of an ``accelerators`` field as name to count; several are a choice."""
    fix = "write NAME, NAME:COUNT, a map of names to counts, or a list of NAME:COUNT"
    if isinstance(value, str):
        return [accelerator(value)]
    if isinstance(value, list | tuple):
        return [one for entry in value for one in accelerators(entry)]
    if isinstance(value, dict):
        out = []
        for name, count in value.items():
            if count is None:
                out.append(accelerator(str(name)))
                continue
            if isinstance(count, bool) or not isinstance(count, int | float):
                raise bad(f"the count of {name} must be a number", fix)
            out.append({str(name): _count(str(name), float(count))})
        return out
    raise bad(f"accelerators cannot be {kind(value)}", fix)


def infra(value: Any) -> str | None:
    """Canonical ``cloud/region/zone`` with ``*`` for holes; None where anything will do."""
    fix = "write cloud, cloud/region or cloud/region/zone, such as local, ssh/pool or aws/us-east-1"
    if not isinstance(value, str):
        raise bad(f"infra must be text, not {kind(value)}", fix)
    parts = [p.strip() for p in value.strip().split("/")]
    cloud = parts[0].lower()
    cloud = "kubernetes" if cloud == "k8s" else cloud
    if cloud == "kubernetes":
        parts = [cloud, *(["/".join(parts[1:])] if parts[1:] else [])]
    if len(parts) > 3 or not all(parts) or not re.match(r"(\*|[a-z0-9_-]+)\Z", cloud):
        raise bad(f"{value!r} is not a place", fix)
    parts = [cloud, *parts[1:]]
    while parts and parts[-1] == "*":
        parts.pop()
    return "/".join(parts) or None


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
