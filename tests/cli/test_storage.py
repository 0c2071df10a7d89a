"""``stix storage``: over a real S3 server and this machine's files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.s3 import S3Server, s3_server

__all__ = ["s3_server"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(s3_server: S3Server, tmp_path: Path) -> Run:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("STIX_", "PREFECT_"))}
    env = {**keep, **s3_server.environment(), "STIX_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}

    def call(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stix.cli.main", "storage", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env=env, timeout=120, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert s3_server.secret not in done.stdout + done.stderr
        return done

    return call


def test_a_bucket_s_life(run: Run, tmp_path: Path) -> None:
    for name, data in {"a.txt": b"abc", "sub/b.bin": bytes(5000), "sub/skip.log": b"x"}.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    run("create", "s3://stix-cli", "--label", "owner=me")
    run("create", "s3://stix-cli")
    assert "s3://stix-cli" in run("ls", "s3://").stdout
    source = str(tmp_path / "in")
    told = run("cp", source, "s3://stix-cli/data", "--exclude", "*.log", "-o", "json")
    assert json.loads(told.stdout)["files"] == 2
    listed = json.loads(run("ls", "-r", "s3://stix-cli/data", "-o", "json").stdout)
    assert [(row["name"], row["bytes"]) for row in listed] == [("a.txt", 3), ("sub/b.bin", 5000)]
    assert "sub/" in run("ls", "s3://stix-cli/data").stdout
    counted = json.loads(run("du", "s3://stix-cli", "-o", "json").stdout)
    assert (counted["objects"], counted["bytes"]) == (2, 5003)
    run("cp", "s3://stix-cli/data", str(tmp_path / "out"))
    assert (tmp_path / "out" / "sub" / "b.bin").read_bytes() == bytes(5000)
    run("delete", "s3://stix-cli/data/a.txt", "-y")
    assert "not" in run("delete", "s3://stix-cli", "-y", code=1).stderr.lower()
    run("delete", "s3://stix-cli", "--force", "-y")
    run("delete", "s3://stix-cli", "--force", "-y")
    assert "s3://stix-cli" not in run("ls", "s3://").stdout


def test_check(run: Run, s3_server: S3Server) -> None:
    known = {row["store"]: row for row in json.loads(run("check", "-o", "json").stdout)}
    assert known["s3"]["buckets"] is True
    assert known["https"]["buckets"] is False
    url = s3_server.url("checked")
    facts = json.loads(run("check", url, "--write", "-o", "json").stdout)
    assert facts["write"] is True
    assert facts["USD per GiB month"] > 0
    assert run("check", "s3://stix-no-such-bucket/x", code=1).stderr.startswith("error:")


def test_secrets_are_no_arguments(run: Run) -> None:
    done = run("ls", "s3://x", "--store-option", "secret=hidden-value", code=2)
    assert "hidden-value" not in done.stdout + done.stderr
    assert "fix:" in done.stderr


def test_nothing_is_deleted_unasked(run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("x")
    run("delete", str(kept), code=130)
    assert kept.exists()
    run("delete", str(kept), "-y")
    assert not kept.exists()
    assert "fix:" in run("create", "file:///tmp/x", code=1).stderr
