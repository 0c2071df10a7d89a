"""Where catalogs lie: the files of this package, and before them those that were refreshed."""

from __future__ import annotations

import os
from pathlib import Path

BUNDLED = Path(__file__).with_name("data")


def home() -> Path:
    """``STIX_HOME``, without reading its settings."""
    place = os.environ.get("STIX_HOME")
    if not place:
        from platformdirs import user_data_path

        place = str(user_data_path("stix"))
    return Path(place).expanduser().absolute()


def folders(place: Path | None = None) -> tuple[Path, Path]:
    """The folders of one ``STIX_HOME``; the later one has precedence."""
    return BUNDLED, (place or home()) / "catalog"
