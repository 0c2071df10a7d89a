"""The nodes that share one host: their directories, records and reservations.

Layout below the base directory: ``host.lock``, ``host.json`` (reservations), ``nodes/<id>/`` with
``node.json`` and ``lock``.  A node lives while somebody holds a lock on its ``lock`` file; the
kernel frees it at the very end of the agent, so that no process id has to be trusted.
"""

from __future__ import annotations

import fcntl
import os
import stat

from . import files, mounts
from .errors import AgentError
from .reservations import place

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Dict

    Node = Dict[str, Any]

SOCKET_PATH_MAX = 100  # sun_path holds 108 bytes on Linux, 104 on macOS
GONE = ".gone-"


class Host:
    """What is below one base directory."""

    def __init__(self, base: str) -> None:
        if not base:
            raise AgentError("invalid", "base is missing")
        self.base = os.path.abspath(os.path.expanduser(base))
        self.nodes = os.path.join(self.base, "nodes")
        self._reservations = os.path.join(self.base, "host.json")
        self._lock = -1

    def prepare(self) -> None:
        files.private_dir(self.nodes)

    def lock(self) -> None:
        """Wait for the host's lock; it is held until ``unlock`` or the end of the process."""
        path = os.path.join(self.base, "host.lock")
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def unlock(self) -> None:
        if self._lock >= 0:
            # An inherited copy of the descriptor would keep a lock that is only closed.
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            os.close(self._lock)
            self._lock = -1

    def forget_lock(self) -> None:
        """In a child: close the inherited descriptor, so that the lock is the parent's alone."""
        os.close(self._lock)
        self._lock = -1

    def directory(self, node_id: str) -> str:
        if not node_id or "/" in node_id or node_id.startswith("."):
            raise AgentError("invalid", "{!r} is not the id of a node".format(node_id))
        return os.path.join(self.nodes, node_id)

    def ids(self) -> list[str]:
        try:
            return sorted(n for n in os.listdir(self.nodes) if not n.startswith("."))
        except FileNotFoundError:
            return []

    def read(self, node_id: str) -> Node | None:
        """The node's record with its state now; None where there is no such node."""
        directory = self.directory(node_id)
        node: Node | None = files.read_json(os.path.join(directory, "node.json"))
        if node is not None and node["state"] == "running" and not is_held(directory):
            node["state"] = "failed"
        return node

    def records(self) -> list[Node]:
        """Nodes of this machine; a home shared by machines over a network may hold more."""
        here = os.uname().nodename
        found = [self.read(node_id) for node_id in self.ids()]
        return [n for n in found if n is not None and n["host"] == here]

    def write(self, node: Node) -> None:
        files.write_json(os.path.join(node["directory"], "node.json"), node)

    def set_state(self, node_id: str, state: str) -> None:
        node = self.read(node_id)
        if node is None:
            raise AgentError("not_found", "no node {}".format(node_id))
        node["state"] = state
        self.write(node)

    def reserve(self, node_id: str, demand: Node, limits: Node) -> dict[str, list[int]]:
        """Take room for a node; gives its accelerator indices.  Call it under the lock.

        Raises:
            AgentError: ``capacity``, where the live nodes leave too little.
        """
        taken = files.read_json(self._reservations) or {}
        present = set(self.ids())
        taken = {k: v for k, v in taken.items() if k in present and k != node_id}
        try:
            accelerators = place(demand, limits, taken.values())
        except AgentError:
            # Only now is it worth asking which nodes died without a word.
            taken = {k: v for k, v in taken.items() if is_held(self.directory(k))}
            accelerators = place(demand, limits, taken.values())
        taken[node_id] = {"demand": demand, "accelerators": accelerators}
        files.write_json(self._reservations, taken)
        return accelerators

    def erase(self, node_id: str, socket: str) -> None:
        """Remove a node's directory and socket.  Its processes must be gone.

        Raises:
            AgentError: ``failed``, where something stays mounted there: nothing is removed then.
        """
        directory = self.directory(node_id)
        gone = os.path.join(self.nodes, GONE + node_id)
        for folder in (directory, gone):
            mounts.unmount_below(folder)
        files.remove_tree(gone)
        try:
            os.rename(directory, gone)  # at once out of every list
        except FileNotFoundError:
            pass
        files.remove_tree(gone)
        if socket:
            files.discard(socket)


def is_held(directory: str) -> bool:
    """Whether the node's agent (or its keeper) lives."""
    try:
        fd = os.open(os.path.join(directory, "lock"), os.O_RDWR)
    except OSError:
        return False
    try:
        # Shared, so that two who ask do not see each other.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def hold(directory: str) -> int:
    """Take the lock that says the node lives; children inherit the descriptor."""
    fd = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def socket_path(base: str, wanted: str | None, node_id: str) -> str:
    """A path short enough for a Unix socket, in a directory of the user alone."""
    options = [wanted] if wanted else []
    options += [os.path.join(base, "s"), "/tmp/stix-{}".format(os.getuid())]
    for folder in options:
        folder = os.path.abspath(os.path.expanduser(folder))
        path = os.path.join(folder, node_id)
        if len(os.fsencode(path)) > SOCKET_PATH_MAX:
            continue
        files.private_dir(folder)
        info = os.lstat(folder)
        if stat.S_ISDIR(info.st_mode) and not info.st_mode & 0o022:
            return path
    raise AgentError("failed", "no folder is fit for the socket of node {}".format(node_id))
