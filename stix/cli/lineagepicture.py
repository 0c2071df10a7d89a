"""A lineage as a picture: a box per stage run, a rounded one per folder that was sent."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from stix.plan.picture import HEIGHT, MARGIN, WIDTH, layout

if TYPE_CHECKING:
    from stix.client.api import Json

_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}"
    ".name{font-weight:600;font-size:13px}.title{font-weight:600;font-size:16px}.dim{fill:#656d76}"
    ".box{fill:#f6f8fa;stroke:#8c959f}.it{fill:#ddf4ff;stroke:#0969da}"
    ".data{fill:#fff;stroke:#8c959f;stroke-dasharray:4 3}.edge{fill:none;stroke:#8c959f}"
)
_LETTERS = 34
_SHORT = 12


def svg(answer: Json, name: str) -> str:
    """The picture of ``Client.artifact_lineage``; ``name`` is what the user calls the artifact."""
    steps = {f"{step['run_id']} {step['key']}": step for step in answer["steps"]}
    edges = _edges(steps)
    placed = layout(list(steps), edges)
    spots = placed.spots()
    right = max((x for x, _ in spots.values()), default=0) + WIDTH + MARGIN
    below = max((y for _, y in spots.values()), default=0) + HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right:g}" height="{below:g}"'
        f' viewBox="0 0 {right:g} {below:g}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{right:g}" height="{below:g}" fill="#fff"/>',
        _text((MARGIN, MARGIN + 14), name, "title"),
        _text((MARGIN, MARGIN + 36), str(answer["digest"]), "dim", len(answer["digest"])),
    ]
    parts += [_line([spots[one] for one in chain], placed.downwards) for chain in placed.chains]
    for key, spot in spots.items():
        if key in steps:
            parts += _step(steps[key], spot, answer["digest"])
        elif not key.startswith("\0"):
            parts += _sent(key, spot)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _edges(steps: dict[str, Json]) -> list[tuple[str, str]]:
    """From folders and from the first that made it to each who took it."""
    makers: dict[str, str] = {}
    for key, step in steps.items():
        for digest in step["outputs"].values():
            makers.setdefault(digest, key)
    found: dict[tuple[str, str], None] = {}
    for key, step in steps.items():
        for source, digest in step["code"]["uploads"].items():
            found[f"{source} {digest[:_SHORT]}", key] = None
        taken = [digest for digests in step["inputs"].values() for digest in digests]
        found |= {(makers[one], key): None for one in taken if makers.get(one, key) != key}
    return list(found)


def _step(step: Json, spot: tuple[float, float], wanted: str) -> list[str]:
    x, y = spot
    lines = [step["run_id"], *(f"{n} {d[:_SHORT]}" for n, d in step["outputs"].items())]
    git = [f"{name}: {value}" for name, value in step["code"]["git"].items()]
    inputs = [f"{name}: {digests}" for name, digests in step["inputs"].items()]
    hint = "\n".join([step["key"], *lines, *git, *inputs])
    style = "it" if wanted in step["outputs"].values() else "box"
    return [
        f"<g><title>{escape(hint)}</title>",
        f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        _text((x + 12, y + 19), step["key"], "name"),
        *(_text((x + 12, y + 36 + 16 * n), line, "dim") for n, line in enumerate(lines[:3])),
        "</g>",
    ]


def _sent(name: str, spot: tuple[float, float]) -> list[str]:
    x, y = spot
    box = f'x="{x:g}" y="{y + HEIGHT / 4:g}" width="{WIDTH}" height="{HEIGHT / 2:g}" rx="18"'
    return [
        f'<g><title>{escape(name)}</title><rect class="data" {box}/>',
        _text((x + 16, y + HEIGHT / 2 + 4), name, ""),
        "</g>",
    ]


def _line(spots: Sequence[tuple[float, float]], down: bool) -> str:
    path: list[str] = []
    for (x1, y1), (x2, y2) in pairwise(spots):
        if down:
            x1, y1, x2 = x1 + WIDTH / 2, y1 + HEIGHT, x2 + WIDTH / 2
            bend = f"C{x1:g} {(y1 + y2) / 2:g} {x2:g} {(y1 + y2) / 2:g} {x2:g} {y2:g}"
        else:
            x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT / 2, y2 + HEIGHT / 2
            bend = f"C{(x1 + x2) / 2:g} {y1:g} {(x1 + x2) / 2:g} {y2:g} {x2:g} {y2:g}"
        path.append(f"{'L' if path else 'M'}{x1:g} {y1:g}{bend}")
    return f'<path class="edge" d="{"".join(path)}"/>'


def _text(spot: tuple[float, float], text: str, style: str, most: int = _LETTERS) -> str:
    short = text if len(text) <= most else text[: most - 1] + "…"
    printable = "".join(c if c.isprintable() else "\ufffd" for c in short)
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{spot[0]:g}" y="{spot[1]:g}">{escape(printable)}</text>'
