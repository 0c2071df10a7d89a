"""Work that would block the agent, done in a child whose output comes back by a pipe."""

from __future__ import annotations

import json
import os

from .errors import AgentError
from .loop import READ, Loop
from .spawn import DEFAULT_PATH, spawn

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable

CHUNK = 1 << 16


class Helpers:
    """At most one program of a kind at a time, so that a hanging one does not pile up."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._busy: set[str] = set()

    def run(self, argv: list[str], done: Callable[[bytes], None]) -> None:
        """Run a program; ``done`` gets its output."""
        if argv[0] in self._busy:
            return
        self._busy.add(argv[0])
        reader, writer = os.pipe()
        try:
            spawn(argv, "/", dict(os.environ), writer)
        finally:
            os.close(writer)

        def finished(output: bytes) -> None:
            self._busy.discard(argv[0])
            done(output)

        self._collect(reader, finished)

    def call(
        self, function: Callable[[], dict[str, Any]], done: Callable[[dict[str, Any]], None]
    ) -> None:
        """Call a function in a child; ``done`` gets its result, or the error as an answer."""
        reader, writer = os.pipe()
        if os.fork() == 0:
            try:
                os.close(reader)
                os.write(writer, json.dumps(_answer(function)).encode())
            finally:
                os._exit(0)
        os.close(writer)

        def finished(output: bytes) -> None:
            failed = AgentError("failed", "the helper process died").to_dict()
            done(json.loads(output) if output else failed)

        self._collect(reader, finished)

    def _collect(self, reader: int, done: Callable[[bytes], None]) -> None:
        parts: list[bytes] = []

        def ready(_: int) -> None:
            data = os.read(reader, CHUNK)
            if data:
                parts.append(data)
                return
            self._loop.unwatch(reader)
            os.close(reader)
            done(b"".join(parts))

        self._loop.watch(reader, READ, ready)


def _answer(function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return function()
    except OSError as error:
        return AgentError("failed", str(error)).to_dict()


def find_program(name: str) -> str:
    """The path of a program, or an empty string."""
    for folder in (os.environ.get("PATH") or DEFAULT_PATH).split(":"):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    return ""
