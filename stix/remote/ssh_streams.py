"""Byte streams over channels of an SSH connection, read by an ordinary ``StreamReader``."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import asyncssh

from stix.remote.base import ConnectionLost
from stix.remote.local import LINE_LIMIT

CLOSE_SECONDS = 5.0


class ChannelStream:
    """``stix.remote.base.Stream`` over one channel."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader(limit=LINE_LIMIT)
        self._channel: Any = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost: Exception | None = None
        self._closed = asyncio.Event()

    def write(self, data: bytes) -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data)

    async def drain(self) -> None:
        await self._writable.wait()
        if self._lost is not None or self._closed.is_set():
            raise ConnectionLost("the connection broke while sending")

    async def close(self) -> None:
        if self._channel is not None:
            self._channel.abort()

    def made(self, channel: Any) -> None:
        self._channel = channel
        self.reader.set_transport(cast(asyncio.Transport, channel))

    def ended(self, error: Exception | None) -> None:
        self._lost = error
        self._closed.set()
        self._writable.set()
        if error is None:
            self.reader.feed_eof()
        else:
            self.reader.set_exception(ConnectionLost(f"the connection broke: {error}"))

    def writable(self, yes: bool) -> None:
        if yes:
            self._writable.set()
        else:
            self._writable.clear()


class _UnixSession(asyncssh.SSHUNIXSession[bytes]):
    def __init__(self, stream: ChannelStream) -> None:
        self._stream = stream

    def connection_made(self, chan: asyncssh.SSHUNIXChannel[bytes]) -> None:
        self._stream.made(chan)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._stream.reader.feed_data(data)

    def eof_received(self) -> bool:
        self._stream.reader.feed_eof()
        return True  # our side stays open

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream.ended(exc)

    def pause_writing(self) -> None:
        self._stream.writable(False)

    def resume_writing(self) -> None:
        self._stream.writable(True)


class _ProcessSession(asyncssh.SSHClientSession[bytes]):
    def __init__(self, stream: ChannelStream) -> None:
        self._stream = stream

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._stream.made(chan)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is None:  # else it is standard error
            self._stream.reader.feed_data(data)

    def eof_received(self) -> bool:
        self._stream.reader.feed_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream.ended(exc)

    def pause_writing(self) -> None:
        self._stream.writable(False)

    def resume_writing(self) -> None:
        self._stream.writable(True)


async def unix_stream(connection: asyncssh.SSHClientConnection, path: str) -> ChannelStream:
    stream = ChannelStream()
    await connection.create_unix_connection(lambda: _UnixSession(stream), path, encoding=None)
    return stream


async def process_stream(connection: asyncssh.SSHClientConnection, command: str) -> ChannelStream:
    stream = ChannelStream()
    await connection.create_session(lambda: _ProcessSession(stream), command, encoding=None)
    return stream
