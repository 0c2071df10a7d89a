"""The table of clouds and checks in the docs, and how it is made."""

from __future__ import annotations

import re
from pathlib import Path

from tools import cloud_table

LATER = {"podman"}
"""Tested with ``--full`` alone."""


def rows() -> dict[str, list[int]]:
    """Cloud to lines, passed, failed and not applicable, as the page has them."""
    found = {}
    for line in cloud_table.PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[1].isdigit():
            found[cells[0]] = [int(cell) for cell in cells[1:5]]
    return found


def test_every_cloud_is_in_the_table_and_fails_nothing() -> None:
    found = rows()
    assert set(cloud_table.folders()) - LATER <= set(found) and len(found) >= 20
    assert {cloud: numbers for cloud, numbers in found.items() if numbers[2]} == {}
    assert min(numbers[1] for numbers in found.values()) > 20


def test_the_page_tells_why_checks_do_not_apply() -> None:
    tally = {"lambda": {"a": "passed", "b": "failed", "c": "no spot", "d": "no spot"}}
    page = cloud_table.page(tally)
    assert re.search(r"^\| lambda \| \d+ \| 1 \| 1 \| 2 \| a double of its API \|$", page, re.M)
    assert "- **lambda**: no spot (`c`, `d`)" in page and "1 clouds." in page


def test_lines_are_counted_without_blank_ones(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n\n\ny = 2\n")
    assert cloud_table.lines(tmp_path) == 2
