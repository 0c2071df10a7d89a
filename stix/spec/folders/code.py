"""Which commit a folder is, where it lies in a repository of git."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from stix.spec.folders.gitkeys import without_git

PATIENCE_S = 20.0
_USER = re.compile(r"(?<=://)[^/@]*@")


def facts_of(folder: Path) -> dict[str, Any]:
    """``commit``, ``dirty``, ``branch`` and ``url`` of a folder, as far as they are known.

    ``dirty``: something in the folder differs from the commit, files that git does not know and
    does not ignore included. Empty where it is no folder of git's, or git does not answer.
    """
    program = shutil.which("git")
    if program is None or not folder.is_dir() or not _inside(folder):
        return {}
    commit = _ask(program, folder, "rev-parse", "--verify", "HEAD^{commit}")
    changed = _ask(program, folder, "status", "--porcelain", "-z", "--ignore-submodules", "--", ".")
    if commit is None or changed is None:
        return {}
    branch = _ask(program, folder, "symbolic-ref", "--short", "-q", "HEAD")
    url = _ask(program, folder, "config", "--get", "remote.origin.url")
    facts = {
        "commit": commit.strip(),
        "dirty": bool(changed),
        "branch": (branch or "").strip(),
        "url": _USER.sub("", (url or "").strip()),
    }
    return {name: value for name, value in facts.items() if value != ""}


def _inside(folder: Path) -> bool:
    """Whether it is worth asking."""
    return any((above / ".git").exists() for above in (folder, *folder.parents))


def _ask(program: str, folder: Path, *arguments: str) -> str | None:
    """The answer of git, or None."""
    # Nothing of the user's own is written, and none of his hooks is run, by looking.
    command = [program, "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**without_git(), "GIT_OPTIONAL_LOCKS": "0"},
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(done.stdout) if done.returncode == 0 else None
