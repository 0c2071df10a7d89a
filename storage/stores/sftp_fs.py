"""An fsspec file system over asyncssh's SFTP. Imported when first used: asyncssh is heavy."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import secrets
import stat
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncssh
from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from stix.remote.ssh_connect import connect
from stix.remote.ssh_target import SshTarget

T = TypeVar("T")
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
_MISSING = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_LOST = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)
_BLOCK = 8 * 2**20


class Line:
    """One connection on a loop of its own, for all threads of this process."""

    def __init__(self, target: SshTarget) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._client: asyncssh.SFTPClient | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._lock = asyncio.Lock()
        thread = threading.Thread(target=self._loop.run_forever, name="stix-sftp", daemon=True)
        thread.start()

    def call(self, act: Callable[[asyncssh.SFTPClient], Awaitable[T]]) -> T:
        """What ``act`` gives, with the errors of files that Python has.

        Raises:
            RemoteError: The host cannot be reached or lets us not in.
        """
        with _as_files():
            return asyncio.run_coroutine_threadsafe(self._do(act), self._loop).result()

    async def _do(self, act: Callable[[asyncssh.SFTPClient], Awaitable[T]]) -> T:
        client = await self._ready()
        try:
            return await act(client)
        except _LOST:
            self._client = None
            raise

    async def _ready(self) -> asyncssh.SFTPClient:
        async with self._lock:
            if self._client is None or self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._target)
                self._client = await self._connection.start_sftp_client()
            return self._client


@contextmanager
def _as_files() -> Iterator[None]:
    try:
        yield
    except _MISSING as error:
        raise FileNotFoundError(error.reason) from None
    except asyncssh.SFTPPermissionDenied as error:
        raise PermissionError(error.reason) from None
    except asyncssh.SFTPFileAlreadyExists as error:
        raise FileExistsError(error.reason) from None
    except asyncssh.SFTPError as error:
        raise OSError(f"{type(error).__name__}: {error.reason}") from None


class SftpFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Absolute paths of one host. Files get their names when they are whole."""

    protocol = "sftp"
    root_marker = "/"
    cachable = False

    def __init__(self, line: Line, **options: Any) -> None:
        super().__init__(**options)
        self.line = line

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return path.rstrip("/") or "/"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        return _entry(path, self.line.call(lambda client: client.stat(path)))

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        path = self._strip_protocol(path)
        info = self.info(path)
        found = [info] if info["type"] == "file" else self.line.call(_listing(path))
        return found if detail else [one["name"] for one in found]

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        path = self._strip_protocol(path)

        async def read(client: asyncssh.SFTPClient) -> bytes:
            async with client.open(path, "rb") as file:
                size = int((await file.stat()).size or 0)
                first = max(size + start, 0) if start and start < 0 else start or 0
                last = size if end is None else end if end >= 0 else size + end
                last = min(last, size)
                data: bytes = await file.read(last - first, first) if last > first else b""
                return data

        return self.line.call(read)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        path = self._strip_protocol(path)

        async def write(client: asyncssh.SFTPClient) -> None:
            temporary = await _write(client, path, value)
            try:
                if mode == "create":
                    # A second name: refused where the first is taken, unlike a rename.
                    await _link(client, temporary, path)
                else:
                    await client.posix_rename(temporary, path)
            finally:
                with contextlib.suppress(*_MISSING):
                    await client.remove(temporary)

        self.line.call(write)

    def write_at(self, path: str, data: bytes, offset: int) -> None:
        """Put bytes into a file, made with its folders where missing; what is beyond goes."""
        path = self._strip_protocol(path)

        async def write(client: asyncssh.SFTPClient) -> None:
            if not offset:
                await client.makedirs(path.rpartition("/")[0] or "/", exist_ok=True)
            async with client.open(path, "r+b" if offset else "wb") as file:
                await file.write(data, offset)

        self.line.call(write)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """On the host itself, where its server can (OpenSSH from 9.0)."""
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)

        async def copy(client: asyncssh.SFTPClient) -> None:
            await client.stat(source)
            temporary = await _write(client, target, b"")
            try:
                await client.remote_copy(source, temporary)
                await client.posix_rename(temporary, target)
            finally:
                with contextlib.suppress(*_MISSING):
                    await client.remove(temporary)

        self.line.call(copy)

    def mv(self, path1: str, path2: str, **_: Any) -> None:
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        self.line.call(lambda client: client.posix_rename(source, target))

    def rm_file(self, path: str) -> None:
        path = self._strip_protocol(path)
        self.line.call(lambda client: client.remove(path))

    _rm = rm_file

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        for one in path if isinstance(path, list) else [path]:
            name = self._strip_protocol(one)
            if recursive and self.info(name)["type"] == "directory":
                self.line.call(_removal(name))
            else:
                self.rm_file(name)

    def rmdir(self, path: str) -> None:
        path = self._strip_protocol(path)
        self.line.call(lambda client: client.rmdir(path))

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        path = self._strip_protocol(path)
        if create_parents:
            self.makedirs(path, exist_ok=False)
        else:
            self.line.call(lambda client: client.mkdir(path))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        path = self._strip_protocol(path)
        self.line.call(lambda client: client.makedirs(path, exist_ok=exist_ok))

    def created(self, path: str) -> Any:
        return self.info(path)["mtime"]

    modified = created

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, **more: Any) -> _File:
        more.pop("autocommit", None)
        size = block_size if isinstance(block_size, int) else _BLOCK
        return _File(self, self._strip_protocol(path), mode, block_size=size, **more)


