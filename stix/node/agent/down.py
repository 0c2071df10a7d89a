"""``down`` and ``mark``: end nodes from outside, whatever state their agents are in."""

from __future__ import annotations

import os
import signal
import time

from . import mounts, processes
from .errors import AgentError
from .host import Host, is_held

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any

    from .host import Node

KEEPER_SECONDS = 5.0


def down(request: dict[str, Any]) -> dict[str, Any]:
    """Kill all processes of the nodes, then remove their directories and sockets."""
    host = Host(request.get("base", ""))
    left = [i for i in request.get("ids") or [] if not _remove(host, i)]
    if left:
        raise AgentError("failed", "processes stay on {}".format(", ".join(left)))
    return {"removed": request.get("ids") or []}


def mark(request: dict[str, Any]) -> dict[str, Any]:
    """Set the state, kill and unmount everything; the directory stays."""
    host = Host(request.get("base", ""))
    state = request.get("state")
    if state not in ("preempted", "failed"):
        raise AgentError("invalid", "a node cannot be marked {!r}".format(state))
    node_id = request.get("id", "")
    host.set_state(node_id, state)
    node = host.read(node_id)
    if node is not None and not kill(node):
        raise AgentError("failed", "processes stay on {}".format(node_id))
    if node is not None:
        mounts.unmount_below(node["directory"])
    return node or {}


def _remove(host: Host, node_id: str) -> bool:
    node = host.read(node_id)
    gone = True
    if node is not None:
        gone = kill(node)
    elif os.path.isdir(host.directory(node_id)):
        gone = kill({"id": node_id, "directory": host.directory(node_id), "pid": 0, "keeper": 0})
    host.erase(node_id, node["socket"] if node else "")
    return gone


def kill(node: Node) -> bool:
    """End the agent, its keeper and every process of the node; False where one stays."""
    directory = node["directory"]
    if is_held(directory):
        # The keeper knows every descendant, also those that hid their environment.
        _signal(node["pid"], signal.SIGKILL)
        end = time.monotonic() + KEEPER_SECONDS
        pause = 0.0005
        while is_held(directory) and time.monotonic() < end:
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        if is_held(directory):
            _signal(node["keeper"], signal.SIGKILL)
    sign = "STIX_NODE_ID=" + node["id"]
    return processes.kill_until_none(lambda: processes.marked(sign))


def _signal(pid: int, number: int) -> None:
    if pid > 1:
        processes.signal_each([pid], number)
