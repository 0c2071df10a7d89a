"""Cheap commands load nothing heavy: what they import is checked, not time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = [
    "prefect",
    "pydantic",
    "boto3",
    "botocore",
    "httpx",
    "rich",
    "ruamel",
    "yaml",
    "sqlalchemy",
    "fastapi",
    "asyncssh",
    "fsspec",
    "cryptography",
    "anyio",
    "asyncio",
]

SCRIPT = """
import sys
from stix.cli.main import call
code = call(sys.argv[1:])
heavy = [name for name in {heavy!r} if name in sys.modules]
sys.stderr.write("heavy=" + ",".join(heavy))
sys.exit(code)
"""


def loaded(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit code of a command, and which of the heavy modules it loaded."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("STIX_", "PREFECT_"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(heavy=HEAVY), *arguments],
        capture_output=True,
        text=True,
        env={**keep, "STIX_HOME": str(home)},
        timeout=60,
    )
    return done.returncode, done.stderr.rpartition("heavy=")[2]


@pytest.mark.parametrize("command", ["--help", "version", "run --help", "runs --help"])
def test_commands_without_a_server(command: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, *command.split()) == (0, "")


@pytest.mark.parametrize("command", ["status", "server status"])
def test_status_where_no_server_runs(command: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, *command.split()) == (1, "")


@pytest.mark.parametrize(
    "module", ["stix", "stix.client.api", "stix.client.local", "stix.cli.main"]
)
def test_modules(module: str) -> None:
    script = f"import sys, {module}; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_python_client_loads_no_engine() -> None:
    script = (
        "import sys, stix.client.sdk; print([n for n in ('prefect', 'boto3') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
