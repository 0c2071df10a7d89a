"""The DAG as a picture and for a terminal: everything is there, nothing runs into another."""

from __future__ import annotations

import itertools
import random
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from stix.plan.picture import HEIGHT, WIDTH, layout, svg
from stix.plan.rails import MOST, rails

SVG = "{http://www.w3.org/2000/svg}"
Edges = list[tuple[str, str]]
DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def stage(name: str, **more: Any) -> dict[str, Any]:
    amount = {"value": 12.5, "low": 10.0, "high": 20.0}
    offer = {
        "cloud": "aws",
        "region": "us-east-1",
        "zone": None,
        "instance_type": "p4d.24xlarge",
        "spot": False,
        "price": 32.77,
        "price_is_estimate": False,
    }
    told = {
        "stage": name,
        "chosen": {"offer": offer},
        "num_nodes": 1,
        "points": 1,
        "cost": {"usd": amount, "seconds": {"value": 3600.0, "low": 3600.0, "high": 3600.0}},
    }
    return {**told, **more}


def edge(source: str, target: str, gb: float = 0.0, usd: float = 0.0) -> dict[str, Any]:
    exact = {
        name: dict.fromkeys(("value", "low", "high"), v) for name, v in (("gb", gb), ("usd", usd))
    }
    return {"source": source, "target": target, **exact}


