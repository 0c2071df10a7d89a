"""The forms of ``ports``: numbers, ranges, texts with commas, and lists of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from stix.spec.base import bad
from stix.spec.values import kind

_PORT = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?\Z")
_FIX = "write a port, a range such as 8000-8010, or a list of them"


def port_list(value: Any) -> list[str]:
    """Ports as texts in ascending order; neighbours are merged into ranges."""
    if value is None:
        return []
    merged: list[tuple[int, int]] = []
    for low, high in sorted(_ranges(value)):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return [str(low) if low == high else f"{low}-{high}" for low, high in merged]


def _ranges(value: Any) -> Iterator[tuple[int, int]]:
    for entry in value if isinstance(value, list | tuple) else [value]:
        if isinstance(entry, bool) or not isinstance(entry, int | str):
            raise bad(f"ports cannot be {kind(entry)}", _FIX)
        for text in str(entry).split(","):
            if text.strip():
                yield _range(text.strip())


def _range(text: str) -> tuple[int, int]:
    found = _PORT.match(text)
    if found is None:
        raise bad(f"{text!r} is not a port from 1 to 65535", _FIX)
    low, high = int(found[1]), int(found[2] or found[1])
    if not 1 <= low < 65536 or not 1 <= high < 65536:
        raise bad(f"{text!r} is not a port from 1 to 65535", _FIX)
    if low > high:
        raise bad(f"the range {text!r} is reversed", _FIX)
    return low, high
