"""Tests do not see the accounts of whoever runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LOOKS = """
import os
from pathlib import Path
def test_a():
    assert [n for n, value in os.environ.items() if value == "s3cr3t"] == []
    assert os.environ["AWS_CA_BUNDLE"] == "bundle"
    assert list(Path("~").expanduser().iterdir()) == []
    print("home:", Path("~").expanduser())
"""
NAMES = (
    *("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_SECRET"),
    *(
        "LAMBDA_API_KEY",
        "RUNPOD_API_KEY",
        "HCLOUD_TOKEN",
        "KUBECONFIG",
        "SCW_SECRET_KEY",
        "OS_CLOUD",
    ),
    *("SHADEFORM_API_KEY", "ANY_TOKEN", "XDG_CONFIG_HOME", "STIX_TOKEN"),
)


def test_a_test_finds_no_account(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_looks.py").write_text(LOOKS)
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    mine = {k: v for k, v in os.environ.items() if k != "PYTEST_XDIST_WORKER"}
    env = {**mine, **dict.fromkeys(NAMES, "s3cr3t"), "HOME": str(home)}
    command = [sys.executable, "-m", "pytest", "-sq", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path / "test_looks.py")],
        env={**env, "AWS_CA_BUNDLE": "bundle"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [used] = [line.partition("home: ")[2] for line in done.stdout.splitlines() if "home: " in line]
    assert not Path(used).exists()
