"""What hosts are made of, kept in ``STIX_HOME/cache/ssh-hosts.json`` with the time of asking."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stix.clouds.hosts import HostFacts
from stix.clouds.ssh.pools import Host

FRESH_SECONDS = 600.0


class FactsCache:
    """Facts by host. Several processes may share the file: the last to write wins."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}

    def get(self, host: Host, *, fresh: bool = True) -> HostFacts | None:
        """What is known; with ``fresh``, only if it was asked in the last ten minutes."""
        entry = self._known.get(_key(host)) or self._load().get(_key(host))
        if entry is None or (fresh and not 0 <= time.time() - entry["time"] < FRESH_SECONDS):
            return None
        self._known[_key(host)] = entry
        return HostFacts(**entry["facts"])

    def put(self, facts: Mapping[Host, HostFacts]) -> None:
        now = time.time()
        for host, found in facts.items():
            self._known[_key(host)] = {"time": now, "facts": found.to_dict()}
        merged = {**self._load(), **self._known}
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._path.with_name(f"{self._path.name}.new-{os.getpid()}")
        new.write_text(json.dumps(merged))
        new.replace(self._path)

    def _load(self) -> dict[str, dict[str, Any]]:
        try:
            loaded: dict[str, dict[str, Any]] = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return loaded


def _key(host: Host) -> str:
    return f"{host.user or ''}@{host.name}:{host.port or ''}"
