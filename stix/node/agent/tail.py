"""Push a job's log to one connection as it grows."""

from __future__ import annotations

import binascii
import json

from .jobs import Job
from .wire import Connection

CHUNK = 1 << 16


class Tail:
    """Sends from ``offset`` on; follows the log unless told not to; ends the connection."""

    def __init__(self, connection: Connection, job: Job, offset: int, follow: bool) -> None:
        self._connection = connection
        self._job = job
        self._offset = offset
        self._follow = follow
        self.done = False
        job.listeners.append(self.advance)
        connection.on_drained = self.advance
        connection.on_close = self.stop
        self.advance()

    def advance(self) -> None:
        connection, job = self._connection, self._job
        if connection.closed:
            return
        # Our own sending must not call us again.
        connection.on_drained = None
        while not connection.congested and not connection.closed:
            data = job.read_log(self._offset, CHUNK) if self._offset < job.size else b""
            if not data:
                break
            head = '{{"offset":{},"data":"'.format(self._offset).encode()
            connection.push(head + binascii.b2a_base64(data, newline=False) + b'"}\n')
            self._offset += len(data)
        if self._offset >= job.size and (job.state == "exited" or not self._follow):
            self._finish()
        elif not connection.closed:
            connection.on_drained = self.advance

    def ping(self) -> None:
        """A sign of life while the job says nothing."""
        if not self._connection.congested:
            self._connection.push(b'{"ping":true}\n')

    def stop(self) -> None:
        self.done = True
        if self.advance in self._job.listeners:
            self._job.listeners.remove(self.advance)

    def _finish(self) -> None:
        ended = self._job.state == "exited"
        line = {"end": ended, "offset": self._offset, **self._job.report()}
        self._connection.push(json.dumps(line).encode() + b"\n")
        self._connection.end()
