"""Writes docs/clouds/features.md: what each cloud of this repository can do, from its adapter.

With ``--check`` it writes nothing, and ends with 1 where the page is not current.
"""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from stix.clouds.features import FEATURES, features_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "clouds" / "features.md"
HEAD = """\
# What each cloud can do

Made by `tools/cloud_features.py` from the adapters; `stix check --features` prints the same of what
is installed, with clouds of other packages.
"""


def adapters() -> dict[str, Callable[..., object]]:
    """The classes that pyproject.toml names, by cloud; read there, so that no installation that is
    a little older matters."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, Callable[..., object]] = {}
    for name, place in sorted(project["entry-points"]["stix.clouds"].items()):
        module, _, adapter = place.partition(":")
        found[name] = getattr(importlib.import_module(module), adapter)
    return found


def page() -> str:
    """The text of the page."""
    rows = [["cloud", *FEATURES], ["---", *(":-:" for _ in FEATURES)]]
    for name, adapter in adapters().items():
        has = features_of(adapter)
        rows.append([name, *("yes" if has[feature] else "" for feature in FEATURES)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    meanings = "\n".join(f"- **{name}**: {meaning}" for name, meaning in FEATURES.items())
    return f"{HEAD}\n{table}\n\n{meanings}\n"


def main(arguments: list[str]) -> int:
    text = page()
    if "--check" in arguments:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        if not current:
            print(f"{PAGE.name} is not current: run python tools/cloud_features.py")
        return 0 if current else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