def plan(names: list[str], edges: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    total = {"value": 50.0, "low": 40.0, "high": 80.0}
    whole = {"name": "demo", "usd": total, "seconds": total, "egress_usd": 9.0, "edges": edges}
    return {**whole, "stages": [stage(name) for name in names], **more}


def some_dag(seed: int, count: int) -> tuple[list[str], Edges]:
    chance = random.Random(seed)
    names = [f"s{n}" for n in range(count)]
    pairs = [(a, b) for a, b in itertools.combinations(names, 2) if chance.random() < 2.0 / count]
    return names, pairs


def texts(picture: str) -> list[str]:
    return [e.text or "" for e in ET.fromstring(picture).iter(f"{SVG}text")]


def test_each_stage_shows_its_offer_cost_and_time_and_each_edge_what_moves() -> None:
    edges = [edge("prepare", "train", 500.0, 10.0), edge("train", "report")]
    said = texts(svg(plan(["prepare", "train", "report"], edges)))
    assert [text for text in said if text in ("prepare", "train", "report")] == [
        "prepare",
        "train",
        "report",
    ]
    assert said.count("p4d.24xlarge") == 3 and said.count("aws/us-east-1") == 3
    assert said.count("$12.50   1h00m   $32.77/h") == 3
    assert "500 GB, $10.00" in said
    assert len([text for text in said if " GB" in text]) == 1  # nothing is known to move: no label
    assert "$50.00 ($40.00 to $80.00), of it $9.00 for moving data; 50s (40s to 1m20s)" in said


def test_nodes_spot_estimates_and_clouds_that_are_not_enabled_are_marked() -> None:
    made = stage("train", num_nodes=4, enabled=False)
    made["chosen"]["offer"] |= {"spot": True, "price_is_estimate": True}
    picture = svg(plan([], [], stages=[made]))
    assert "p4d.24xlarge spot x 4" in texts(picture)
    assert "$12.50   1h00m   ~$131.08/h" in texts(picture)
    assert 'class="away"' in picture and "not enabled here" in picture


def test_names_cannot_break_out_of_the_picture() -> None:
    evil = "<script>alert('1')</script>&\"\x00\x1b"
    picture = svg(plan([evil, "b"], [edge(evil, "b"), edge("s3://a&b/<c>", "b", 1.0)], name=evil))
    assert "<script" not in picture
    assert ET.fromstring(picture).tag == f"{SVG}svg"
    assert "<script>alert('1')</sc" in " ".join(texts(picture))
    assert "s3://a&b/<c>" in texts(picture)


def test_long_names_are_cut_and_told_in_full_beside() -> None:
    name = "x" * 80
    picture = svg(plan([name], []))
    assert max(len(text) for text in texts(picture) if text.startswith("x")) < 35
    assert name in [
        (e.text or "").splitlines()[0] for e in ET.fromstring(picture).iter(f"{SVG}title")
    ]


@pytest.mark.parametrize("count", [1, 2, 7, 25, 60])
@pytest.mark.parametrize("seed", range(4))
def test_boxes_stand_apart_inside_the_picture(count: int, seed: int) -> None:
    names, pairs = some_dag(seed, count)
    root = ET.fromstring(svg(plan(names, [edge(*pair) for pair in pairs])))
    boxes = [e for e in root.iter(f"{SVG}rect") if e.get("class") == "box"]
    corners = [(float(e.get("x", "")), float(e.get("y", ""))) for e in boxes]
    assert len(corners) == count
    assert all(
        abs(x1 - x2) >= WIDTH + 10 or abs(y1 - y2) >= HEIGHT + 10
        for (x1, y1), (x2, y2) in itertools.combinations(corners, 2)
    )
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    assert all(0 < x < width - WIDTH and 0 < y < height - HEIGHT for x, y in corners)
    assert len(list(root.iter(f"{SVG}path"))) == len(pairs)


@pytest.mark.parametrize("seed", range(6))
def test_lines_run_forward_one_layer_at_a_time(seed: int) -> None:
    """So that none runs through a box: what it passes has a place of its own."""
    names, pairs = some_dag(seed, 20)
    placed = layout(names, pairs)
    layer = {name: n for n, layer in enumerate(placed.layers) for name in layer}
    assert sum(map(len, placed.layers)) == len(layer)
    for chain, pair in zip(placed.chains, pairs, strict=True):
        assert (chain[0], chain[-1]) == pair
        assert [layer[name] - layer[chain[0]] for name in chain] == list(range(len(chain)))


def points(path: str) -> list[tuple[float, float]]:
    """Of a line, close to each other."""
    found: list[tuple[float, float]] = []
    for command, text in re.findall(r"([MLC])([^MLC]*)", path):
        numbers = [float(number) for number in text.split()]
        ends = list(zip(numbers[::2], numbers[1::2], strict=True))
        if command == "M":
            found += ends
            continue
        control = [found[-1], *ends] if command == "C" else [found[-1], found[-1], *ends * 2]
        for step in range(1, 41):
            t = step / 40
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            x = sum(w * p[0] for w, p in zip(weights, control, strict=True))
            y = sum(w * p[1] for w, p in zip(weights, control, strict=True))
            found.append((x, y))
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("long", [False, True])
def test_no_line_runs_through_a_box(seed: int, long: bool) -> None:
    names, pairs = some_dag(seed, 16)
    if long:  # a chain with some ways past it
        names = [f"s{n}" for n in range(24)]
        pairs = [*itertools.pairwise(names), (names[seed], names[seed + 9]), (names[1], names[20])]
    assert layout(names, pairs).downwards == long
    root = ET.fromstring(svg(plan(names, [edge(*pair) for pair in pairs])))
    boxes = [e for e in root.iter(f"{SVG}rect") if e.get("class") == "box"]
    corners = [(float(e.get("x", "")), float(e.get("y", ""))) for e in boxes]
    for path in root.iter(f"{SVG}path"):
        for x, y in points(path.get("d", "")):
            inside = [c for c in corners if 1 < x - c[0] < WIDTH - 1 and 1 < y - c[1] < HEIGHT - 1]
            assert not inside, (path.get("d"), inside)


def test_lines_that_need_not_cross_do_not() -> None:
    """Two chains side by side, told in an order that would cross them."""
    pairs = [("a", "a1"), ("b", "b1"), ("b1", "b2"), ("a1", "a2")]
    placed = layout(["a", "b", "b1", "a1", "b2", "a2"], pairs)
    assert [[name[0] for name in layer] for layer in placed.layers] == [["a", "b"]] * 3


def test_a_long_chain_runs_downwards() -> None:
    names = [f"s{n}" for n in range(30)]
    root = ET.fromstring(svg(plan(names, [edge(*pair) for pair in itertools.pairwise(names)])))
    assert float(root.get("width", "")) < 2 * WIDTH < float(root.get("height", ""))


def test_the_same_plan_gives_the_same_picture() -> None:
    names, pairs = some_dag(1, 30)
    told = plan(names, [edge(*pair) for pair in pairs])
    assert svg(told) == svg(told)


def test_rails_of_a_diamond() -> None:
    assert rails(["a", "b", "c", "d"], DIAMOND) == [
        ("o", "a"),
        ("├─╮", ""),
        ("o │", "b"),
        ("│ o", "c"),
        ("├─╯", ""),
        ("o", "d"),
    ]


def test_rails_cross_what_lies_between() -> None:
    drawn = rails(["a", "b", "c", "d"], [("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")])
    lines = [line for line, name in drawn if not name]
    assert lines == ["├─╮", "│ │ ├─╮", "├─┼─╯ │", "  ├───╯"]


def test_a_stage_that_waits_for_nothing_stands_apart() -> None:
    assert rails(["a", "b"], []) == [("o", "a"), ("", ""), ("o", "b")]


def test_a_chain_is_one_rail() -> None:
    names = [f"s{n}" for n in range(9)]
    assert rails(names, list(itertools.pairwise(names))) == [("o", name) for name in names]


def test_too_many_rails_are_not_drawn() -> None:
    wide = [("a", f"b{n}") for n in range(MOST + 1)]
    assert rails(["a", *(target for _, target in wide)], wide) == []


@pytest.mark.parametrize("seed", range(30))
def test_rails_lead_to_every_stage_once_and_after_what_it_waits_for(seed: int) -> None:
    names, pairs = some_dag(seed, 9)
    drawn = rails(names, pairs)
    if not drawn:  # too wide
        return
    order = [name for _, name in drawn if name]
    assert sorted(order) == sorted(names)
    assert all(order.index(source) < order.index(target) for source, target in pairs)
    waits = {target for _, target in pairs}
    for (above, _), (line, name) in itertools.pairwise([("", ""), *drawn]):
        assert line.count("o") == (1 if name else 0)
        if name:
            reached = above.ljust(len(line))[line.index("o")]
            assert (name in waits) == (reached not in (" ", "")), (name, above, line)
    assert re.fullmatch(r"[o│├─┬╮┴╯┼ ]*", "".join(line for line, _ in drawn))
