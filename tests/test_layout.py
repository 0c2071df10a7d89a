"""The layout: one module under one name, links, and what the wheel and the sdist hold."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("clouds", "flows", "storage", "tasks")
NOT_SHIPPED = {"__pycache__", ".mypy_cache", ".ruff_cache"}


def sources(root: Path) -> set[str]:
    """What a wheel made from ``root`` has to hold, by its path inside the wheel."""
    found = set()
    for top in ("stix", *LINKED):
        for path in (root / top).rglob("*"):
            inside = path.relative_to(root)
            through_link = top == "stix" and inside.parts[1] in LINKED
            if path.is_file() and not through_link and not NOT_SHIPPED & set(inside.parts):
                found.add(("" if top == "stix" else "stix/") + inside.as_posix())
    return found


def build(source: Path, out: Path, kind: str) -> Path:
    """Build a ``wheel`` or an ``sdist`` offline, with the hatchling that is installed."""
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "-o", str(out)]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.iterdir()
    return built


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as opened:
        names = [name for name in opened.namelist() if not name.endswith("/")]
        return {name: opened.read(name) for name in names if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with their links, which nobody writes to while it is built."""
    copy = tmp_path_factory.mktemp("tree") / "project"
    copy.mkdir()
    ignored = shutil.ignore_patterns(*NOT_SHIPPED, "*.pyc")
    for name in ("stix", *LINKED, "tests", "examples"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "prefect.yaml"):
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.mark.parametrize("name", LINKED)
def test_link_leads_to_the_root_folder(name: str) -> None:
    link = ROOT / "stix" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name
    assert (ROOT / name / "__init__.py").is_file()


def test_wheel_is_the_sources(tree: Path, tmp_path: Path) -> None:
    """The wheel of the tree and the wheel of the sdist hold the sources, byte for byte."""
    direct = content(build(tree, tmp_path / "direct", "wheel"))
    assert set(direct) == sources(tree)
    assert {"stix/flows/__init__.py", "stix/clouds/base.py", "stix/py.typed"} <= set(direct)
    with tarfile.open(build(tree, tmp_path / "sdist", "sdist")) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert content(build(unpacked, tmp_path / "again", "wheel")) == direct


def test_subpackages_are_found_without_the_links(tree: Path, tmp_path: Path) -> None:
    """A checkout whose links were lost runs all the same."""
    bare = tmp_path / "bare"
    shutil.copytree(tree, bare, symlinks=True)
    for name in LINKED:
        (bare / "stix" / name).unlink()
    code = "import stix.clouds.base as b, stix.flows as f; print(b.__file__); print(f.__file__)"
    command = [sys.executable, "-c", code]
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(command, cwd=bare, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        str(bare / "clouds" / "base.py"),
        str(bare / "flows" / "__init__.py"),
    ]


def test_nothing_imports_a_root_folder_by_its_bare_name() -> None:
    """``import clouds`` would make a second copy of every class in it."""
    wrong = []
    for top in ("stix", *LINKED, "tests", "examples", "benchmarks", "tools"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module or ""]
                wrong += [f"{path}:{n}" for n in names if n.split(".")[0] in LINKED]
    assert wrong == []
