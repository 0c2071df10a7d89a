"""The programs of examples/checkpoint by hand: killed and begun again, they end as undisturbed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
Env = dict[str, str]


def folder(path: Path, state: str) -> tuple[Path, Env]:
    """A working directory, and what a stage would tell the program."""
    shutil.copytree(ROOT / "examples" / "checkpoint", path)
    env = {"STIX_RESULT": str(path / "result.json"), "STIX_CHECKPOINT_DIR": str(path / state)}
    return path, {**os.environ, **env, "EPOCHS": "8", "STEPS": "120"}


def end(place: Path, env: Env, script: str) -> tuple[list[str], Any]:
    """Run to the end: the lines that were printed, and the result."""
    done = subprocess.run(
        [sys.executable, script], cwd=place, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), json.loads((place / "result.json").read_text())


def kill_after(place: Path, env: Env, script: str, lines: int) -> None:
    """Kill it when it printed so much."""
    with subprocess.Popen(
        [sys.executable, script],
        cwd=place,
        env={**env, "PAUSE_S": "0.02"},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline()
        process.kill()


@pytest.mark.parametrize(
    ("script", "state"), [("digits.py", "state"), ("folders.py", "runs")], ids=["digits", "folders"]
)
def test_a_killed_program_goes_on_elsewhere(tmp_path: Path, script: str, state: str) -> None:
    undisturbed, env = folder(tmp_path / "a", state)
    lines, expected = end(undisturbed, env, script)
    assert lines[0].split()[-1] == "0"
    here, env = folder(tmp_path / "b", state)
    kill_after(here, env, script, 4)
    for name in ("c", "d"):
        there, env = folder(tmp_path / name, state)
        shutil.copytree(here / state, there / state, symlinks=True)
        here = there
        if name == "c":
            kill_after(here, env, script, 2)
    lines, found = end(here, env, script)
    assert int(lines[0].split()[-1]) >= 4, "it went on from what two killed ones had left"
    assert found == expected
