"""Amounts of things: ``cpus``, ``memory``, ``disk_size``, ``local_disk``, whole numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from stix.spec.base import bad
from stix.spec.values import kind

_KIB = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_UNIT = re.compile(r"(.*)([kmgtp])[bi]\Z", re.DOTALL)
SIZE = re.compile(r"([0-9]{1,18})(?:([kmgtp][bi]|[KMGTP](?:[bi]|[BI])))?\Z")
_DISK_FIX = "write a whole number of GB, such as 100 or 100GB"
_LOCAL_FIX = "write nvme, ssd, a size in GB such as '1000+', or both as nvme:1000+"


def _float(text: str) -> float | None:
    """The number of a text; None where it is none, or not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def cpus(value: Any) -> str:
    """``4`` exactly or ``4+`` at least, as text; the spelling stays."""
    fix = "write cpus: 4 or cpus: 4+"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise bad(f"cpus must be a number or text such as 4 or 4+, not {kind(value)}", fix)
    text = str(value)
    found = _float(text.removesuffix("+"))
    if found is None:
        raise bad(f"cpus must be a number or text such as 4 or 4+, not {text!r}", fix)
    if found <= 0:
        raise bad(f"cpus must be above zero, not {text}", fix)
    return text


def memory(value: Any) -> str:
    """GiB as text: ``16``, ``16+``, ``16GB`` (which is ``16.0``), ``3x`` (per vCPU)."""
    fix = "write memory: 16, memory: 16+ or memory: 16GB; units are KB, MB, GB, TB and PB"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise bad(
            f"memory must be a number or text such as 16, 16+ or 16GB, not {kind(value)}", fix
        )
    text = str(value)
    core = text.removesuffix("+")
    end = text[len(core) :]
    if not end and core.endswith("x"):
        core, end = core[:-1], "x"
    size = _float(core)
    if size is None:
        unit = _UNIT.match(core.lower())
        size = _float(unit[1]) if unit else None
        if unit is None or size is None:
            raise bad(f"memory must be a number or text such as 16, 16+ or 16GB, not {text!r}", fix)
        size = size * 1024.0 ** _KIB[unit[2]] / 1024**3
        core = str(size)
    if size < 0:
        raise bad(f"memory must be above zero, not {text}", fix)
    return core + end


def split_amount(text: str | None) -> tuple[float, bool]:
    """The least amount and whether more is allowed; ``(0, True)`` where nothing is asked."""
    if text is None:
        return 0.0, True
    return float(text.rstrip("+x")), text.endswith(("+", "x"))


def disk_gib(value: Any) -> int:
    """The size of a disk in GiB, from ``100`` or ``"100GB"``."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise bad(f"a disk size cannot be {kind(value)}", _DISK_FIX)
    found = SIZE.match(str(value))
    if found is None:
        raise bad(f"{value!r} is not a disk size", _DISK_FIX)
    unit = found[2][0].lower() if found[2] else "g"
    size, rest = divmod(int(found[1]) << 10 * _KIB[unit], 1 << 30)
    if rest or size < 1:
        raise bad(f"a disk size must be whole GB above zero, not {value}", _DISK_FIX)
    return size


def local_disk(value: Any) -> str:
    """``kind:GB`` or ``kind:GB+`` of ``nvme``, ``ssd:500``, ``1000+``."""
    if not isinstance(value, str):
        raise bad(f"local_disk must be text, not {kind(value)}", _LOCAL_FIX)
    text = value.lower().strip()
    if text in ("nvme", "ssd"):
        return f"{text}:100+"
    mode, colon, size = text.rpartition(":")
    mode = mode if colon else "nvme"
    found = _float(size.removesuffix("+"))
    if mode not in ("nvme", "ssd") or found is None or found <= 0:
        raise bad(f"{value!r} is not a local disk", _LOCAL_FIX)
    return f"{mode}:{size}"


def whole(low: int, high: int | None, fix: str) -> Callable[[Any], int]:
    """A validator of whole numbers in a range; ``5.0`` is one, as in JSON Schema."""

    def check(value: Any) -> int:
        number = isinstance(value, int) and not isinstance(value, bool)
        if not number and not (isinstance(value, float) and value.is_integer()):
            raise bad(f"a whole number is needed, not {kind(value)}", fix)
        if value < low or (high is not None and value > high):
            raise bad(f"{int(value)} is out of range", fix)
        whole: int = int(value)
        return whole

    return check


def text(value: Any) -> str:
    """A text, where SkyPilot takes no null."""
    if not isinstance(value, str):
        raise bad(f"this must be text, not {kind(value)}", "write text, in quotes where in doubt")
    return value


def flag(value: Any) -> bool:
    """True or false, where SkyPilot takes no null."""
    if not isinstance(value, bool):
        raise bad(f"this must be true or false, not {kind(value)}", "write true or false")
    return value
