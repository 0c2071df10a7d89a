"""A job: one script, its process, its output and its end."""

from __future__ import annotations

import os
import signal
import time

from . import files, processes
from .errors import AgentError
from .loop import READ, Loop
from .redact import Redactor
from .spawn import shell, spawn

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable

CHUNK = 1 << 16
DRAIN_MAX = 1 << 20  # a pipe's largest usual capacity: what was written before the exit is in it
STOP_POLL = 0.1
FULL = b"\n[stix: the log is cut here: %s]\n"


class Job:
    """States: ``waiting`` (at its barrier), ``running``, ``exited``."""

    def __init__(self, loop: Loop, job_id: str, directory: str, request: dict[str, Any]) -> None:
        self.id = job_id
        self.directory = directory
        self.state = "waiting"
        self.pid = 0
        self.exit_code: int | None = None
        self.signal: int | None = None
        self.oom = False
        self.started: float | None = None
        self.ended: float | None = None
        self.usage: dict[str, float] = {}
        self.size = 0
        self.truncated = False
        self.oom_before = 0
        self.cwd = directory
        self.stopping = False
        self.listeners: list[Callable[[], None]] = []
        self._loop = loop
        self._request = request
        self._limit = request.get("log_limit")
        self._redactor = Redactor(request.get("secrets", {}).values())
        self._pipe = -1
        self._log = -1

    def prepare(self) -> None:
        """Write the script; open the log."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        # Creating a file is the dearest part of a start (0.6 ms): no temporary names here.
        script = os.open(self._path("script"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            files.write_all(script, self._request["script"].encode("utf-8"))
        finally:
            os.close(script)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._log = os.open(self._path("log"), flags, 0o600)

    def launch(self, base_env: dict[str, str]) -> None:
        request = self._request
        env = {**base_env, **request.get("env", {}), **request.get("secrets", {})}
        env["STIX_JOB_ID"] = self.id
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        try:
            self.pid = spawn([shell(), self._path("script")], self.cwd, env, writer)
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._request = {}
        self._pipe = reader
        self.state = "running"
        self.started = time.time()
        self._loop.watch(reader, READ, self._readable)

    def report(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "oom": self.oom,
            "started": self.started,
            "ended": self.ended,
            "usage": self.usage,
            "size": self.size,
            "truncated": self.truncated,
        }

    def read_log(self, offset: int, size: int) -> bytes:
        return os.pread(self._log, size, offset)

    def exited(self, status: int, usage: Any) -> None:
        """The process has been reaped."""
        if os.WIFSIGNALED(status):
            self.signal = os.WTERMSIG(status)
            self.exit_code = 128 + self.signal
        else:
            self.exit_code = os.WEXITSTATUS(status)
        self.usage = {
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 4),
            "max_rss_bytes": usage.ru_maxrss * (1024 if processes.LINUX else 1),
        }
        self._drain()
        self._finish()

    def cancel(self) -> None:
        """End a job that never left its barrier."""
        self.exit_code, self.signal = 128 + signal.SIGTERM, int(signal.SIGTERM)
        self._finish()

    def close(self) -> None:
        if self._pipe >= 0:
            self._loop.unwatch(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    def members(self) -> list[int]:
        """Live processes of the job: its session, and what carries its id."""
        if not processes.LINUX:
            return [self.pid] if processes.signal_group(self.pid, 0) else []
        below = processes.descendants(os.getpid())
        mine = set(processes.marked("STIX_JOB_ID=" + self.id, below))
        for pid in below:
            fields = processes.stat_fields(pid)
            if len(fields) > 3 and fields[0] != b"Z" and int(fields[3]) == self.pid:
                mine.add(pid)
        return sorted(mine)

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _save(self) -> None:
        try:
            files.write_json(self._path("state.json"), {"id": self.id, **self.report()})
        except OSError:
            pass  # a full disk must not end the job; the state in memory is the one that counts

    def _finish(self) -> None:
        self.state = "exited"
        self.ended = time.time()
        self._save()
        self._notify()

    def _notify(self) -> None:
        for listener in list(self.listeners):
            listener()

    def _readable(self, _: int) -> None:
        if self._pump():
            self._notify()

    def _pump(self) -> int:
        """Move one chunk from the pipe to the log; gives how much there was."""
        try:
            data = os.read(self._pipe, CHUNK)
        except (BlockingIOError, InterruptedError):
            return 0
        if data:
            self._write(self._redactor.feed(data))
            return len(data)
        self._write(self._redactor.finish())
        self._loop.unwatch(self._pipe)
        os.close(self._pipe)
        self._pipe = -1
        return 0

    def _drain(self) -> None:
        moved = 0
        while self._pipe >= 0 and moved < DRAIN_MAX:
            step = self._pump()
            if not step:
                break
            moved += step

    def _write(self, data: bytes) -> None:
        if not data or (self.truncated and self._limit is not None):
            return
        if self._limit is not None and self.size + len(data) > self._limit:
            data = data[: max(0, self._limit - self.size)] + FULL % b"it reached its limit"
            self.truncated = True
        try:
            while data:
                written = os.write(self._log, data)
                self.size += written
                data = data[written:]
        except OSError:
            # The disk is full: the job goes on, and so does the log when there is room again.
            self.truncated = True


class Stop:
    """SIGTERM now, SIGKILL to everything of the job after ``grace``; then the answer."""

    def __init__(self, loop: Loop, job: Job, grace: float, done: Callable[[], None]) -> None:
        self._loop, self._job, self._done = loop, job, done
        self._deadline = time.monotonic() + grace
        self._finished = False
        job.stopping = True
        if not processes.signal_group(job.pid, signal.SIGTERM):
            processes.signal_each([job.pid], signal.SIGTERM)  # it has no session yet
        processes.signal_group(job.pid, signal.SIGCONT)  # a stopped process hears nothing
        if grace <= 0:
            processes.signal_each(job.members(), signal.SIGKILL)
        job.listeners.append(self.check)
        loop.call_later(min(STOP_POLL, max(grace, 0.001)), self._tick)

    def check(self) -> None:
        """Called when the job ends, and now and then."""
        if self._finished:
            return
        members = self._job.members()
        if not members and self._job.state == "exited":
            self._finished = True
            self._job.listeners.remove(self.check)
            self._done()
        elif time.monotonic() >= self._deadline:
            processes.signal_each(members, signal.SIGKILL)

    def _tick(self) -> None:
        self.check()
        if not self._finished:
            self._loop.call_later(STOP_POLL, self._tick)


def check_request(request: dict[str, Any]) -> None:
    """Refuse a ``start`` that cannot be meant."""
    if not isinstance(request.get("job"), str) or not request["job"]:
        raise AgentError("invalid", "start needs a job id")
    if not isinstance(request.get("script"), str):
        raise AgentError("invalid", "start needs a script")
    for key in ("env", "secrets"):
        table = request.setdefault(key, {})
        for name, value in table.items():
            if not name or "=" in name or "\0" in name or not isinstance(value, str):
                raise AgentError("invalid", "{} holds a bad name: {!r}".format(key, name))
            if "\0" in value:
                raise AgentError("invalid", "the value of {} holds a NUL byte".format(name))
