"""Rows of what SkyPilot 0.14.1 makes of documents, and how two canonical forms are compared."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "data"
CORPUS = os.environ.get("STIX_SKY_CORPUS", "")
"""Folder of ``documents.jsonl``: documents of third parties, which may not be copied here."""


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of ``forms``, ``invalid`` or, where the corpus is at hand, ``documents``."""
    folder = Path(CORPUS) if name == "documents" else HERE
    text = (folder / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def comparable(task: dict[str, Any]) -> dict[str, Any]:
    """A canonical form with ``any_of`` sorted: SkyPilot keeps it in the order of a set."""
    out: dict[str, Any] = json.loads(json.dumps(task))
    resources = out.get("resources")
    if isinstance(resources, dict) and "any_of" in resources:
        resources["any_of"].sort(key=lambda entry: json.dumps(entry, sort_keys=True))
    return out
