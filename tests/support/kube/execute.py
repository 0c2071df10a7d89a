"""``exec`` over WebSocket: the kubelet's side of ``v4.channel.k8s.io`` and ``v5``."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from aiohttp import WSMsgType, web

from tests.support.kube.sandbox import Sandbox

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, CLOSE = 0, 1, 2, 3, 255
CHUNK = 1 << 15
LEAVE_SECONDS = 0.3


async def execute(
    request: web.Request, sandbox: Sandbox, protocols: tuple[str, ...] = PROTOCOLS
) -> web.StreamResponse:
    """Run the command of the query; its end is a ``Status`` on the error channel."""
    offered = request.headers.get("Sec-WebSocket-Protocol", "").replace(" ", "").split(",")
    if not set(offered) & set(protocols):
        return web.Response(status=403)  # and not a word, as API servers do it
    socket = web.WebSocketResponse(protocols=protocols, max_msg_size=0)
    await socket.prepare(request)
    wants_stdin = request.query.get("stdin") == "true"
    process = await sandbox.run(request.query.getall("command"), stdin=wants_stdin)
    sending = asyncio.Lock()
    feeding = asyncio.create_task(_feed(socket, process))
    assert process.stdout is not None and process.stderr is not None
    try:
        await asyncio.gather(
            _pump(socket, sending, STDOUT, process.stdout),
            _pump(socket, sending, STDERR, process.stderr),
        )
        code = await process.wait()
        await _send(socket, sending, ERROR, json.dumps(_status(code)).encode())
        # A close with input unread is a reset, which takes the status away from the client.
        await asyncio.wait([feeding], timeout=LEAVE_SECONDS)
        await socket.close()
    finally:
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding
        if process.stdin is not None:
            process.stdin.close()
    return socket


async def _feed(socket: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
    """Client to process. A client that leaves closes the input; the process goes on."""
    async for message in socket:
        if message.type is not WSMsgType.BINARY or process.stdin is None:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == STDIN and data:
            with suppress(OSError):
                process.stdin.write(data)
                await process.stdin.drain()
        elif channel == CLOSE and data[:1] == b"\0" and socket.ws_protocol == PROTOCOLS[0]:
            process.stdin.close()
    if process.stdin is not None:
        process.stdin.close()


async def _pump(
    socket: web.WebSocketResponse,
    sending: asyncio.Lock,
    channel: int,
    source: asyncio.StreamReader,
) -> None:
    while data := await source.read(CHUNK):
        await _send(socket, sending, channel, data)


async def _send(
    socket: web.WebSocketResponse, sending: asyncio.Lock, channel: int, data: bytes
) -> None:
    async with sending:
        with suppress(
            OSError, RuntimeError
        ):  # the client left; the process is drained all the same
            if not socket.closed:
                await socket.send_bytes(bytes([channel]) + data)


def _status(code: int) -> dict[str, object]:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    number = 128 - code if code < 0 else code
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {number}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(number)}]},
    }
