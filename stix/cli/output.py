"""How commands print: tables and JSON to standard output, messages to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

GOOD = {"succeeded", "cached", "running", "enabled", "yes", "ok", "ready", "up"}
BAD = {"failed", "upstream_failed", "preempted", "no", "down", "dead"}
QUIET = {"pending", "queued", "skipped", "cancelled", "cancelling"}


def message(text: str) -> None:
    """A line for people, on standard error."""
    print(text, file=sys.stderr, flush=True)


def show(output: str, data: Any, render: Callable[[], str]) -> None:
    """Print ``data`` as JSON, or what ``render`` makes of it."""
    text = json.dumps(data, indent=2, default=str) if output == "json" else render()
    sys.stdout.write(text.rstrip("\n") + "\n" if text else "")


def coloured(stream: TextIO) -> bool:
    """True where colour is wanted: a terminal, and no NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _paint(cell: str, text: str) -> str:
    word = cell.strip()
    code = 32 if word in GOOD else 31 if word in BAD else 2 if word in QUIET else 0
    return f"\x1b[{code}m{text}\x1b[0m" if code else text


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as their widest cell; numbers are the caller's text."""
    cells = [[_text(c) for c in row] for row in rows]
    widths = [max([len(h), *(len(r[i]) for r in cells)]) for i, h in enumerate(heads)]
    colour = coloured(sys.stdout)
    lines = ["  ".join(h.upper().ljust(w) for h, w in zip(heads, widths, strict=True)).rstrip()]
    for row in cells:
        padded = [c.ljust(w) for c, w in zip(row, widths, strict=True)]
        padded[-1] = row[-1]
        shown = [_paint(c, p) for c, p in zip(row, padded, strict=True)] if colour else padded
        lines.append("  ".join(shown).rstrip())
    return "\n".join(lines)


def pairs(rows: Sequence[tuple[str, Any]]) -> str:
    """``name  value`` lines; rows without a value are left out."""
    given = [(name, _text(value)) for name, value in rows if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in given), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in given)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return " ".join(str(value).split("\n"))


def clip(text: str, width: int) -> str:
    """At most ``width`` characters, the cut shown by an ellipsis."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def usd(value: float | str | None) -> str:
    """Money as people read it: cents, and more digits where cents would show nothing."""
    if value is None:
        return "-"
    amount = float(value)
    return f"${amount:.2f}" if amount == 0 or abs(amount) >= 0.01 else f"${amount:.6f}"


def duration(seconds: float | None) -> str:
    """``0.4s``, ``12s``, ``3m05s``, ``2h07m``, ``3d04h``."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{max(seconds, 0):.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m{rest:02}s"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02}h" if days else f"{hours}h{minutes:02}m"


def size(count: float | None) -> str:
    """Bytes in binary units."""
    if count is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def moment(value: str | float | None) -> datetime | None:
    """A time of the API: seconds since 1970, or ISO 8601 (UTC where it says nothing)."""
    if not value:
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    when = datetime.fromisoformat(value)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def between(start: str | float | None, end: str | float | None) -> float | None:
    """Seconds from ``start`` to ``end``, or to now."""
    begun = moment(start)
    if begun is None:
        return None
    return ((moment(end) or datetime.now(UTC)) - begun).total_seconds()


def ago(value: str | float | None) -> str:
    """``3m05s ago``."""
    seconds = between(value, None)
    return "-" if seconds is None else f"{duration(max(seconds, 0))} ago"
