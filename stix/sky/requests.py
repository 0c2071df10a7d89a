"""What SkyPilot's calls give back: a request, which ``get`` turns into its result."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from typing import Any, TextIO
from weakref import WeakValueDictionary

from stix.errors import UsageError
from stix.sky.arguments import like

_known: WeakValueDictionary[str, Request] = WeakValueDictionary()
_PENDING = object()


class Request(str):
    """The id of a request of this process, with its result.

    A call that starts or changes something has done so when it returns its request. Only what
    must be waited for (the end of a job, say) is left to `get`.
    """

    said: str
    _later: Callable[[], Any]
    _result: Any

    def __new__(cls, later: Callable[[], Any], said: str = "") -> Request:
        request = super().__new__(cls, uuid.uuid4())
        request.said = said
        request._later = later
        request._result = _PENDING
        _known[str(request)] = request
        return request

    @classmethod
    def done(cls, result: Any, said: str = "") -> Request:
        """A request that has its result."""
        request = cls(lambda: result, said)
        request._result = result
        return request

    def result(self) -> Any:
        """The result, waited for if need be; the same at each call."""
        if self._result is _PENDING:
            self._result = self._later()
        return self._result


def _found(request_id: str) -> Request:
    if isinstance(request_id, Request):
        return request_id
    request = _known.get(request_id)
    if request is None:
        raise UsageError(
            f"this program holds no request {request_id!r}",
            fix="Keep what the call gave; sky.jobs.queue lists jobs of other programs.",
        )
    return request


def get(request_id: str) -> Any:
    """The result of a request; waits for it if need be."""
    return _found(request_id).result()


@like(
    "request_id=None, log_path=None, tail=None, follow=True, output_stream=None, "
    "relay_rich_status=False",
    log_path="log files",
    relay_rich_status="requests",
)
def stream_and_get(asked: Any) -> Any:
    """The result of a request, after what it has to say was written to ``output_stream``."""
    if asked.request_id is None:
        raise UsageError("no request is named", fix="Pass what sky.launch gave.")
    request = _found(asked.request_id)
    out: TextIO = asked.output_stream or sys.stdout
    lines = request.said.splitlines(keepends=True)
    out.write("".join(lines[-asked.tail :] if asked.tail else lines))
    return request.result() if asked.follow else None
