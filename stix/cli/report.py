"""The conformance report as a table for people."""

from __future__ import annotations

import io
import sys
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stix.cli.output import coloured

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stix.spec.conformance import Row

COLOURS = {"used": "green", "mapped": "cyan", "refused": "red"}
PIPE_WIDTH = 160
"""Columns where the output is no terminal."""
MOST = 500
"""Rows at most; nobody reads more, and to draw them takes long."""


def table(file: str, rows: Sequence[Row]) -> str:
    """A line that counts, then one row per key; what lies below a key that says it all is left out.

    Args:
        file: Name of the file.
        rows: Every key of the file.
    """
    counts = Counter(row.status for row in rows)
    said = ", ".join(f"{counts[word]} {word}" for word in COLOURS)
    drawn = Table(box=None, pad_edge=False, header_style="bold" if coloured(sys.stdout) else "")
    drawn.add_column("LINE", justify="right")
    drawn.add_column("KEY", overflow="fold")
    drawn.add_column("STATUS")
    drawn.add_column("TO, OR WHAT TO WRITE", overflow="fold")
    drawn.add_column("WHY", overflow="fold")
    shown = list(_shown(rows))
    for row in shown[:MOST]:
        word = f"[{COLOURS[row.status]}]{row.status}[/]"
        line = str(row.line) if row.line else "-"
        drawn.add_row(line, escape(row.path), word, escape(row.to), escape(row.why))
    out = io.StringIO()
    colour = coloured(sys.stdout)
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(
        file=out, width=width, force_terminal=colour, no_color=not colour, highlight=False
    )
    console.print(drawn)
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    rest = len(shown) - MOST
    more = [f"... and {rest} more rows; --output json has all"] if rest > 0 else []
    return "\n".join([f"{file}: {len(rows)} keys: {said}", *lines, *more])


def _shown(rows: Sequence[Row]) -> Iterator[Row]:
    for index, row in enumerate(rows):
        after = rows[index + 1] if index + 1 < len(rows) else None
        below = after is not None and after.path.startswith((f"{row.path}.", f"{row.path}["))
        holder = row.status == "used" and below and after is not None and not after.part
        if not row.part and not holder:
            yield row
