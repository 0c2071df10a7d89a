"""Our own file of host keys: trust on first use, refuse a change."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class HostKeys:
    """Lines of ``[host]:port algorithm base64``, as OpenSSH's known_hosts has them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self, host: str, port: int) -> dict[str, str]:
        """Algorithm to key of one host."""
        name = _name(host, port)
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return {}
        rows = [line.split() for line in lines]
        return {row[1]: row[2] for row in rows if len(row) >= 3 and row[0] == name}

    def accept(self, host: str, port: int, algorithm: str, key: str) -> bool:
        """True for the known key, and for any key of a host that has none yet (it is kept)."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two engines may meet a host at once
            known = self.known(host, port)
            if known:
                return known.get(algorithm) == key
            file.write(f"{_name(host, port)} {algorithm} {key}\n")
            return True


def _name(host: str, port: int) -> str:
    return host if port == 22 else f"[{host}]:{port}"
