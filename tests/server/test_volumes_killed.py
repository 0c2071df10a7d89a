"""Whoever makes or deletes a volume is killed at each request, before and after it is done: the
next one goes on, and nothing is made that nobody knows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.ledger import Ledger
from tests.ledger.conftest import ledger, postgres, url
from tests.support.clouds.runpod import KEY, Runpod

__all__ = ["ledger", "postgres", "url"]

pytestmark = pytest.mark.full
MOST = 12
PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from types import SimpleNamespace
from stix.clouds.config import CloudConfig
from stix.clouds.runpod import RunpodCloud
from stix.ledger import Ledger
from stix.server.volumes import VolumeBook
from stix.spec.volumefile import VolumeFile

job = json.loads(sys.argv[1])
home = Path(job["home"])

async def main():
    ledger = await Ledger.open(job["url"])
    settings = {"endpoint_url": job["double"], "timeout": 20.0}
    cloud = RunpodCloud(CloudConfig(home, home, settings, "home"))
    given = {"cloud": lambda _: cloud, "setup": lambda name: name, "uses": lambda _: True}
    book = VolumeBook(SimpleNamespace(ledger=ledger, **given))
    file = VolumeFile(
        name="data", type="runpod-network-volume", infra="runpod/EU-RO-1", size=10.0
    )
    print("ready", flush=True)
    sys.stdin.readline()
    if job["what"] == "apply":
        await book.apply(file)
    elif await ledger.volumes(["data"]):  # else it is gone, and so is its row
        await book.delete("data")

asyncio.run(main())
"""


class Maker:
    """Processes that do one thing to the volume."""

    def __init__(self, double: Runpod, url: str, home: Path) -> None:
        self._double, self._url, self._home = double, url, home

    def do(self, what: str, kill_at: tuple[int, bool] | None = None) -> int:
        """The exit code; with ``kill_at`` the process dies at that request."""
        job = {"what": what, "url": self._url, "double": self._double.url, "home": str(self._home)}
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            self._double.watch()
            if kill_at is not None:
                self._double.kill(process.pid, kill_at[0], after=kill_at[1])
            process.stdin.write("go\n")
            process.stdin.flush()
            code = process.wait(60)
        self._double.watch()
        return code


@pytest.fixture
def maker(
    ledger: Ledger, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Maker, Runpod]]:
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    with Runpod().running() as double:
        yield Maker(double, url, tmp_path), double


@pytest.mark.parametrize("after", [False, True])
async def test_nothing_is_left_that_nobody_knows(
    maker: tuple[Maker, Runpod], ledger: Ledger, *, after: bool
) -> None:
    process, double = maker
    kills = {"apply": 0, "delete": 0}
    for number in range(MOST):
        before = dict(kills)
        for what, there in (("apply", 1), ("delete", 0)):
            code = process.do(what, (number, after))
            assert not double.things or await ledger.volumes(), "what is there is written down"
            if code:
                assert code == -signal.SIGKILL
                kills[what] += 1
                assert process.do(what) == 0
            states = [row.state for row in await ledger.volumes()]
            assert (len(double.things), states) == (there, ["ready"] * there)
        if kills == before:
            break
    assert kills == {"apply": 3, "delete": 3}
