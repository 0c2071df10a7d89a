"""A real gRPC server on loopback whose requests can be counted, cut, delayed and refused.

A message that is cut is the status that gRPC itself gives for a broken connection: one connection
carries many calls, so that a socket that is closed would break its neighbours too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from nebius.api.nebius.common.v1 import ServiceError, TooManyRequests
from nebius.base._service_error import trailing_metadata_of_errors

from stix.clouds.testing.wire import Answer, Asked, WireServer


@dataclass(frozen=True)
class Said:
    """The body of an answer that is no message: words, and perhaps a detail."""

    words: str
    error: ServiceError | None = None


CODES: dict[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ALREADY_EXISTS,
    412: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
}
BUSY = ServiceError(
    service="gateway",
    code="TooManyRequests",
    too_many_requests=TooManyRequests(violation="20 requests in a second"),
)


class GrpcWire(WireServer):
    """``WireServer`` in the words of gRPC: the path of a request is its method, and the status of
    an answer one of ``CODES``."""

    def __init__(self, handle: Callable[[Asked], Answer]) -> None:
        super().__init__(handle)
        self._server.server_close()  # what listens is below
        self._grpc = grpc.server(ThreadPoolExecutor(16))
        self._grpc.add_generic_rpc_handlers((_Any(self),))
        self._port = self._grpc.add_insecure_port("127.0.0.1:0")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @contextmanager
    def running(self) -> Iterator[str]:
        self._grpc.start()
        try:
            yield self.url
        finally:
            self.released.set()
            self._grpc.stop(None).wait()


class _Any(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, owner: GrpcWire) -> None:
        self._owner = owner

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method

        def call(body: bytes, context: Any) -> bytes:
            headers = {each.key: each.value for each in context.invocation_metadata()}
            answer = self._owner.act(Asked("POST", method, {}, headers, body))
            if answer is None:
                context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")
                raise AssertionError
            if answer.status == 200:
                return answer.body if isinstance(answer.body, bytes) else b""
            return _refused(context, answer)

        return grpc.unary_unary_rpc_method_handler(call)


def _refused(context: Any, answer: Answer) -> bytes:
    code, said = CODES[answer.status], answer.body
    if answer.status == 429 and not isinstance(said, Said):
        said = Said("slow down", BUSY)
    if not isinstance(said, Said):
        said = Said("internal error")
    if said.error is not None:
        context.set_trailing_metadata(_details(said, code))
    context.abort(code, said.words)
    raise AssertionError


def _details(said: Said, code: grpc.StatusCode) -> Sequence[tuple[str, str | bytes]]:
    assert said.error is not None
    return [*trailing_metadata_of_errors(said.error, code.value[0], said.words)]
