"""How old prices are, and what is said about it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from stix.clouds.catalog import Catalog
from stix.clouds.catalog.refresh import Freshness, freshness
from stix.clouds.catalog.refresh.freshness import day_of
from stix.clouds.catalog.tables import write
from stix.clouds.catalog.testing.world import row

TODAY = date(2026, 1, 20)


def put(home: Path, cloud: str, content: bytes | None = None) -> None:
    (home / "catalog").mkdir(exist_ok=True)
    made = write(cloud, [row(cloud, "small", "eu", 1.0)], {})  # as of 2026-01-01
    (home / "catalog" / f"{cloud}.cat").write_bytes(made if content is None else content)


def of(home: Path, cloud: str, stale_days: float) -> Freshness:
    (found,) = freshness([cloud], home=home, today=TODAY, stale_days=stale_days)
    return found


@pytest.mark.parametrize(("bound", "state"), [(19, "fresh"), (18, "stale")])
def test_age_of_a_refreshed_catalog(tmp_path: Path, bound: float, state: str) -> None:
    put(tmp_path, "comet")
    found = of(tmp_path, "comet", bound)
    assert found == Freshness("comet", state, date(2026, 1, 1), 19, True)
    assert bool(found.warning) == (state == "stale")
    assert "19 days" in found.warning or state == "fresh"


def test_a_cloud_without_prices_is_missing(tmp_path: Path) -> None:
    found = of(tmp_path, "comet", 14)
    assert (found.state, found.as_of, found.days) == ("missing", None, None)
    assert "stix catalog refresh comet" in found.warning


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    put(tmp_path, "comet", b"stix-catalog 1\n{")
    found = of(tmp_path, "comet", 14)
    assert (found.state, found.refreshed) == ("damaged", True)
    assert "cannot be read" in found.warning


def test_all_clouds_that_have_prices_are_told_of(tmp_path: Path) -> None:
    put(tmp_path, "comet")
    found = {f.cloud: f for f in freshness(home=tmp_path, today=TODAY)}
    assert set(found) == {*Catalog.load().clouds, "comet"}
    assert not found["aws"].refreshed and found["comet"].refreshed


@pytest.mark.parametrize(
    ("text", "day"),
    [("2026-08-03", (2026, 8, 3)), ("2026-08", (2026, 8, 1)), ("2024", (2024, 1, 1))],
)
def test_days(text: str, day: tuple[int, int, int]) -> None:
    assert day_of(text) == date(*day)


def test_a_refreshed_file_precedes_the_bundled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "lambda")
    monkeypatch.setenv("STIX_HOME", str(tmp_path))
    assert [r.kind.instance_type for r in Catalog.load(["lambda"]).rows()] == ["small"]
    assert len(Catalog.load(["do"])) > 10
