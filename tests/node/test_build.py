"""The agent is one small file that old Pythons can run."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stix.node import build

OLDEST = (3, 8)
# Names of the standard library newer than 3.8, which the compiler cannot see.
NEWER_MODULES = {"tomllib", "zoneinfo", "graphlib"}
NEWER_NAMES = {
    "removeprefix", "removesuffix", "pairwise", "batched", "cache", "TaskGroup", "to_thread",
    "timeout_at", "waitstatus_to_exitcode", "pidfd_open", "file_digest", "StrEnum",
    "is_relative_to", "hardlink_to", "randbytes", "UTC", "aclosing",
}  # fmt: skip


def test_same_bytes_each_time() -> None:
    build.zipapp_bytes.cache_clear()
    first = build.zipapp_bytes()
    build.zipapp_bytes.cache_clear()
    assert build.zipapp_bytes() == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == list(build.sources())
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


@pytest.mark.parametrize("path", build.sources().values(), ids=lambda p: p.name)
def test_grammar_and_names_are_old(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=OLDEST)
    standard = set(sys.stdlib_module_names) | {"stix_agent"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            roots = {str(node.module).partition(".")[0]}
        else:
            roots = set()
        assert roots <= standard - NEWER_MODULES
        name = getattr(node, "attr", None) or getattr(node, "id", None)
        assert name not in NEWER_NAMES, f"{path.name}:{getattr(node, 'lineno', 0)}: {name}"
        if isinstance(node, ast.keyword):
            assert node.arg not in {"strict", "slots", "kw_only"}


@pytest.mark.parametrize("path", build.sources().values(), ids=lambda p: p.name)
def test_annotations_are_not_evaluated(path: Path) -> None:
    """``list[int]`` and ``X | None`` in annotations fail on 3.8 without the future import."""
    tree = ast.parse(path.read_text())
    annotated = [n for n in ast.walk(tree) if isinstance(n, ast.arg) and n.annotation]
    future = any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body)
    assert future or not annotated


def _pythons() -> list[str]:
    names = [f"python3.{minor}" for minor in range(8, 15)]
    return [sys.executable, *(n for n in names if _answers(n))]


def _answers(name: str) -> bool:
    try:
        return subprocess.run([name, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize("python", _pythons())
def test_runs_from_the_zip_and_unpacked(python: str, tmp_path: Path) -> None:
    archive = tmp_path / "agent-x.pyz"
    archive.write_bytes(build.zipapp_bytes())

    def call(program: str | Path, name: str, **request: object) -> dict[str, object]:
        argv = [python, "-I", "-S", str(program), name]
        body = json.dumps(request).encode()
        done = subprocess.run(argv, input=body, capture_output=True, check=False)
        return dict(json.loads(done.stdout))

    assert call(archive, "info")["cpus"]
    argv = [python, "-I", "-S", str(archive), "install"]
    main = subprocess.run(argv, capture_output=True, check=True).stdout.decode().strip()
    base = str(tmp_path / "base")
    node = call(main, "up", base=base, token="t")
    try:
        assert node["state"] == "running"
    finally:
        assert call(main, "down", base=base, ids=[node["id"]]) == {"removed": [node["id"]]}


def test_wrong_usage(tmp_path: Path) -> None:
    archive = tmp_path / "agent.pyz"
    archive.write_bytes(build.zipapp_bytes())
    argv = [sys.executable, "-I", "-S", str(archive)]
    assert subprocess.run([*argv, "fly"], capture_output=True, check=False).returncode == 2
    done = subprocess.run([*argv, "up"], input=b"{}", capture_output=True, check=False)
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "invalid"
