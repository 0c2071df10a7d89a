"""``./dev``: works from anywhere, says what is wrong, and knows a stale environment."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def dev(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "dev"), *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> ModuleType:
    """The file ``dev`` as a module, in a root of its own with requirements and pins."""
    for name in ("dev", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    loader = importlib.machinery.SourceFileLoader("dev_copy", str(tmp_path / "dev"))
    spec = importlib.util.spec_from_loader("dev_copy", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_is_executable() -> None:
    assert os.access(ROOT / "dev", os.X_OK)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_help_from_anywhere(tmp_path: Path) -> None:
    done = dev("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in ("demo", "test", "lint", "bench", "setup"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("args", [(), ("dmeo",), ("bench", "no-such-benchmark")])
def test_wrong_use(args: tuple[str, ...], tmp_path: Path) -> None:
    done = dev(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "old", "new", "stale"),
    [
        ("pyproject.toml", "dependencies = [", 'dependencies = [\n  "six",', True),
        ("pyproject.toml", "line-length = 100", "line-length = 99", False),
        ("constraints.txt", "==", "==9", True),
    ],
)
def test_environment_is_stale_after_a_change(
    copy: ModuleType, name: str, old: str, new: str, stale: bool
) -> None:
    before = copy.fingerprint()
    path = copy.ROOT / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert (copy.fingerprint() != before) is stale


def test_fresh_environment_is_kept(copy: ModuleType) -> None:
    """Nothing is installed where the stamp says that all is there: the fake Python would fail."""
    copy.PYTHON.parent.mkdir(parents=True)
    copy.PYTHON.touch()
    copy.STAMP.write_text(copy.fingerprint())
    copy.ensure_environment()
    assert copy.PYTHON.read_bytes() == b""


def test_failed_installation_is_told(copy: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    """pip's own words, the log, exit code 1; and the next call does not take it for complete.

    The root of its own has no README.md, which pyproject.toml asks for.
    """
    with pytest.raises(SystemExit) as ended:
        copy.ensure_environment()
    assert ended.value.code == 1
    said = capfd.readouterr().err
    assert "the installation failed" in said
    assert "Readme file does not exist" in said
    assert not copy.STAMP.exists()
