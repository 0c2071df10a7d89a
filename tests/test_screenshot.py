"""A run in the Prefect UI, as Chromium draws it: stages, edges between them, steps, artifacts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.screenshot import CHROMIUM

ROOT = Path(__file__).resolve().parent.parent
GREEN_MIN = 5000  # pixels; one bar of the time line has several thousand


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a STIX home of this test, whose server is stopped in the end."""
    env = {**os.environ, "STIX_HOME": str(tmp_path / "home")}
    yield env
    stix(env, "server", "stop")


def stix(env: dict[str, str], *args: str) -> str:
    command = [sys.executable, "-m", "stix.cli.main", *args]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def green_pixels(picture: Path) -> int:
    """Pixels in the colour of a completed run."""
    with Image.open(picture) as opened:
        red, green, blue = np.moveaxis(np.asarray(opened.convert("RGB")), -1, 0)
    return int(np.sum((green > 120) & (red < 80) & (blue < 120)))


@pytest.mark.full
@pytest.mark.server
def test_pictures(home: dict[str, str], tmp_path: Path) -> None:
    stix(home, "run", "examples/digits/pipeline.yaml")
    out = tmp_path / "images"
    command = [sys.executable, "tools/screenshot.py", "latest", "--out", str(out)]
    done = subprocess.run(command, env=home, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"needs one of {CHROMIUM}: {done.stderr}"
    assert "stage / prepare <- -" in done.stdout
    assert "stage / train[model=svm] <- stage / prepare" in done.stdout
    assert "stage / report <- stage / compare, stage / prepare" in done.stdout
    assert sorted(path.stem for path in out.iterdir()) == ["artifacts", "results", "run", "stage"]
    # A page that cannot reach its API is drawn too, and has no bars.
    assert green_pixels(out / "run.png") > GREEN_MIN
    assert green_pixels(out / "stage.png") > GREEN_MIN
