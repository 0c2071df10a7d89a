"""The public face: names, types, what an import loads, and words that must not be in the tree."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import stix

ROOT = Path(__file__).resolve().parent.parent
LIGHT = ["stix", "stix.sky", "stix.spec", "stix.spec.loader", "stix.client.api", "stix.cli.main"]
HEAVY = {
    "prefect",
    "boto3",
    "botocore",
    "google.cloud",
    "azure",
    "fsspec",
    "s3fs",
    "gcsfs",
    "adlfs",
    "asyncssh",
    "sqlalchemy",
    "asyncpg",
    "fastapi",
    "rich",
}
# Written in parts, so that this file does not hold them.
FORBIDDEN = [
    "py" + r"pi\.org",
    "python" + "hosted",
    "npm" + r"js\.",
    "deb" + r"\.debian",
    "/work" + "/(main|shared|steering)",
    "/tmp" + "/venv",
    "post" + "hog",
    "sentry" + r"\.io",
    "segment" + r"\.com",
    "google-" + "analytics",
]


def test_names() -> None:
    """A new name is added here on purpose; a name that is gone breaks somebody's program."""
    assert stix.__all__ == [
        "Dag",
        "Pipeline",
        "Resources",
        "Service",
        "Storage",
        "StorageMode",
        "Task",
        "__version__",
        "from_yaml",
        "run",
        "stage",
        "to_yaml",
    ]


@pytest.mark.parametrize("name", stix.__all__)
def test_each_name_resolves(name: str) -> None:
    assert getattr(stix, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Pipelines'"):
        _ = stix.Pipelines


def test_types_are_shipped() -> None:
    assert (ROOT / "stix" / "py.typed").read_text() == ""


@pytest.mark.parametrize("name", LIGHT)
def test_import_is_light(name: str) -> None:
    code = f"import sys, {name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("group", ["stix.clouds", "stix.stores"])
def test_entry_points_lead_to_code(group: str) -> None:
    found = entry_points(group=group)
    assert len(found) >= 2
    for point in found:
        assert point.load().__module__.startswith("stix.")


def tracked() -> list[Path]:
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    names = done.stdout.split("\0") if done.returncode == 0 else []
    return [ROOT / name for name in names if name]


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_host_and_no_machine_path(word: str) -> None:
    """No package registry, no path of one machine, no telemetry service is named in the tree."""
    files = [path for path in tracked() if path.is_file() and not path.is_symlink()]
    assert len(files) > 20, "not a git checkout"
    pattern = re.compile(word, re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_constraints_are_exact() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines == sorted(lines, key=lambda line: line.split("==")[0])
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []
