"""What the agent does for each request."""

from __future__ import annotations

import os

from . import files
from .errors import AgentError
from .inspect_path import describe, digest
from .jobs import Job, Stop, check_request
from .oom import OomCounter
from .receive import Receiver
from .spawn import base_environment
from .tail import Tail
from .wire import Connection

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

    from .daemon import Daemon

    Request = Dict[str, Any]

VERSION = 1
GRACE_SECONDS = 10.0


class Operations:
    """One method per op; None means that the answer comes later."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._fences: dict[str, int] = {}
        self._table: dict[str, Callable[[Connection, Request], Request | None]] = {
            "hello": self._hello,
            "start": self._start,
            "release": self._release,
            "status": self._status,
            "tail": self._tail,
            "stop": self._stop,
            "stat": self._stat,
            "digest": self._digest,
            "put_file": self._put_file,
            "remove": self._remove,
            "sample": self._sample,
            "shutdown": self._shutdown,
        }
        self._base_env: dict[str, str] = {}
        self.oom = OomCounter()

    def handle(self, connection: Connection, request: Request) -> Request | None:
        op = self._table.get(request.get("op", ""))
        if op is None:
            raise AgentError("invalid", "unknown op {!r}".format(request.get("op")))
        return op(connection, request)

    def _hello(self, _: Connection, request: Request) -> Request:
        node = self._daemon.node
        jobs = {job.id: job.state for job in self._daemon.jobs.values()}
        return {"id": node["id"], "pid": node["pid"], "version": VERSION, "jobs": jobs}

    def _check_fence(self, request: Request) -> None:
        """Fences count per run: what stands before the first slash of a job's id."""
        fence = request.get("fence")
        if fence is None:
            return
        run = str(request.get("job", "")).partition("/")[0]
        highest = self._fences.get(run, fence)
        if fence < highest:
            raise AgentError("fenced", "fence {} is older than {}".format(fence, highest))
        self._fences[run] = fence

    def _job(self, request: Request) -> Job:
        job = self._daemon.jobs.get(request.get("job", ""))
        if job is None:
            raise AgentError("not_found", "no job {!r}".format(request.get("job")))
        return job

    def _start(self, _: Connection, request: Request) -> Request:
        check_request(request)
        self._check_fence(request)
        daemon = self._daemon
        job = daemon.jobs.get(request["job"])
        if job is not None:
            return {"state": job.state}
        cwd = self._directory(request.get("cwd"))
        directory = os.path.join(daemon.directory, "jobs", files.file_name(request["job"]))
        job = Job(daemon.loop, request["job"], directory, request)
        job.cwd = cwd
        job.prepare()
        if not request.get("barrier"):
            self._launch(job)
        daemon.jobs[job.id] = job
        return {"state": job.state}

    def _release(self, _: Connection, request: Request) -> Request:
        self._check_fence(request)
        job = self._job(request)
        if job.state == "waiting":
            self._launch(job)
        return {"state": job.state}

    def _launch(self, job: Job) -> None:
        daemon = self._daemon
        if not self._base_env:
            self._base_env = base_environment(daemon.node["id"], daemon.directory)
        job.oom_before = self.oom.read()
        job.launch(self._base_env)
        daemon.running[job.pid] = job

    def _directory(self, cwd: Any) -> str:
        path = self._path(cwd) if cwd else os.path.join(self._daemon.directory, "work")
        if not os.path.isdir(path):
            raise AgentError("invalid", "{} is not a directory".format(path))
        return path

    def _path(self, path: Any) -> str:
        """A path as it stands; a relative one counts from the node's directory."""
        if not isinstance(path, str) or not path or "\0" in path:
            raise AgentError("invalid", "{!r} is not a path".format(path))
        return os.path.join(self._daemon.directory, os.path.expanduser(path))

    def _status(self, _: Connection, request: Request) -> Request:
        return self._job(request).report()

    def _tail(self, connection: Connection, request: Request) -> None:
        job = self._job(request)
        offset = int(request.get("offset", 0))
        self._daemon.tails.append(Tail(connection, job, offset, request.get("follow", True)))

    def _stop(self, connection: Connection, request: Request) -> Request | None:
        self._check_fence(request)
        job = self._job(request)
        if job.state == "waiting":
            job.cancel()
        if job.state == "exited" and not job.members():
            return {"state": job.state}
        grace = float(request.get("grace", GRACE_SECONDS))
        Stop(self._daemon.loop, job, grace, lambda: connection.reply({"state": job.state}))
        return None

    def _stat(self, _: Connection, request: Request) -> Request:
        return describe(self._path(request.get("path")))

    def _digest(self, connection: Connection, request: Request) -> Request | None:
        path = self._path(request.get("path"))
        if not os.path.lexists(path):
            raise AgentError("not_found", "no {}".format(path))
        self._daemon.helpers.call(lambda: digest(path), connection.reply)
        return None

    def _put_file(self, connection: Connection, request: Request) -> None:
        receiver = Receiver(self._path(request.get("path")), int(request.get("mode", 0o600)))
        connection.take_raw(
            int(request["size"]),
            lambda data, last: receiver.take(data, last, connection.reply),
        )

    def _remove(self, _: Connection, request: Request) -> Request:
        root = os.path.realpath(self._daemon.directory)
        paths = [self._path(p) for p in request.get("paths") or []]
        for path in paths:
            parent = os.path.realpath(os.path.dirname(os.path.abspath(path)))
            if parent != root and not parent.startswith(root + "/"):
                raise AgentError("invalid", "{} is not below the node's directory".format(path))
        for path in paths:
            files.remove_tree(path)
        return {"ok": True}

    def _sample(self, _: Connection, request: Request) -> Request:
        return self._daemon.sampler.take()

    def _shutdown(self, connection: Connection, request: Request) -> Request | None:
        if not self._daemon.shutdown(bool(request.get("remove", True))):
            raise AgentError("failed", "processes stay on the node")
        connection.push(b'{"ok":true}\n')
        self._daemon.loop.stop()
        return None
