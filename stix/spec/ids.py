"""Ids of runs."""

from __future__ import annotations

import re
import secrets
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_EPOCH_MS = 1_735_689_600_000  # 2025-01-01: seven digits of 16 ms last until 2042
_TIME_DIGITS = 7
_RANDOM_DIGITS = 3
_UNIT_MS = 16


class _Ticks:
    """Rising numbers of 16 ms: two ids of one process never share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            now = (time.time_ns() // 1_000_000 - _EPOCH_MS) // _UNIT_MS
            self._last = max(now, self._last + 1)
            return self._last


_TICKS = _Ticks()


def new_run_id(name: str) -> str:
    """``<name>-<10 characters>``: of one name, later ids sort after earlier ones.

    Args:
        name: The pipeline's name; letters, digits and dashes of its first 20 characters are used.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:20].rstrip("-") or "run"
    digits = _encode(_TICKS.next(), _TIME_DIGITS) + "".join(
        secrets.choice(_ALPHABET) for _ in range(_RANDOM_DIGITS)
    )
    return f"{slug}-{digits}"


def _encode(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
