"""Which system programs are missing is seen from the path, and told with the package's name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.system_packages import PROGRAMS, PROGRAMS_FULL

ROOT = Path(__file__).resolve().parents[2]
CODE = (
    "import tools.system_packages as s; s.SYSTEM_PATH = ''; print(*s.missing(full={full}).items())"
)


def missing(path: Path, *, full: bool) -> str:
    env = {**os.environ, "PATH": str(path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CODE.format(full=full)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("full", [False, True])
def test_missing(tmp_path: Path, full: bool) -> None:
    wanted = {**PROGRAMS, **(PROGRAMS_FULL if full else {})}
    said = missing(tmp_path, full=full)
    assert all(str((name, package)) in said for name, package in wanted.items())
    assert ("chromium" in said) is full
    for name in wanted:
        (tmp_path / name).touch(mode=0o755)
    assert missing(tmp_path, full=full).strip() == ""
