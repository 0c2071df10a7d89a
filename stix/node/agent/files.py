"""Small file operations.  ``shutil``, ``tempfile`` and ``pathlib`` cost too much start time."""

from __future__ import annotations

import json
import os
import stat

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any

SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.=,@+")
NAME_MAX = 200


def digest_text(text: str) -> str:
    """16 hexadecimal digits that stand for ``text``."""
    try:
        from _blake2 import blake2b  # 0.1 ms; hashlib loads OpenSSL in 3 ms
    except ImportError:
        from hashlib import blake2b
    result: str = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    return result


def file_name(text: str) -> str:
    """A file name for any text: unsafe bytes as %XX; a digest replaces the end of a long one."""
    raw = text.encode("utf-8", "surrogateescape")
    name = "".join(chr(b) if b in SAFE else "%{:02X}".format(b) for b in raw)
    if name.startswith("."):
        name = "%2E" + name[1:]
    return name if len(name) <= NAME_MAX else name[: NAME_MAX - 17] + "~" + digest_text(text)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_file(path: str, data: bytes, mode: int = 0o600) -> None:
    """Write under a new name, then rename: a reader sees the old or the new content."""
    new = "{}.new-{}".format(path, os.getpid())
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        try:
            write_all(fd, data)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
        os.replace(new, path)
    except OSError:
        discard(new)
        raise


def write_json(path: str, value: Any) -> None:
    write_file(path, json.dumps(value).encode())


def read_json(path: str) -> Any:
    """The content, or None where there is no (whole) file."""
    try:
        with open(path, "rb") as file:
            return json.loads(file.read())
    except (OSError, ValueError):
        return None


def discard(path: str) -> None:
    """Remove a file that may be missing."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def remove_tree(path: str) -> None:
    """Remove a file or a directory tree; links are not followed, closed directories are opened.

    Raises:
        OSError: something could not be removed.
    """
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(info.st_mode):
        discard(path)
        return
    try:
        _remove_entries(path)
    except PermissionError:
        os.chmod(path, 0o700)
        _remove_entries(path)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass


def _remove_entries(path: str) -> None:
    try:
        with os.scandir(path) as entries:
            found = [(e.path, e.is_dir(follow_symlinks=False)) for e in entries]
    except FileNotFoundError:
        return
    for name, is_dir in found:
        if is_dir:
            remove_tree(name)
        else:
            discard(name)


def private_dir(path: str) -> str:
    """Make a directory (and its parents) for the user alone.

    Raises:
        PermissionError: it belongs to somebody else.
    """
    os.makedirs(path, mode=0o700, exist_ok=True)
    if os.stat(path).st_uid != os.getuid():
        raise PermissionError("{} belongs to another user".format(path))
    return path
