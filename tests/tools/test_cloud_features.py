"""The page of features is what the adapters say."""

from __future__ import annotations

from tools.cloud_features import PAGE, adapters, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tools/cloud_features.py"


def test_every_cloud_has_a_row() -> None:
    rows = [line.split("|")[1].strip() for line in page().splitlines() if line.startswith("|")]
    assert rows[2:] == sorted(adapters())
    assert {"local", "ssh"} <= set(rows)
