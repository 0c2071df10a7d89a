"""Files of this machine as block devices, for tests of disks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LoopUnavailable(Exception):
    """This machine makes no block devices of files."""


@contextmanager
def attached(file: Path, mib: int) -> Iterator[str]:
    """A disk of ``mib`` MiB; its device, which is gone at the end."""
    if os.geteuid() != 0 or shutil.which("losetup") is None:
        raise LoopUnavailable("block devices need root and losetup")
    file.touch()
    os.truncate(file, mib << 20)
    done = subprocess.run(
        ["losetup", "--find", "--show", str(file)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LoopUnavailable(f"losetup: {done.stderr.strip()}")
    try:
        yield done.stdout.strip()
    finally:
        subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)
        file.unlink()
