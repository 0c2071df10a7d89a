"""The files of artifacts that one host has, by their content, for all nodes of a base directory.

Layout below ``<base>/cache/<machine>`` (a home may be shared over a network): ``files/<2>/<key>``
is a whole file, read-only, with the time ``EPOCH``; ``<key>.part`` is one that is being fetched,
and whoever holds its lock fetches it: the kernel frees the lock at the end of the owner, however it
ends, and the next one goes on with what is there. ``<key>.done`` names the pieces of a part that
were verified, ``<key>.list`` the chunks of a whole file of several. A file that has another time or
size than it should was written to, and counts as missing. After a reboot everything is dropped:
nothing was synced to the disk.
"""

from __future__ import annotations

import fcntl
import os
import time

from .. import files

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Iterator, Sequence, Tuple

    Piece = Tuple[str, int]  # a file, and where the chunk begins in it

EPOCH = 315532800
"""1980: the time of every whole file. A write changes it."""
IDLE_S = 600.0
"""What was used so recently stays, also above the bound: somebody may be about to link to it."""
KEPT_S = 7 * 86400.0
"""What nobody used for so long goes, also below the bound."""


class Cache:
    """What lies below one base directory."""

    def __init__(self, base: str) -> None:
        here = files.file_name(os.uname().nodename)
        self.root = os.path.join(os.path.abspath(os.path.expanduser(base)), "cache", here)
        self._index: dict[str, Piece] | None = None

    def open(self) -> None:
        """Make the directories, and begin anew after a reboot."""
        files.private_dir(os.path.join(self.root, "files"))
        with Lock(os.path.join(self.root, "lock")):
            mark = os.path.join(self.root, "boot")
            now = _boot()
            if _text(mark) == now:
                return
            for name in ("files", "manifests", "incoming", "objects"):
                files.remove_tree(os.path.join(self.root, name))
            files.private_dir(os.path.join(self.root, "files"))
            files.write_file(mark, now.encode())

    def path(self, key: str) -> str:
        return os.path.join(self.root, "files", key[:2], key)

    def has(self, key: str, size: int) -> bool:
        """Whether the file is whole; one that was written to is removed."""
        path = self.path(key)
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            return False
        if info.st_size == size and info.st_mtime == EPOCH:
            return True
        files.discard(path)
        return False

    def used(self, key: str) -> None:
        """Note that somebody needs it now; the time of the last reading says so."""
        os.utime(self.path(key), (time.time(), EPOCH))

    def finish(self, key: str, part: str, chunks: Sequence[str]) -> None:
        """A part whose chunks are all there becomes the file. The caller holds its lock."""
        if len(chunks) > 1:
            files.write_file(self.path(key) + ".list", "\n".join(chunks).encode())
        os.chmod(part, 0o555 if key.endswith(".x") else 0o444)
        os.utime(part, (time.time(), EPOCH))
        os.rename(part, self.path(key))
        files.discard(self.path(key) + ".done")

    def find(self, chunk: str, chunk_size: int) -> Iterator[Piece]:
        """Where the host has a chunk, in files that are whole; to be verified."""
        for key in (chunk, chunk + ".x"):
            if os.path.exists(self.path(key)):
                yield self.path(key), 0
        if self._index is None:
            self._index = dict(self._pieces(chunk_size))
        place = self._index.get(chunk)
        if place is not None:
            yield place

    def _pieces(self, chunk_size: int) -> Iterator[tuple[str, Piece]]:
        for path in self._all():
            if path.endswith(".list"):
                for number, chunk in enumerate(_text(path).split("\n")):
                    yield chunk, (path[: -len(".list")], number * chunk_size)

    @property
    def incoming(self) -> str:
        """Where the engine puts chunks that the host cannot fetch itself, by their names."""
        return os.path.join(self.root, "incoming")

    def manifest(self, digest: str) -> str:
        return os.path.join(self.root, "manifests", digest)

    def trim(self, limit: int) -> None:
        """Remove what was not used for longest until ``limit`` bytes are left.

        What a node links to stays, and so does what was used a moment ago.
        """
        with Lock(os.path.join(self.root, "lock")):
            now, total = time.time(), 0
            found = []
            for path in self._all():
                try:
                    info = os.lstat(path)
                except FileNotFoundError:
                    continue
                total += info.st_blocks * 512
                found.append((info.st_atime, path, info))
            for last, path, info in sorted(found, key=lambda row: row[0]):
                idle = now - last
                old = idle > KEPT_S or (total > limit and idle > IDLE_S)
                if old and info.st_nlink == 1 and not path.endswith((".list", ".done")):
                    total -= info.st_blocks * 512
                    self._drop(path)
            for name in ("manifests", "objects", "incoming", "place"):
                self._trim_folder(os.path.join(self.root, name), now)

    def _drop(self, path: str) -> None:
        """Remove a file and what belongs to it, unless somebody fetches it."""
        part = path.endswith(".part")
        name = path[: -len(".part")] if part else path
        if part:
            descriptor = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                files.discard(path)
            except BlockingIOError:
                return
            finally:
                os.close(descriptor)
        else:
            files.discard(path)
        for end in (".list", ".done"):
            files.discard(name + end)

    def _trim_folder(self, folder: str, now: float) -> None:
        for name in _names(folder):
            path = os.path.join(folder, name)
            if now - os.lstat(path).st_mtime > KEPT_S:
                files.discard(path)

    def _all(self) -> Iterator[str]:
        top = os.path.join(self.root, "files")
        for folder in _names(top):
            for name in _names(os.path.join(top, folder)):
                yield os.path.join(top, folder, name)


class Lock:
    """A file's lock, waited for, for as long as the block lasts."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def lock_part(path: str) -> int:
    """Open and lock a part for writing; -1 where another process fetches it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return -1
        try:
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except FileNotFoundError:
            pass  # it became the file, or was dropped, before we had the lock
        os.close(descriptor)


def key_of(chunks: Sequence[str], chunk_size: int, executable: bool) -> str:
    """The name of a file: that of its chunk, or of all its chunks."""
    name = chunks[0]
    if len(chunks) > 1:
        from hashlib import sha256

        name = sha256("{}\n{}".format(chunk_size, "\n".join(chunks)).encode()).hexdigest()
    return name + ".x" if executable else name


def _boot() -> str:
    """Names the time since the last start of the machine; empty where nothing tells."""
    return _text("/proc/sys/kernel/random/boot_id").strip()


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
