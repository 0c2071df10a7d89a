"""What is there after a run: found by looking, not by the absence of errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.request
from typing import Any

import asyncpg
import psutil

from stix.config import Config
from stix.server.databases import plain_url
from tests.support.server import ServerHome

FINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
OPEN = {
    "intents": "select token, outcome from intents where outcome is null or outcome = 'created'",
    "clusters": "select token from clusters where closed is null",
    "attempts": "select run_id, key, number from attempts where state = 'running'",
    "stages": "select run_id, key, state from stages where state in ('pending', 'running')",
    "swept": "select token, reason from clusters where reason = 'swept'",
    "leases": "select run_id from leases where not done",
}


def query(server: ServerHome, database: str, sql: str) -> list[dict[str, Any]]:
    """Rows of a database of the server, read without the server."""

    async def ask() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(plain_url(Config.load(server.home), database))
        try:
            return [dict(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def prefect(server: ServerHome, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask the Prefect API by POST, as its UI does."""
    request = urllib.request.Request(
        f"{server.url}/api{path}",
        data=json.dumps(body or {}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read() or b"null")


def node_processes(server: ServerHome) -> list[str]:
    """Agents, and whatever runs on nodes of this home or says in its environment that it does."""
    nodes = f"{server.home}/nodes/"
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            command = process.cmdline()
            env = process.environ()
            marked = any(v.startswith(nodes) for v in env.values()) and "STIX_NODE_ID" in env
            agent = any(word.startswith(f"{server.home}/agent-") for word in command)
            if marked or agent or any(word.startswith(nodes) for word in command):
                found.append(f"{process.pid} {command}")
    return found


def prefect_open(server: ServerHome, kind: str) -> list[str]:
    """Flow runs or task runs that Prefect does not show as ended."""
    found: list[str] = []
    offset = 0
    while True:
        page = prefect(server, f"/{kind}/filter", {"limit": 200, "offset": offset})
        found += [f"{r['name']} {r['state_type']}" for r in page if r["state_type"] not in FINAL]
        offset += len(page)
        if len(page) < 200:
            return found


def leftovers(server: ServerHome, *, seconds: float = 45.0) -> dict[str, list[str]]:
    """What runs that ended have left for good.

    Prefect writes states of task runs some seconds after they are reported. What the sweeper had
    to remove counts as left, so that waiting hides no leak.
    """
    deadline = time.monotonic() + seconds
    while (found := _now(server)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def _now(server: ServerHome) -> dict[str, list[str]]:
    """Processes, folders, sockets, open rows, secrets."""
    config = Config.load(server.home)
    sockets = [p.name for p in config.socket_dir().iterdir() if p.is_socket()]
    found = {
        "processes": node_processes(server),
        "directories": _names(server, "nodes"),
        "sockets": sockets,
        "vault": [name for name in _names(server, "vault") if name != "key"],
        "flow runs": prefect_open(server, "flow_runs"),
        "task runs": prefect_open(server, "task_runs"),
    }
    for table, sql in OPEN.items():
        found[table] = [str(row) for row in query(server, "stix", sql)]
    return {kind: items for kind, items in found.items() if items}


def _names(server: ServerHome, folder: str) -> list[str]:
    place = server.home / folder
    return sorted(p.name for p in place.iterdir()) if place.is_dir() else []
