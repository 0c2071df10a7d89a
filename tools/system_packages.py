"""System programs the tests use: say which are missing, and install them where that is allowed.

It installs by apt-get, as root, on Debian and its kin. Elsewhere the tests that need a missing
program skip, and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# program: its Debian package
PROGRAMS = {
    "dockerd": "docker.io",
    "fusermount3": "fuse3",
    "git": "git",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "sshd": "openssh-server",
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "ssh-agent": "openssh-client",
    "ssh-keygen": "openssh-client",
    "kubectl": "kubernetes-client",
    "ip": "iproute2",
    "munged": "munge",
    "npm": "npm",
    "tini": "tini",
    "unshare": "util-linux",
}
PROGRAMS_FULL = {"chromium": "chromium", "podman": "podman"}  # about 110 MB, for the long tests
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
POLICY = Path("/usr/sbin/policy-rc.d")


def missing(*, full: bool) -> dict[str, str]:
    """The programs that are not there, each with its package."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), SYSTEM_PATH))
    wanted = {**PROGRAMS, **(PROGRAMS_FULL if full else {})}
    return {name: deb for name, deb in wanted.items() if shutil.which(name, path=path) is None}


@contextmanager
def no_service_starts() -> Iterator[None]:
    """Keep Debian from starting what it installs: an SSH server of this machine, above all."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def apt_get(*args: str) -> int:
    """Run apt-get without questions; its exit code."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", *args]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
    return done.returncode


def say(text: str) -> None:
    print(f"system packages: {text}", file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    full = "--full" in argv
    lacking = missing(full=full)
    if not lacking:
        return 0
    packages = sorted(set(lacking.values()))
    may_install = os.geteuid() == 0 and Path("/etc/debian_version").exists()
    if not may_install or shutil.which("apt-get") is None:
        say(f"MISSING: {', '.join(lacking)}; tests that need them are skipped")
        say(f"to run them too (Debian, Ubuntu): sudo apt-get install {' '.join(packages)}")
        return 1
    say(f"installing {' '.join(packages)} by apt-get")
    with no_service_starts():
        if apt_get("update") == 0:
            apt_get("install", "-y", "--no-install-recommends", *packages)
    if lacking := missing(full=full):
        say(f"STILL MISSING: {', '.join(lacking)}; tests that need them are skipped")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
