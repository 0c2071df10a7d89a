"""A rehearsal as a picture: SVG text with a row per stage run and a bar per attempt.

A bar is pale while machines boot, full while they work, and ends in the colour of its end. A mark
above a row is an offer that could not be had. It lasts from the order of the nodes to their end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from stix.plan import shown

WIDTH, LABEL, ROW, BAR = 900, 190, 30, 16
MARGIN, TITLE, AXIS = 24, 64, 28
ROWS = 300
"""Rows drawn at most."""
_LETTERS = 26
_STEPS_S = (
    *(1, 5, 15, 60, 300, 900, 1800),
    *(3600, 7200, 21_600, 43_200),
    *(86_400, 172_800, 604_800, 2_592_000),
)
_MARKS = 10
_COLOURS = {"succeeded": "good", "failed": "bad", "cancelled": "dim", "running": "dim"}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}"
    ".title{font-weight:600;font-size:16px}.total,.tick{fill:#656d76}"
    ".line{stroke:#d0d7de}.boot{fill:#d0d7de}.work{fill:#54aeff}.good{fill:#1a7f37}"
    ".bad{fill:#cf222e}.dim{fill:#8c959f}.short{fill:#bf8700}"
)
Json = Mapping[str, Any]


def svg(report: Json) -> str:
    """The picture of the first rehearsal of a report."""
    rows = report["stages"][:ROWS]
    left = len(report["stages"]) - len(rows)
    span = max(report["seconds"], 1e-9)
    right, top = MARGIN + LABEL + WIDTH + MARGIN, MARGIN + TITLE
    below = top + ROW * len(rows) + AXIS + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right}" height="{below}"'
        f' viewBox="0 0 {right} {below}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{right}" height="{below}" fill="#fff"/>',
        *_title(report, left),
        *_axis(span, top, ROW * len(rows)),
    ]
    for number, row in enumerate(rows):
        parts += _row(row, span, top + ROW * number)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _title(report: Json, left: int) -> list[str]:
    ended = "finished" if report["finished"] else report["reason"] or report["state"]
    said = (
        f"{ended}; {shown.time(report['seconds'])}, {shown.money(report['usd'])},"
        f" {report['preemptions']} preemptions, seed {report['seed']}"
    )
    more = f"; {left} more stages" if left else ""
    return [
        _text(MARGIN, MARGIN + 14, report["name"], "title"),
        _text(MARGIN, MARGIN + 36, said + more, "total", 140),
    ]


def _axis(span: float, top: float, height: float) -> list[str]:
    """A line and a time at each round moment."""
    step = next((s for s in _STEPS_S if span / s <= _MARKS), span / _MARKS)
    parts = []
    moment = 0.0
    while moment <= span:
        x = _x(moment, span)
        parts.append(
            f'<line class="line" x1="{x:g}" y1="{top:g}" x2="{x:g}" y2="{top + height + 6:g}"/>'
        )
        parts.append(_text(x - 4, top + height + 20, shown.time(moment), "tick"))
        moment += step
    return parts


def _row(row: Json, span: float, y: float) -> list[str]:
    parts = ["<g>", _text(MARGIN, y + BAR - 3, row["key"], "", _LETTERS)]
    for attempt in row["attempts"]:
        parts += _attempt(row["key"], attempt, span, y)
    return [*parts, "</g>"]


def _attempt(key: str, attempt: Json, span: float, y: float) -> list[str]:
    parts = [
        f'<path class="short" d="M{_x(one["at"], span):g} {y + 1:g}l3 -4h-6z">'
        f"<title>{_clean(_tried(one))}</title></path>"
        for one in attempt["tries"]
    ]
    if attempt["ordered"] is None:
        return parts
    end = span if attempt["end"] is None else attempt["end"]
    ready = end if attempt["ready"] is None else attempt["ready"]
    hint = _hint(key, attempt)
    parts += [
        _bar("boot", attempt["ordered"], ready, span, y, hint),
        _bar("work", ready, end, span, y, hint),
    ]
    colour = _COLOURS.get(attempt["state"], "dim")
    x = _x(end, span)
    parts.append(
        f'<rect class="{colour}" x="{x - 2:g}" y="{y:g}" width="3" height="{BAR}">'
        f"<title>{_clean(hint)}</title></rect>"
    )
    return parts


def _bar(style: str, start: float, end: float, span: float, y: float, hint: str) -> str:
    x, wide = _x(start, span), max(0.0, _x(end, span) - _x(start, span))
    return (
        f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{wide:g}" height="{BAR}" rx="2">'
        f"<title>{_clean(hint)}</title></rect>"
    )


def _hint(key: str, attempt: Json) -> str:
    spot = " spot" if attempt["spot"] else ""
    ended = (attempt["event"] or {}).get("detail") or attempt["state"]
    return "\n".join(
        line
        for line in (
            f"{key}, attempt {attempt['number']}",
            f"{attempt['infra']} {attempt['instance_type']}{spot}",
            shown.money(attempt["usd"]),
            ended,
            attempt["decision"],
        )
        if line
    )


def _tried(one: Json) -> str:
    return f"{one['infra']} {one['instance_type']}\n{one['event']['detail']}\n{one['decision']}"


def _x(moment: float, span: float) -> float:
    return MARGIN + LABEL + WIDTH * moment / span


def _text(x: float, y: float, text: str, style: str, most: int = 90) -> str:
    kind = f' class="{style}"' if style else ""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return f'<text{kind} x="{x:g}" y="{y:g}">{_clean(short)}</text>'


def _clean(text: str) -> str:
    """As XML can hold it."""
    return escape(_NOT_XML.sub("\ufffd", text))
