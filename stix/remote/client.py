"""Talk to the agent of one node."""

from __future__ import annotations

import asyncio
import binascii
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from stix.remote.base import ConnectionLost, Runner, Stream
from stix.remote.messages import AgentError, Chunk, End, JobStart, JobStatus, PathInfo

PATIENCE_SECONDS = 30.0  # an agent says something every 10 s during a tail
DIGEST_SECONDS = 600.0


class Silent(ConnectionLost):
    """The node is there or not, but nothing came in time."""


class AgentClient:
    """One connection for requests, made at the first one; one more per tail and
    per request that takes long.

    Every method raises ``ConnectionLost`` when the node is gone or does not answer in time, and
    ``AgentError`` when the agent refuses.

    Args:
        runner: The way to the node.
        socket: The agent's socket there.
        patience: Seconds to wait for an answer, or for a sign of life during a tail.
    """

    def __init__(self, runner: Runner, socket: str, *, patience: float = PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._runner = runner
        self._socket = socket
        self._stream: Stream | None = None
        self._turn = asyncio.Lock()

    async def hello(self) -> dict[str, Any]:
        """``id``, ``pid``, ``version``, ``jobs`` {id: state}."""
        return await self._request({"op": "hello"})

    async def start(self, job: JobStart) -> str:
        """Start a job once; gives its state."""
        answer = await self._request({"op": "start", **job.to_dict()})
        return str(answer["state"])

    async def release(self, job: str, fence: int | None = None) -> str:
        """Start a job that waits at its barrier; gives its state."""
        answer = await self._request({"op": "release", "job": job, "fence": fence})
        return str(answer["state"])

    async def status(self, job: str) -> JobStatus:
        return JobStatus.from_dict(await self._request({"op": "status", "job": job}))

    async def tail(
        self, job: str, offset: int = 0, *, follow: bool = True
    ) -> AsyncGenerator[Chunk | End, None]:
        """The log from ``offset`` on, then one ``End``."""
        stream = await self._open()
        try:
            request = {"op": "tail", "job": job, "offset": offset, "follow": follow}
            await self._send(stream, json.dumps(request).encode() + b"\n")
            while True:
                line = await self._receive(stream, self._patience)
                if "data" in line:
                    yield Chunk(line["offset"], binascii.a2b_base64(line["data"]))
                elif "end" in line:
                    yield End(line["end"], line["offset"], JobStatus.from_dict(line))
                    return
        finally:
            await stream.close()

    async def wait(self, job: str) -> JobStatus:
        """Wait for the end of a job, without its output."""
        size = (await self.status(job)).size
        async with aclosing(self.tail(job, size)) as items:
            async for item in items:
                if isinstance(item, End):
                    return item.status
        raise ConnectionLost(f"the tail of {job} ended early")

    async def stop(self, job: str, fence: int | None = None, grace: float = 10.0) -> str:
        """SIGTERM, after ``grace`` seconds SIGKILL; returns when no process of it is left."""
        request = {"op": "stop", "job": job, "fence": fence, "grace": grace}
        answer = await self._alone(request, grace + self._patience)
        return str(answer["state"])

    async def put_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Write a small file whole; a relative path counts from the node's directory."""
        await self._request({"op": "put_file", "path": path, "mode": mode, "size": len(data)}, data)

    async def remove(self, paths: Sequence[str]) -> None:
        """Remove files and trees below the node's directory; silent on missing ones."""
        await self._request({"op": "remove", "paths": list(paths)})

    async def stat(self, path: str) -> PathInfo:
        return PathInfo(**await self._request({"op": "stat", "path": path}))

    async def digest(self, path: str) -> str:
        """SHA-256 of a file or a tree, hexadecimal."""
        answer = await self._alone({"op": "digest", "path": path}, DIGEST_SECONDS)
        return str(answer["digest"])

    async def sample(self) -> dict[str, Any]:
        """``time``, ``cpu_seconds``, ``rss_bytes``, ``processes``, ``gpus``."""
        return await self._request({"op": "sample"})

    async def shutdown(self, *, remove: bool = True) -> None:
        """Kill every process of the node and remove its directory; returns when all is gone."""
        stream = await self._open()
        try:
            request = {"op": "shutdown", "remove": remove}
            await self._exchange(stream, request, b"", 2 * self._patience)
            async with asyncio.timeout(self._patience):
                await stream.reader.read()  # the end of the stream is the end of the agent
        except TimeoutError as error:
            raise Silent("the node's agent did not end") from error
        finally:
            await stream.close()
            await self._drop()

    async def close(self) -> None:
        await self._drop()

    async def _open(self) -> Stream:
        try:
            async with asyncio.timeout(self._patience):
                return await self._runner.open_unix(self._socket)
        except TimeoutError as error:
            raise Silent("the node did not answer in time") from error

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def _request(self, request: dict[str, Any], payload: bytes = b"") -> dict[str, Any]:
        async with self._turn:
            kept = self._stream is not None
            try:
                return await self._once(request, payload)
            except Silent:
                raise
            except ConnectionLost:
                if not kept:
                    raise
            # The kept connection broke some time ago. Asking twice is harmless for every op.
            return await self._once(request, payload)

    async def _once(self, request: dict[str, Any], payload: bytes) -> dict[str, Any]:
        if self._stream is None:
            self._stream = await self._open()
        try:
            return await self._exchange(self._stream, request, payload, self._patience)
        except AgentError:
            raise
        except BaseException:
            # An answer may still come: the connection is out of step, also after a cancel.
            await self._drop()
            raise

    async def _alone(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """A request that takes long, on a connection of its own."""
        stream = await self._open()
        try:
            return await self._exchange(stream, request, b"", seconds)
        finally:
            await stream.close()

    async def _exchange(
        self, stream: Stream, request: dict[str, Any], payload: bytes, seconds: float
    ) -> dict[str, Any]:
        await self._send(stream, json.dumps(request).encode() + b"\n" + payload)
        return await self._receive(stream, seconds)

    async def _send(self, stream: Stream, data: bytes) -> None:
        try:
            async with asyncio.timeout(self._patience):
                stream.write(data)
                await stream.drain()
        except TimeoutError as error:
            raise Silent("the node's agent takes no requests") from error

    async def _receive(self, stream: Stream, seconds: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                line = await stream.reader.readline()
        except TimeoutError as error:
            raise Silent(f"the node's agent was silent for {seconds:g} s") from error
        except OSError as error:
            raise ConnectionLost(f"the connection to the agent broke: {error}") from error
        if not line.endswith(b"\n"):
            raise ConnectionLost("the node's agent is gone")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise AgentError(answer["error"]["code"], answer["error"]["message"])
        return answer
