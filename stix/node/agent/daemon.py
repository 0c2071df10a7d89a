"""The agent process of one node: accepts connections, reaps jobs, keeps time, ends."""

from __future__ import annotations

import os
import signal
import socket
import time

from . import mounts, processes
from .errors import AgentError
from .helpers import Helpers
from .host import Host
from .jobs import Job
from .loop import READ, Loop
from .notice import FAREWELL_S, TICK_S, leave_note, watched
from .ops import Operations
from .sampling import Sampler
from .tail import Tail
from .up import remaining_children
from .wire import Connection

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any

    from .host import Node

TICK_SECONDS = 10.0


class Daemon:
    """Owns the jobs of the node."""

    def __init__(self, host: Host, node: Node, listener: socket.socket) -> None:
        self.host = host
        self.node = node
        self.directory: str = node["directory"]
        self.loop = Loop()
        self.jobs: dict[str, Job] = {}
        self.running: dict[int, Job] = {}
        self.tails: list[Tail] = []
        self.helpers = Helpers(self.loop)
        self.sampler = Sampler(self.helpers, self.directory, bool(node["accelerators"]))
        self._listener = listener
        self._operations = Operations(self)
        self._farewell = 0.0

    def run(self) -> None:
        loop = self.loop
        loop.on_signal(signal.SIGCHLD, self._reap)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.on_signal(number, self._terminated)
        # Not SIGKILL: without keeper and agent, nobody would find jobs in sessions of their own.
        processes.die_with_parent(self.node["keeper"], signal.SIGTERM)
        loop.watch(self._listener, READ, self._accept)
        loop.call_later(TICK_SECONDS, self._tick)
        loop.run()

    def kill_everything(self) -> bool:
        """Kill and reap all that descends from the agent; False where something stays."""
        for pid in self.running:
            processes.signal_group(pid, signal.SIGKILL)
        if not processes.LINUX:
            mark = "STIX_NODE_ID=" + self.node["id"]
            return processes.kill_until_none(lambda: self._reap_then_find(mark))
        return processes.kill_until_none(remaining_children)

    def shutdown(self, remove: bool) -> bool:
        """End the node.  The keeper goes too, since we have done its work.

        Raises:
            AgentError: ``failed``, where something stays mounted and was to be removed.
        """
        if not self.kill_everything():
            return False
        try:
            mounts.unmount_below(self.directory)
        except AgentError:
            if remove:
                raise
        for job in self.jobs.values():
            job.close()
        processes.outlive_parent()
        processes.signal_each([self.node["keeper"]], signal.SIGKILL)
        self._listener.close()
        if remove:
            self.host.erase(self.node["id"], self.node["socket"])
        else:
            self.host.write(dict(self.node, state="failed"))
        return True

    def _accept(self, _: int) -> None:
        while True:
            try:
                sock, _address = self._listener.accept()
            except OSError:  # nobody waits, or no descriptor is free: the next event tries again
                return
            Connection(self.loop, sock, self._operations.handle)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self._ended(pid, status, usage)
        for job in self.jobs.values():
            if job.stopping:
                for listener in list(job.listeners):
                    listener()

    def _reap_then_find(self, mark: str) -> list[int]:
        self._reap()
        return processes.marked(mark)

    def _ended(self, pid: int, status: int, usage: Any) -> None:
        job = self.running.pop(pid, None)
        if job is None:
            return
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        inner = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 128 + signal.SIGKILL
        if (killed or inner) and not job.stopping:
            job.oom = self._operations.oom.read() > job.oom_before
        job.exited(status, usage)

    def _terminated(self) -> None:
        """The machine goes down, or somebody wants us gone: the directory stays as evidence.

        Who listens for that gets a moment for a last copy; a second signal is not discussed.
        """
        kept = os.getppid() == self.node["keeper"]
        heard = kept and not self._farewell and self.running and watched(self.directory)
        if heard and leave_note(self.directory):
            self._farewell = time.monotonic() + FAREWELL_S
            self.loop.call_later(TICK_S, self._await_farewell)
            return
        self._leave()

    def _await_farewell(self) -> None:
        """End when those who listen are done, and at the latest when their time is up."""
        if watched(self.directory) and time.monotonic() < self._farewell:
            self.loop.call_later(TICK_S, self._await_farewell)
            return
        self._leave()

    def _leave(self) -> None:
        self.shutdown(remove=False)
        self.loop.stop()

    def _tick(self) -> None:
        if not os.path.isdir(self.directory):
            self.kill_everything()
            self.loop.stop()
            return
        if not processes.LINUX and os.getppid() != self.node["keeper"]:
            self._terminated()
            return
        self.tails = [tail for tail in self.tails if not tail.done]
        for tail in self.tails:
            tail.ping()
        if self.running:
            self.sampler.write()
        self.loop.call_later(TICK_SECONDS, self._tick)
