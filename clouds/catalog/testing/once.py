"""``python -m stix.clouds.catalog.testing.once MODULE:CLASS URL``: one refresh, to be killed."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from stix.clouds.catalog.refresh import Clock, Settings, refresh
from stix.clouds.catalog.testing.bench import BEGIN, BOUNDS, addresses


def main(place: str, url: str) -> int:
    """Refresh into ``STIX_HOME``; 1 if it failed."""
    module, _, name = place.partition(":")
    kind = getattr(importlib.import_module(module), name)
    home = Path(os.environ["STIX_HOME"])
    settings = Settings(
        home, urls=addresses(kind, url), bounds=BOUNDS, clock=Clock(now=lambda: BEGIN)
    )
    return int(refresh(kind, settings).state == "failed")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
