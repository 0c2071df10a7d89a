"""The fence of the Prefect API: an engine that lost its leases gets no word through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1


class Standing(Enum):
    """What the ledger says of an engine."""

    GOOD = "good"
    FENCED = "fenced"
    UNKNOWN = "unknown"


Check = Callable[[str], Awaitable[Standing]]


class Fence:
    """``/e/<engine id>/api/...`` as ``/api/...`` of ``app``, while the engine is in good standing.

    Answers 410 for an engine that is fenced or expired and 503 while the ledger cannot be asked;
    a websocket is closed with 1008, and is asked about again at each message.
    """

    def __init__(self, app: ASGIApp, check: Check) -> None:
        self._app = app
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, _, engine, *rest = scope["path"].split("/", 3)
        standing = await self._check(engine)
        if standing is not Standing.GOOD:
            await _refuse(standing, scope, receive, send)
            return
        path = "/" + "".join(rest)
        if scope["type"] == "websocket":
            receive = self._guarded(engine, receive, send)
        inner = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(inner, receive, send)

    def _guarded(self, engine: str, receive: Receive, send: Send) -> Receive:
        async def guarded() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            if await self._check(engine) is Standing.GOOD:
                return message
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}

        return guarded


async def _refuse(standing: Standing, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    if standing is Standing.FENCED:
        body = {"detail": "fenced: another engine owns the runs of this one"}
        response = JSONResponse(body, 410)
    else:
        body = {"detail": "the ledger cannot be asked now"}
        response = JSONResponse(body, 503, headers={"Retry-After": "1"})
    await response(scope, receive, send)
