"""A process that makes nodes and may be killed at any moment: forks a child per job.

Reads one JSON object per line: ``adapter`` (``module:Class``), ``home``, ``settings``, ``home_id``,
``offer``, ``token``, ``count``, ``tags``. Answers with the child's pid, waits for a line, lets the
child begin, and answers with its exit status (negative: the signal that ended it).
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stix.clouds.base import CreateRequest
from stix.clouds.config import CloudConfig
from stix.plan.offers import Demand, Offer


class Zygote:
    """The other end: starts jobs from a test.

    Args:
        job: What all jobs have in common.
    """

    def __init__(self, process: subprocess.Popen[str], job: Mapping[str, Any]) -> None:
        self._process = process
        self._job = job

    def begin(self, **more: Any) -> int:
        """Have a child ready; its pid."""
        return int(self._ask(json.dumps({**self._job, **more})))

    def go(self) -> int:
        """Let it work to its end, whichever that is; its exit status."""
        return int(self._ask("go"))

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@contextmanager
def zygote(job: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[Zygote]:
    """A zygote with our environment and ``env``; it ends with the block."""
    root = Path(__file__).parents[3]
    whole = {**os.environ, "PYTHONPATH": str(root), **env}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.clouds.zygote", str(job["adapter"])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=whole,
        cwd=root,
    )
    try:
        yield Zygote(process, job)
    finally:
        process.kill()
        process.communicate()


async def _make(job: Mapping[str, Any]) -> None:
    module, _, name = job["adapter"].partition(":")
    home = Path(job["home"])
    config = CloudConfig(home, home, job["settings"], job["home_id"])
    cloud = getattr(importlib.import_module(module), name)(config)
    token = job["token"]
    request = CreateRequest(
        token, Offer.from_dict(job["offer"]), Demand(), job["count"], token, job["tags"]
    )
    await cloud.create(request)
    await cloud.close()


def main() -> None:
    adapter = sys.argv[1].partition(":")[0]
    importlib.import_module(adapter)
    importlib.import_module("httpx")
    for line in sys.stdin:
        ready, begin = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(ready, 1)
            try:
                asyncio.run(_make(json.loads(line)))
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        print(child, flush=True)
        sys.stdin.readline()
        os.write(begin, b"x")
        _, status = os.waitpid(child, 0)
        os.close(ready)
        os.close(begin)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
