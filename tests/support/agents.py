"""Helpers of tests that talk to an agent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from stix.remote.agent import AgentClient, Chunk, End, JobStatus

WAIT_STEPS = 400
STEP_SECONDS = 0.05


async def eventually(true: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait until something holds; 20 s at most."""
    for _ in range(WAIT_STEPS):
        held = true()
        if held if isinstance(held, bool) else await held:
            return
        await asyncio.sleep(STEP_SECONDS)
    raise AssertionError(f"never: {what}")


async def output(client: AgentClient, job: str, offset: int = 0) -> tuple[bytes, JobStatus]:
    """The whole log of a job from ``offset``, and its end."""
    data = b""
    async for item in client.tail(job, offset):
        if isinstance(item, End):
            return data, item.status
        data += item.data
    raise AssertionError("a tail without end")


async def first_line(client: AgentClient, job: str) -> str:
    """The first line of a job's output."""
    data = b""
    async for item in client.tail(job):
        data += item.data if isinstance(item, Chunk) else b"\n"
        if b"\n" in data:
            break
    return data.split(b"\n")[0].decode()


def runs(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in "ZX"


def marked(node_id: str) -> list[int]:
    """Processes whose environment names the node."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"STIX_NODE_ID={node_id}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
