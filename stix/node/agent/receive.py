"""Take a file's bytes from a connection into a new file, then rename it."""

from __future__ import annotations

import os

from . import files
from .errors import AgentError

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable


class Receiver:
    """Swallows all bytes even when writing failed, so that the connection stays in step."""

    def __init__(self, path: str, mode: int) -> None:
        self._path = path
        self._new = "{}.new-{}".format(path, os.getpid())
        self._mode = mode
        self._error = ""
        self._fd = -1
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            self._fd = os.open(self._new, flags, 0o600)
        except OSError as error:
            self._error = str(error)

    def take(self, data: bytes, last: bool, reply: Callable[[dict[str, Any]], None]) -> None:
        self._guard(lambda: files.write_all(self._fd, data))
        if not last:
            return
        self._guard(self._commit)
        if self._fd >= 0:
            os.close(self._fd)
        if self._error:
            self._guard(lambda: files.discard(self._new))
            reply(AgentError("failed", self._error).to_dict())
        else:
            reply({"ok": True})

    def _commit(self) -> None:
        os.fchmod(self._fd, self._mode)
        os.replace(self._new, self._path)

    def _guard(self, action: Callable[[], None]) -> None:
        if self._error:
            return
        try:
            action()
        except OSError as error:
            self._error = str(error)
