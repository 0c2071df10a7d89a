"""A plan as a picture: SVG text with a box per stage and a line per edge.

Stages stand in layers, from left to right; a long chain runs from the top to the bottom. Lines
that pass a layer get a place in it, so that they do not run through boxes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from stix.plan import shown

WIDTH, HEIGHT = 236, 78
ACROSS, ALONG = 28, 130
MARGIN, TITLE = 24, 64
_SWEEPS = 6
_LONG = 3
"""So many more layers than stages side by side make a chain, which runs downwards."""
_LETTERS = {"name": 29, "title": 90, "total": 120}
"""That fit into a box, or stand above all."""
_LABEL_AT = 0.38
"""Where on a line its label stands: not in the middle, where lines of two pairs cross."""
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}"
    ".name{font-weight:600;font-size:13px}.title{font-weight:600;font-size:16px}"
    ".dim,.total{fill:#656d76}.box{fill:#f6f8fa;stroke:#8c959f}.away{fill:#fff8e5;stroke:#bf8700}"
    ".data{fill:#fff;stroke:#8c959f;stroke-dasharray:4 3}.edge{fill:none;stroke:#8c959f}"
    ".paid{stroke:#bc4c00;stroke-width:2}.label{paint-order:stroke;stroke:#fff;stroke-width:5px}"
    ".dear{fill:#bc4c00}"
)


@dataclass
class Layout:
    """Where things stand.

    Attributes:
        layers: Names (of stages, data, and of places that a line passes) from first to last.
        chains: For each edge the names it leads over, both ends included.
    """

    layers: list[list[str]]
    chains: list[list[str]]

    @property
    def downwards(self) -> bool:
        return len(self.layers) > _LONG * max(map(len, self.layers))

    def spots(self) -> dict[str, tuple[float, float]]:
        """The upper left corner of each name."""
        widest = max(map(len, self.layers), default=1)
        down = self.downwards
        step = WIDTH + ACROSS if down else HEIGHT + ACROSS
        along = HEIGHT + ALONG / 2 if down else WIDTH + ALONG
        found = {}
        for number, layer in enumerate(self.layers):
            first = (widest - len(layer)) * step / 2
            for place, name in enumerate(layer):
                across, ahead = first + place * step, number * along
                x, y = (across, ahead) if down else (ahead, across)
                found[name] = (MARGIN + x, MARGIN + TITLE + y)
        return found


def layout(stages: Sequence[str], edges: Sequence[tuple[str, str]]) -> Layout:
    """Layers, each stage right behind the last that it waits for."""
    names = list(dict.fromkeys([*stages, *(name for edge in edges for name in edge)]))
    rank = _ranks(names, edges)
    layers: list[list[str]] = [[] for _ in range(max(rank.values(), default=0) + 1)]
    for name in names:
        layers[rank[name]].append(name)
    chains = []
    for number, (source, target) in enumerate(edges):
        chain = [source]
        for layer in range(rank[source] + 1, rank[target]):
            chain.append(f"\0{number}/{layer}")  # no name of a stage
            layers[layer].append(chain[-1])
        chains.append([*chain, target])
    _untangle(layers, chains)
    return Layout(layers, chains)


def _ranks(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    children: dict[str, list[str]] = defaultdict(list)
    waiting = dict.fromkeys(names, 0)
    for source, target in edges:
        children[source].append(target)
        waiting[target] += 1
    rank = {name: 0 for name in names if not waiting[name]}
    ready = list(rank)
    for name in ready:
        for child in children[name]:
            rank[child] = max(rank.get(child, 0), rank[name] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    return rank


def _untangle(layers: list[list[str]], chains: Sequence[Sequence[str]]) -> None:
    """Order each layer by the middle of its neighbours, to and fro."""
    before: dict[str, list[str]] = defaultdict(list)
    after: dict[str, list[str]] = defaultdict(list)
    for chain in chains:
        for one, other in pairwise(chain):
            before[other].append(one)
            after[one].append(other)
    at = {name: place for layer in layers for name, place in _places(layer)}
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        near = before if forth else after
        for layer in layers if forth else reversed(layers):
            middle = {name: _middle([at[n] for n in near[name]], at[name]) for name in layer}
            layer.sort(key=middle.__getitem__)
            at.update(_places(layer))


def _places(layer: Sequence[str]) -> list[tuple[str, float]]:
    """Counted from the middle of a layer."""
    return [(name, number - len(layer) / 2) for number, name in enumerate(layer)]


def _middle(places: Sequence[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def svg(plan: Mapping[str, Any]) -> str:
    """The picture of a plan, which is told as ``answer.described`` does."""
    stages = {stage["stage"]: stage for stage in plan["stages"]}
    edges = plan["edges"]
    placed = layout(list(stages), [(edge["source"], edge["target"]) for edge in edges])
    spots = placed.spots()
    right = max((x for x, _ in spots.values()), default=0) + WIDTH + MARGIN
    below = max((y for _, y in spots.values()), default=0) + HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right:g}" height="{below:g}"'
        f' viewBox="0 0 {right:g} {below:g}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{right:g}" height="{below:g}" fill="#fff"/>',
        *_title(plan),
    ]
    pairs = list(zip(edges, placed.chains, strict=True))
    parts += [_line(edge, chain, spots, placed.downwards) for edge, chain in pairs]
    for name, spot in spots.items():
        if name in stages:
            parts += _stage(stages[name], spot)
        elif not name.startswith("\0"):
            parts += _data(name, spot)
    parts += [_label(edge, chain, spots, placed.downwards) for edge, chain in pairs]
    return "\n".join(part for part in [*parts, "</svg>"] if part) + "\n"


def _title(plan: Mapping[str, Any]) -> list[str]:
    name = plan.get("name") or "plan"
    cost, time = shown.bar(plan["usd"], shown.money), shown.bar(plan["seconds"], shown.time)
    moved = f", of it {shown.money(plan['egress_usd'])} for moving data"
    said = f"{cost}{moved if plan['egress_usd'] else ''}; {time}"
    return [
        _text(MARGIN, MARGIN + 14, name, "title"),
        _text(MARGIN, MARGIN + 36, said, "total"),
    ]


def _stage(stage: Mapping[str, Any], spot: tuple[float, float]) -> list[str]:
    x, y = spot
    offer, nodes, cost = stage["chosen"]["offer"], stage["num_nodes"], stage["cost"]
    times = (f" x {nodes}" if nodes > 1 else "") + (
        f", {stage['points']} points" if stage["points"] > 1 else ""
    )
    spent, lasts = shown.money(cost["usd"]["value"]), shown.time(cost["seconds"]["value"])
    lines = [
        f"{offer['instance_type']}{' spot' if offer['spot'] else ''}{times}",
        shown.offer({**offer, "instance_type": "", "spot": False}),
        f"{spent}   {lasts}   {shown.price(offer, nodes)}",
    ]
    away = stage.get("enabled", True) is False
    hint = "\n".join([stage["stage"], *lines, *(["not enabled here"] if away else [])])
    style = "away" if away else "box"
    return [
        f"<g><title>{_clean(hint)}</title>",
        f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        _text(x + 12, y + 19, stage["stage"], "name"),
        *(
            _text(x + 12, y + 36 + 16 * n, line, "dim" if n == 1 else "")
            for n, line in enumerate(lines)
        ),
        "</g>",
    ]


def _data(name: str, spot: tuple[float, float]) -> list[str]:
    x, y = spot
    box = f'x="{x:g}" y="{y + HEIGHT / 4:g}" width="{WIDTH}" height="{HEIGHT / 2:g}" rx="18"'
    return [
        f'<g><title>{_clean(name)}</title><rect class="data" {box}/>',
        _text(x + 16, y + HEIGHT / 2 + 4, name, ""),
        "</g>",
    ]


def _ends(
    one: str, other: str, spots: Mapping[str, tuple[float, float]], *, down: bool
) -> tuple[float, float, float, float]:
    (x1, y1), (x2, y2) = spots[one], spots[other]
    if down:
        return x1 + WIDTH / 2, y1 + HEIGHT, x2 + WIDTH / 2, y2
    return x1 + WIDTH, y1 + HEIGHT / 2, x2, y2 + HEIGHT / 2


def _line(
    edge: Mapping[str, Any],
    chain: Sequence[str],
    spots: Mapping[str, tuple[float, float]],
    down: bool,
) -> str:
    path: list[str] = []
    for one, other in pairwise(chain):
        x1, y1, x2, y2 = _ends(one, other, spots, down=down)
        path.append(f"{'L' if path else 'M'}{x1:g} {y1:g}")  # through a place that it passes
        if down:
            path.append(f"C{x1:g} {(y1 + y2) / 2:g} {x2:g} {(y1 + y2) / 2:g} {x2:g} {y2:g}")
        else:
            path.append(f"C{(x1 + x2) / 2:g} {y1:g} {(x1 + x2) / 2:g} {y2:g} {x2:g} {y2:g}")
    paid = " paid" if edge["usd"]["value"] > 0 else ""
    return f'<path class="edge{paid}" d="{"".join(path)}"/>'


def _label(
    edge: Mapping[str, Any],
    chain: Sequence[str],
    spots: Mapping[str, tuple[float, float]],
    down: bool,
) -> str:
    """How much moves and what that costs; nothing where nothing is known to move."""
    gb, usd = edge["gb"]["value"], edge["usd"]["value"]
    if gb <= 0:
        return ""
    x1, y1, x2, y2 = _ends(chain[0], chain[1], spots, down=down)
    t = _LABEL_AT
    # Along the way a curve of `_line` runs evenly, nearly; across it is a step, rounded off.
    along, across = 1.5 * t * (1 - t) + t**3, 3 * (1 - t) * t**2 + t**3
    x = x1 + (x2 - x1) * (across if down else along)
    y = y1 + (y2 - y1) * (along if down else across)
    style = "label dear" if usd > 0 else "label"
    said = f"{shown.data(gb)}, {shown.money(usd)}" if usd > 0 else shown.data(gb)
    return (
        f'<text class="{style}" text-anchor="middle" x="{x:g}" y="{y - 4:g}">{_clean(said)}</text>'
    )


def _text(x: float, y: float, text: str, style: str) -> str:
    kind = f' class="{style}"' if style else ""
    most = _LETTERS.get(style, 34)
    short = text if len(text) <= most else text[: most - 1] + "…"
    return f'<text{kind} x="{x:g}" y="{y:g}">{_clean(short)}</text>'


def _clean(text: str) -> str:
    """As XML can hold it."""
    return escape(_NOT_XML.sub("\ufffd", text))
