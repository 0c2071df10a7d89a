"""A plugin of pytest that writes which check of the conformance suite ended how, per cloud.

``pytest -p tests.support.clouds.tally`` with ``STIX_TALLY`` naming the file (JSON).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

_found: dict[str, dict[str, str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    known: Mapping[str, object] = dict(report.user_properties)
    if "stix-cloud" not in known:
        return
    checks = _found.setdefault(str(known["stix-cloud"]), {})
    check = str(known["stix-check"])
    if report.failed:
        checks[check] = "failed"
    elif report.skipped and report.when == "call":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        checks[check] = reason.removeprefix("Skipped: ").removeprefix("does not apply: ")
    elif report.when == "call":
        checks.setdefault(check, "passed")


def pytest_sessionfinish() -> None:
    if file := os.environ.get("STIX_TALLY"):
        Path(file).write_text(json.dumps(_found))
