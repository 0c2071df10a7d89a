"""The scripts of examples/digits by hand, step by step, as a stage would run them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("logreg", "svm", "forest", "knn", "bayes")


def node(folder: Path) -> Path:
    """A working directory as on a fresh node, with its setup done."""
    shutil.copytree(ROOT / "examples" / "digits", folder, ignore=shutil.ignore_patterns("__*"))
    done = subprocess.run(
        ["bash", "setup.sh"], cwd=folder, env={**os.environ, "PYTHON": sys.executable}, check=False
    )
    assert done.returncode == 0
    return folder


def step(folder: Path, *command: str, **env: Path) -> str:
    names = {name: str(path) for name, path in env.items()}
    result = {"STIX_RESULT": str(folder / "result.json"), "SEED": "7"}
    done = subprocess.run(
        ["./python", *command],
        cwd=folder,
        env={**os.environ, **result, **names},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def whole(base: Path, names: tuple[str, ...]) -> tuple[list[dict[str, str]], bytes]:
    """All steps; the table of scores and the picture."""
    data, models, best, out = base / "data", base / "models", base / "best", base / "out"
    work = node(base / "work")
    step(work, "prepare.py", STIX_OUTPUT_DATA=data)
    for name in names:
        place = models / f"point-{name}"
        step(work, "train.py", name, STIX_INPUT_DATA=data, STIX_OUTPUT_MODEL=place)
        assert json.loads((work / "result.json").read_text())["model"] == name
    step(work, "compare.py", STIX_INPUT_MODELS=models, STIX_OUTPUT_BEST=best)
    picked = json.loads((work / "result.json").read_text())
    step(work, "report.py", STIX_INPUT_DATA=data, STIX_INPUT_BEST=best, STIX_OUTPUT_REPORT=out)
    rows = json.loads((out / "scores.json").read_text())
    assert picked == {"best": rows[0]["model"], "accuracy": rows[0]["accuracy"]}
    return rows, (out / "confusion.png").read_bytes()


@pytest.mark.full
def test_all_steps_and_the_same_again(tmp_path: Path) -> None:
    """Real scores and a picture; the winner alone, elsewhere, makes the same bytes."""
    rows, picture = whole(tmp_path / "a", MODELS)
    assert sorted(row["model"] for row in rows) == sorted(MODELS)
    accuracies = [float(row["accuracy"]) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > 0.97
    assert all(0.8 < accuracy < 1 for accuracy in accuracies)
    assert picture.startswith(b"\x89PNG\r\n")
    again, same_picture = whole(tmp_path / "b", (rows[0]["model"],))
    assert again == rows[:1]
    assert same_picture == picture


def test_setup_without_python(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "digits" / "setup.sh", tmp_path)
    done = subprocess.run(
        ["bash", "setup.sh"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": "no-such-python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no no-such-python on this node" in done.stderr


@pytest.mark.full
def test_setup_installs_what_is_missing(tmp_path: Path) -> None:
    """On a node whose Python has neither package, a virtual environment gets both."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "bare")], check=True)
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(ROOT / "examples" / "digits" / "setup.sh", work)
    bare = str(tmp_path / "bare" / "bin" / "python")
    subprocess.run(["bash", "setup.sh"], cwd=work, env={**os.environ, "PYTHON": bare}, check=True)
    code = "import sklearn, matplotlib, sys; print(sys.prefix)"
    done = subprocess.run(
        ["./python", "-c", code], cwd=work, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(work / ".venv")
