"""Pack a workdir or a file into a tar stream, the same bytes for the same content."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stix.errors import StixError
from stix.spec.folders.ignore import Ignore
from stix.spec.folders.trees import TAR_END, bad_link, tar_header, tar_padding

_PIECE = 2**20


class PackError(StixError):
    """Something in a workdir cannot be sent."""


@dataclass(frozen=True, slots=True)
class PackInfo:
    """What was packed.

    Attributes:
        files: Number of files, without folders and links.
        bytes: Sum of their sizes.
    """

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    place: Path
    kind: str
    target: str = ""


def pack(path: str | os.PathLike[str], out: IO[bytes]) -> PackInfo:
    """Write ``path`` to ``out`` as a tar archive, without times, owners and rights but x.

    A folder begins with the member ``./`` and leaves out what `Ignore` says; a file is a single
    member with its own name, never ignored.

    Raises:
        PackError: Names the file that cannot be read, changed meanwhile, is no file, folder or
            link, or is a link that is absolute or leaves the folder.
    """
    root = Path(path)
    try:
        mode = root.stat().st_mode
    except OSError as error:
        raise _unreadable(root, error) from error
    if not stat.S_ISDIR(mode):
        size = _write_file(_Found(root.name or "file", root, "file"), out)
        out.write(TAR_END)
        return PackInfo(1, size)
    found = sorted(_walk(root), key=lambda one: one.path)
    _check_links(found)
    out.write(tar_header("./", "dir"))
    sizes = []
    for one in found:
        if one.kind == "file":
            sizes.append(_write_file(one, out))
        else:
            out.write(tar_header(one.path, one.kind, target=one.target))
    out.write(TAR_END)
    return PackInfo(len(sizes), sum(sizes))


def _walk(root: Path) -> Iterator[_Found]:
    folders: list[tuple[Path, str, Ignore | None]] = [(root, "", None)]
    while folders:
        folder, prefix, above = folders.pop()
        try:
            with os.scandir(folder) as listing:
                items = list(listing)
            ignore = Ignore(root) if above is None else above.below(folder, prefix)
        except OSError as error:
            raise _unreadable(Path(error.filename or folder), error) from error
        for item in items:
            path = prefix + item.name
            is_folder = item.is_dir(follow_symlinks=False)
            if ignore.ignores(path, is_folder):
                continue
            place = Path(item.path)
            if item.is_symlink():
                yield _Found(path, place, "link", os.readlink(place))
            elif is_folder:
                yield _Found(path, place, "dir")
                folders.append((place, f"{path}/", ignore))
            else:
                yield _Found(path, place, "file")


def _check_links(found: list[_Found]) -> None:
    links = {one.path: one.target for one in found if one.kind == "link"}
    for one in found:
        reason = bad_link(one.path, links) if one.kind == "link" else None
        if reason is not None:
            raise PackError(
                f"The link {one.place} cannot be sent: {reason}.",
                fix="Make it a relative link inside the folder, or name it in .skyignore.",
            )


def _write_file(found: _Found, out: IO[bytes]) -> int:
    try:
        # O_NONBLOCK: opening a named pipe would wait for its other end.
        descriptor = os.open(found.place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if found.place.is_socket():
            raise _special(found.place) from error
        raise _unreadable(found.place, error) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise _special(found.place)
        mode = 0o755 if before.st_mode & 0o111 else 0o644
        out.write(tar_header(found.path, "file", mode=mode, size=before.st_size))
        left = before.st_size
        while left and (data := _read(file, min(left, _PIECE), found.place)):
            out.write(data)
            left -= len(data)
        after = os.fstat(descriptor)
    if left or after.st_size != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise PackError(
            f"{found.place} changed while it was read.",
            fix="Run again when nothing writes to it, or name it in .skyignore.",
        )
    out.write(tar_padding(before.st_size))
    return before.st_size


def _read(file: IO[bytes], size: int, place: Path) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise _unreadable(place, error) from error


def _special(place: Path) -> PackError:
    return PackError(
        f"{place} is neither a file, a folder nor a link.",
        fix="Remove it or name it in .skyignore: sockets, pipes and devices cannot be sent.",
    )


def _unreadable(place: Path, error: OSError) -> PackError:
    reason = error.strerror or type(error).__name__
    return PackError(
        f"{place} cannot be read: {reason}.", fix="Check its rights, or name it in .skyignore."
    )
