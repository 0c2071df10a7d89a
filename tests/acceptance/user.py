"""What a user of a server does and sees: files, the command line, the client, chaos."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stix.client.api import Client
from tests.support.server import ServerHome, eventually

COMMAND = (sys.executable, "-m", "stix.cli.main")
FINAL = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class User:
    """Somebody at a shell in ``folder`` who uses ``server``."""

    server: ServerHome
    folder: Path

    @property
    def client(self) -> Client:
        return Client(self.server.url, self.server.token)

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "STIX_HOME": str(self.server.home), "COLUMNS": "200"}

    def cli(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run ``stix`` to its end; ``code`` is the exit code it must have, None for any."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert code in (None, done.returncode), (arguments, done.stdout, done.stderr)
        return done

    def write(self, text: str, name: str = "pipeline.yaml") -> str:
        """A file in the folder; gives its name."""
        (self.folder / name).write_text(text)
        return name

    def start(self, text: str, *options: str) -> str:
        """``stix run --detach``; gives the run's id."""
        return self.cli("run", self.write(text), "--detach", *options).stdout.strip()

    def run(self, text: str, *options: str) -> dict[str, Any]:
        """Run a pipeline to its end, whatever that is."""
        return self.end(self.start(text, *options))

    def show(self, run: str) -> dict[str, Any]:
        """``stix runs show --output json``."""
        shown: dict[str, Any] = json.loads(self.cli("runs", "show", run, "--output", "json").stdout)
        return shown

    def end(self, run: str) -> dict[str, Any]:
        """Wait for the end; what is shown then."""
        self.server.wait_for_run(run, seconds=150)
        return self.show(run)

    def stage(self, run: str, key: str) -> dict[str, Any]:
        """A stage of a run as it is now."""
        rows = self.server.api("GET", f"/runs/{run}")["stages"]
        return next(dict(row) for row in rows if row["key"] == key)

    def said(self, run: str, key: str, word: str) -> None:
        """Wait until the stage has printed ``word``."""

        def there() -> bool:
            folder = self.server.home / "logs" / "runs" / run / key
            return any(word in path.read_text() for path in sorted(folder.glob("*/*.log")))

        eventually(there, seconds=90, hint=f"{key} of {run} prints {word}")

    def node_of(self, run: str, key: str, rank: int = 0) -> str:
        """Id of the node that serves a stage now."""

        def found() -> str | None:
            for node in self.server.api("GET", "/nodes"):
                mine = node["run"] == run and node["stage"] == key and node["rank"] == rank
                if mine and node["state"] == "running":
                    return str(node["id"])
            return None

        return str(eventually(found, seconds=60, hint=f"a node for {key} of {run}"))


def by_key(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The stages of a run."""
    return {stage["key"]: stage for stage in run["stages"]}


def states(run: dict[str, Any], key: str) -> list[str]:
    """State of each attempt of a stage."""
    return [attempt["state"] for attempt in by_key(run)[key]["attempts"]]


def kinds(run: dict[str, Any], key: str) -> list[str | None]:
    """Kind of the event that ended each attempt; None where it ended well."""
    attempts: Sequence[dict[str, Any]] = by_key(run)[key]["attempts"]
    return [(attempt["event"] or {}).get("kind") for attempt in attempts]
