"""Files and trees over SSH: tar for trees and small files, SFTP for big files."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import asyncssh

from stix.remote.archive import extract
from stix.remote.base import ConnectionLost, RemoteError
from stix.remote.shell_copy import (
    EXPAND,
    GET,
    MISSING,
    PUT_FILE,
    PUT_TREE,
    TAR_CHANGED,
    settle,
)

CHUNK = 1 << 18
BIG_FILE = 8 << 20  # bytes; from here on SFTP's 150 MB/s beats a pipe's 75 (measured)

_PREPARE_BIG = EXPAND + 'p=${t%/*}; mkdir -p "${p:-/}" && printf %s "$t"\n'
_FINISH_BIG = 'chmod "$3" "$2" && mv -f "$2" "$1" || { rm -f "$2"; exit 1; }\n'


class Processes(Protocol):
    """What a transfer needs of the runner."""

    async def process(self, argv: list[str]) -> asyncssh.SSHClientProcess[bytes]: ...
    async def sftp(self) -> asyncssh.SFTPClient: ...


async def put_path(way: Processes, source: Path, target: str) -> None:
    info = source.stat()
    mode = f"{info.st_mode & 0o7777:o}"
    if source.is_dir():
        await _put_tree(way, source, target)
    elif info.st_size >= BIG_FILE:
        await _put_big(way, source, target, mode)
    else:
        argv = ["sh", "-c", PUT_FILE, "sh", target, mode, str(info.st_size)]
        process = await way.process(argv)
        data = await asyncio.to_thread(source.read_bytes)
        await _finish(process, f"cannot write {target}", data)


async def _put_tree(way: Processes, source: Path, target: str) -> None:
    process = await way.process(["sh", "-c", PUT_TREE, "sh", target])
    packer = await asyncio.create_subprocess_exec(
        "tar", "-C", str(source), "-cf", "-", ".",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COPYFILE_DISABLE": "1"},
    )  # fmt: skip
    try:
        assert packer.stdout is not None and packer.stderr is not None
        with suppress(BrokenPipeError):  # the far tar gave up: its own words say why
            while data := await packer.stdout.read(CHUNK):
                process.stdin.write(data)
                await process.stdin.drain()
        failed = process.is_closing()
        if not failed:
            words = (await packer.stderr.read()).decode(errors="replace").strip()
            if await packer.wait() > TAR_CHANGED:
                process.close()
                raise RemoteError(f"cannot read {source}: {words}")
        await _finish(process, f"cannot write {target}")
    finally:
        if packer.returncode is None:
            packer.kill()
            await packer.wait()


async def _put_big(way: Processes, source: Path, target: str, mode: str) -> None:
    done = await _finish(
        await way.process(["sh", "-c", _PREPARE_BIG, "sh", target]), f"cannot write {target}"
    )
    place = done.decode()
    new = f"{place}.new-{os.getpid()}-{id(source):x}"
    async with _sftp(way, f"cannot write {target}") as sftp:
        try:
            await sftp.put(str(source), new)
        except asyncssh.SFTPFailure:
            await sftp.remove(new)
            raise
    process = await way.process(["sh", "-c", _FINISH_BIG, "sh", place, new, mode])
    await _finish(process, f"cannot write {target}")


async def get_path(way: Processes, source: str, target: Path) -> None:
    process = await way.process(["sh", "-c", GET, "sh", source, str(BIG_FILE)])
    head = await process.stdout.readline()
    target.parent.mkdir(parents=True, exist_ok=True)
    if not head:
        await _finish(process, f"cannot read {source}")
        raise ConnectionLost(f"nothing came from {source}")
    if head.startswith(b"f ") and int(head.split()[1]) >= BIG_FILE:
        place = (await _finish(process, f"cannot read {source}")).decode()
        await _get_big(way, place, target)
        return
    staging = Path(tempfile.mkdtemp(prefix=".stix-", dir=target.parent))
    try:
        await _extract(process, staging)
        await _finish(process, f"cannot read {source}")
        await asyncio.to_thread(settle, staging, target, head.startswith(b"d"))
    finally:
        await asyncio.to_thread(shutil.rmtree, staging, True)


async def _get_big(way: Processes, place: str, target: Path) -> None:
    new = target.with_name(f"{target.name}.new-{os.getpid()}")
    try:
        async with _sftp(way, f"cannot read {place}") as sftp:
            await sftp.get(place, str(new), preserve=True)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


async def _extract(process: asyncssh.SSHClientProcess[bytes], folder: Path) -> None:
    """Feed the process's output to a thread that unpacks it."""
    near, far = socket.socketpair()
    task = asyncio.create_task(asyncio.to_thread(extract, far, folder))
    _, writer = await asyncio.open_connection(sock=near)
    try:
        with suppress(ConnectionError):  # the unpacking stopped; its error says why
            while data := await process.stdout.read(CHUNK):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()
        await task


async def finish(
    process: asyncssh.SSHClientProcess[bytes], data: bytes = b""
) -> tuple[bytes, bytes]:
    """Send the last of the input and its end; gives the output and the errors."""
    with suppress(OSError):  # the process ended without reading
        if data:
            process.stdin.write(data)
        # communicate() ends the input only where it sends some itself.
        process.stdin.write_eof()
    stdout, stderr = await process.communicate()
    return stdout or b"", stderr or b""


async def _finish(process: asyncssh.SSHClientProcess[bytes], what: str, data: bytes = b"") -> bytes:
    """End a process's input and wait for it; gives its output."""
    stdout, stderr = await finish(process, data)
    code: Any = process.exit_status
    if code is None:
        raise ConnectionLost(f"{what}: the connection broke")
    if code == MISSING:
        raise FileNotFoundError(f"{what}: there is no such file")
    if code > (TAR_CHANGED if what.startswith("cannot read") else 0):
        raise RemoteError(f"{what}: {stderr.decode(errors='replace').strip()}")
    return stdout


@asynccontextmanager
async def _sftp(way: Processes, what: str) -> AsyncIterator[asyncssh.SFTPClient]:
    try:
        async with await way.sftp() as sftp:
            yield sftp
    except asyncssh.SFTPError as error:
        if isinstance(error, (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)):
            raise ConnectionLost(f"{what}: {error.reason}") from error
        raise RemoteError(f"{what}: {error.reason}") from error
