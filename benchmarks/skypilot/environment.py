"""Make SkyPilot's environment (about 25 s, once) and talk to the peer in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path(os.environ.get("STIX_PEERS", ROOT / ".peers")) / "skypilot"
VERSION = "0.14.1"


def python() -> Path:
    """SkyPilot's Python; the environment is made where it is not there yet.

    Raises:
        subprocess.CalledProcessError: it cannot be installed here.
    """
    interpreter = PLACE / "bin" / "python"
    stamp = PLACE / "ready"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE], check=True)
        quiet = ["--disable-pip-version-check", "--no-input", "-q"]
        command = [interpreter, "-m", "pip", "install", *quiet, f"skypilot=={VERSION}"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        stamp.touch()
    return interpreter


class Peer:
    """SkyPilot in a process of its own, with a home of its own."""

    def __enter__(self) -> Peer:
        interpreter = python()
        home = PLACE / "home"
        home.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [interpreter, Path(__file__).with_name("peer.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "HOME": str(home)},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()

    def ask(self, row: dict[str, Any]) -> dict[str, Any]:
        """One question, one answer.

        Raises:
            RuntimeError: the peer died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(row) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("SkyPilot's process ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def canonical(self, text: str, env: dict[str, str] | None = None) -> dict[str, Any]:
        """``name``, ``execution`` and ``tasks``, or ``error``."""
        return self.ask({"yaml": text, "env": env})

    def cpu_seconds(self, files: list[Path]) -> float:
        """CPU seconds to read all files once."""
        answer = self.ask({"time": [str(file) for file in files]})
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return float(answer["cpu_s"])