class _File(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """Reads by ranges; writes under another name, which an exception leaves nothing of."""

    buffer: io.BytesIO
    offset: int

    def _fetch_range(self, start: int, end: int) -> bytes:
        data: bytes = self.fs.cat_file(self.path, start=start, end=end)
        return data

    def _initiate_upload(self) -> None:
        self.temporary = self.fs.line.call(lambda client: _write(client, self.path, b""))

    def _upload_chunk(self, final: bool = False) -> bool:
        data, offset = self.buffer.getvalue(), self.offset or 0

        async def write(client: asyncssh.SFTPClient) -> None:
            async with client.open(self.temporary, "r+b") as file:
                await file.write(data, offset)
            if final:
                await client.posix_rename(self.temporary, self.path)

        self.fs.line.call(write)
        return True

    def __exit__(self, *error: Any) -> None:
        if error and error[0] is not None and self.mode != "rb":
            self.closed = True
            if hasattr(self, "temporary"):
                self.fs.rm_file(self.temporary)
            return
        self.close()


async def _write(client: asyncssh.SFTPClient, path: str, data: bytes) -> str:
    """A new file beside ``path`` with this content; its name."""
    folder = path.rpartition("/")[0] or "/"
    temporary = f"{folder}/.{secrets.token_hex(8)}.tmp"
    try:
        file = await client.open(temporary, "xb")
    except _MISSING:
        await client.makedirs(folder, exist_ok=True)
        file = await client.open(temporary, "xb")
    try:
        async with file:
            await file.write(data)
            with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                await file.fsync()
    except BaseException:
        with contextlib.suppress(asyncssh.Error):
            await client.remove(temporary)
        raise
    return temporary


async def _link(client: asyncssh.SFTPClient, temporary: str, path: str) -> None:
    try:
        await client.link(temporary, path)
    except asyncssh.SFTPFailure:
        # Version 3 of the protocol has one word for all failures.
        if await client.lexists(path):
            raise FileExistsError(path) from None
        raise


def _removal(path: str) -> Callable[[asyncssh.SFTPClient], Awaitable[None]]:
    return lambda client: client.rmtree(path)


def _listing(path: str) -> Callable[[asyncssh.SFTPClient], Awaitable[list[dict[str, Any]]]]:
    async def listing(client: asyncssh.SFTPClient) -> list[dict[str, Any]]:
        found = []
        for one in await client.readdir(path):
            name = str(one.filename)
            if name in (".", "..") or _TEMPORARY.fullmatch(name):
                continue
            full, attrs = f"{path.rstrip('/')}/{name}", one.attrs
            if stat.S_ISLNK(attrs.permissions or 0):
                try:
                    attrs = await client.stat(full)
                except _MISSING:
                    continue  # it points nowhere
            found.append(_entry(full, attrs))
        return sorted(found, key=lambda entry: str(entry["name"]))

    return listing


def _entry(path: str, attrs: asyncssh.SFTPAttrs) -> dict[str, Any]:
    mode = attrs.permissions or 0
    kind = "directory" if stat.S_ISDIR(mode) else "file"
    size = 0 if kind == "directory" else int(attrs.size or 0)
    return {
        "name": path,
        "type": kind,
        "size": size,
        "mtime": float(attrs.mtime or 0),
        "mode": mode,
    }
