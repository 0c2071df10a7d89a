"""``up``: make a node on this host and leave its agent running.

Three processes: the command, which ends at once; the *keeper*, which waits for the agent and
clears up after its death, however it dies; and the agent, which dies with the keeper.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from . import files, mounts, processes
from .errors import AgentError
from .host import Host, hold, socket_path

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any

    from .host import Node

BACKLOG = 512


def up(request: dict[str, Any]) -> Node:
    """See the protocol: the node of (token, rank), made if there is none."""
    for key in ("base", "token"):
        if not isinstance(request.get(key), str) or not request[key]:
            raise AgentError("invalid", "up needs {}".format(key))
    host = Host(request["base"])
    host.prepare()
    host.lock()
    try:
        node_id = files.digest_text("{}\0{}".format(request["token"], request.get("rank", 0)))
        found = host.read(node_id)
        if found is not None:
            return found
        node = _record(host, node_id, request)
        return _launch(host, node)
    finally:
        host.unlock()


def _record(host: Host, node_id: str, request: dict[str, Any]) -> Node:
    demand = request.get("demand") or {}
    path = socket_path(host.base, request.get("socket_dir"), node_id)
    accelerators = host.reserve(node_id, demand, request.get("limits") or {})
    return {
        "id": node_id,
        "token": request["token"],
        "rank": request.get("rank", 0),
        "name": request.get("name", ""),
        "state": "running",
        "address": request.get("address", ""),
        "directory": host.directory(node_id),
        "socket": path,
        "pid": 0,
        "keeper": 0,
        "host": os.uname().nodename,
        "tags": request.get("tags") or {},
        "demand": demand,
        "accelerators": accelerators,
        "created": time.time(),
    }


def _launch(host: Host, node: Node) -> Node:
    directory = node["directory"]
    for name in ("", "work", "inputs", "jobs", "tmp"):
        os.makedirs(os.path.join(directory, name), mode=0o700, exist_ok=True)
    listener = _listen(node["socket"])
    lock = hold(directory)
    host.write(node)
    ready, told = os.pipe()
    processes.prctl(0, 0)  # loads ctypes once, for both children
    if os.fork() == 0:
        os.close(ready)
        host.forget_lock()
        _keep(host, node, listener, told)
    os.close(told)
    os.close(lock)
    listener.close()
    answer = os.read(ready, 64)
    os.close(ready)
    if not answer:
        raise AgentError("failed", "the agent of node {} did not start".format(node["id"]))
    node["keeper"], node["pid"] = (int(pid) for pid in answer.split())
    return node


def _listen(path: str) -> socket.socket:
    files.discard(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _keep(host: Host, node: Node, listener: socket.socket, told: int) -> None:
    """The keeper's life.  Never returns."""
    try:
        os.setsid()
        os.chdir("/")
        os.umask(0o022)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the agent acts on them
        _redirect(os.path.join(node["directory"], "agent.log"))
        processes.adopt_orphans()
        keeper = os.getpid()
        agent = os.fork()
        if agent == 0:
            _serve(host, node, listener, told, keeper)
        listener.close()
        node["pid"], node["keeper"] = agent, keeper
        host.write(node)
        os.write(told, "{} {}".format(keeper, agent).encode())
        os.close(told)
        _wait_for(agent)
        _clear_up(host, node)
    finally:
        os._exit(0)


def _redirect(path: str) -> None:
    """Standard streams to nowhere; errors to a log in the node's directory."""
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd, target in ((0, null), (1, null), (2, log)):
        os.dup2(target, fd)
    os.close(null)
    os.close(log)


def _serve(host: Host, node: Node, listener: socket.socket, told: int, keeper: int) -> None:
    os.close(told)
    processes.adopt_orphans()
    from .daemon import Daemon

    try:
        Daemon(host, dict(node, pid=os.getpid(), keeper=keeper), listener).run()
    except Exception:  # noqa: BLE001 - the end of this process, and nobody else would tell
        import traceback

        traceback.print_exc()  # to agent.log
        sys.stderr.flush()
    finally:
        os._exit(0)


def _wait_for(agent: int) -> None:
    while True:
        try:
            if os.waitpid(-1, 0)[0] == agent:
                return
        except ChildProcessError:
            return


def _clear_up(host: Host, node: Node) -> None:
    """Leave no process and no mount; say that the node failed, unless somebody said more."""
    processes.kill_until_none(remaining_children)
    directory = node["directory"]
    try:
        mounts.unmount_below(directory)
    except AgentError:
        pass  # whoever removes the directory tries again, and tells
    record = files.read_json(os.path.join(directory, "node.json"))
    if record is not None and record["state"] == "running":
        host.write(dict(record, state="failed"))
    files.discard(node["socket"])


def remaining_children() -> list[int]:
    """Every descendant of this process, after reaping the dead ones."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return processes.descendants(os.getpid())
        except ChildProcessError:
            return []
