"""The size report counts what is there and refuses what crosses a rule."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONG = "def long() -> int:\n" + "    x = 1\n" * 59 + "    return x\n"

CLEAN = '''"""A module."""


class Thing:
    def act(self, a, b, c, d, e, f, g, h):
        try:
            return a
        except ValueError:
            return b


def short(x):
    try:
        return x
    except Exception:
        return None
'''


def report(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "size_report.py"), str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("stix", "flows", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "stix" / "a.py").write_text(CLEAN)
    (tmp_path / "flows" / "b.py").write_text("x = 1\n")
    (tmp_path / "stix" / "flows").symlink_to("../flows")
    (tmp_path / "tests" / "test_a.py").write_text("def test() -> None:\n    assert 1\n" * 9)
    return tmp_path


def test_numbers(tree: Path) -> None:
    """Two files of 16 and 1 lines (the link is not followed), and a test file of 18."""
    done = report(tree)
    assert done.returncode == 0, done.stderr
    assert "sources: 2 files, 17 lines, 2 functions" in done.stdout
    assert "median 8, p90 16, max 16" in done.stdout
    assert "broad excepts         1 (58.8 per 1000 lines), global 0" in done.stdout
    assert "test lines per line   1.06" in done.stdout
    assert "stix/a.py:5 act: 8 parameters" in done.stdout


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("stix/long.py", "x = 1\n" * 401, "stix/long.py: 401 lines, at most 400"),
        ("flows/function.py", LONG, "flows/function.py:1 long: 61 lines, at most 60"),
        (
            "stix/wide.py",
            "def f(a, b, c, d, e, *, f, g, h, i): ...\n",
            "f: 9 parameters, at most 8",
        ),
        ("stix/state.py", "x = 1\ndef f():\n    global x\n", "stix/state.py:3: global"),
        ("tests/test_long.py", "x = 1\n" * 401, "tests/test_long.py: 401 lines"),
        ("stix/broken.py", "def (:\n", "stix/broken.py:1: "),
    ],
)
def test_refusals(tree: Path, name: str, text: str, said: str) -> None:
    (tree / name).write_text(text)
    done = report(tree)
    assert done.returncode == 1
    assert "RULE BROKEN: " in done.stderr
    assert said in done.stderr


def test_this_tree_keeps_the_rules() -> None:
    done = report(ROOT)
    assert done.returncode == 0, done.stderr
