"""Facts of a host, also of one whose user has no home folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.node.agent.facts import facts


def test_a_user_without_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    found = facts()
    assert found["home"] == str(tmp_path / "missing")
    assert found["disk_free_gib"] > 0
    assert found["cpus"] >= 1
