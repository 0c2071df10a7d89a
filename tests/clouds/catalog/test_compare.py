"""What differs between two catalogs."""

from __future__ import annotations

from pathlib import Path

from stix.clouds.catalog import Catalog, Row
from stix.clouds.catalog.compare import changes
from stix.clouds.catalog.rows import Kind, Source
from stix.clouds.catalog.tables import write

LIST = Source("price list", "2026-08-03")
KIND = Kind("moon", "one", "x86_64", 8, 32, "H100", 1, 80, None, "", "machine")


def catalog(folder: Path, rows: list[Row]) -> Catalog:
    folder.mkdir()
    (folder / "moon.cat").write_bytes(write("moon", rows, {}))
    return Catalog.load(folders=[folder])


def test_added_removed_and_moved(tmp_path: Path) -> None:
    stays = Row(KIND, "sea", None, 2.0, 1.0, LIST, LIST)
    goes = Row(KIND, "sea", "sea-a", 2.0, None, LIST, None)
    comes = Row(KIND, "crater", None, None, 0.7, None, LIST)
    old = catalog(tmp_path / "old", [stays, goes])
    new = catalog(tmp_path / "new", [stays._replace(on_demand=3.0, spot=None), comes])
    found = {(c.what, c.region, c.zone): (c.before, c.after, c.moved) for c in changes(old, new)}
    assert found == {
        ("on_demand", "sea", None): (2.0, 3.0, 0.5),
        ("spot", "sea", None): (1.0, None, None),
        ("removed", "sea", "sea-a"): (2.0, None, None),
        ("added", "crater", None): (None, 0.7, None),
    }


def test_nothing_differs_from_itself_and_all_from_nothing(tmp_path: Path) -> None:
    bundled = Catalog.load(["ibm", "verda"])
    assert list(changes(bundled, bundled)) == []
    added = list(changes(Catalog.load(folders=[tmp_path]), bundled))
    assert len(added) == len(bundled)
    assert {change.what for change in added} == {"added"}
