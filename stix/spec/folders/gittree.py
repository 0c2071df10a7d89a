"""The files of a commit as a tar stream, byte by byte as they were committed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from stix.spec.folders.gitkeys import GitError
from stix.spec.folders.trees import TAR_END, bad_link, bad_name, tar_header, tar_padding

_PIECE = 2**20
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_MOST_POINTER = 1024
_BY_HAND = "Clone it {how} and name the folder as workdir."


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    mode: str
    name: str
    size: int


def write_tree(entries: Iterable[str], objects: subprocess.Popen[bytes], out: IO[bytes]) -> None:
    """Write what ``git ls-tree -r -l`` lists, as `stix.spec.folders.pack` writes a folder.

    Args:
        objects: ``git cat-file --batch``.

    Raises:
        GitError: There is something that a workdir cannot hold.
    """
    found = sorted((_entry(text) for text in entries), key=lambda one: one.path)
    _refuse_modules([one.path for one in found if one.mode == "160000"])
    links = {}
    for one in found:
        reason = bad_name(one.path)
        if reason is not None or ".git" in one.path.lower().split("/"):
            raise GitError(
                f"{one.path!r} in the repository cannot be the name of a file.",
                fix="Rename it there.",
            )
        if one.mode == "120000":
            links[one.path] = os.fsdecode(b"".join(_content(one, objects)))
    out.write(tar_header("./", "dir"))
    folders: set[str] = set()
    for one in found:
        for folder in _above(one.path):
            if folder not in folders:
                folders.add(folder)
                out.write(tar_header(folder, "dir"))
        if one.path in links:
            _write_link(one.path, links, out)
        else:
            _write_file(one, objects, out)
    out.write(TAR_END)


def _entry(text: str) -> _Entry:
    """``MODE TYPE NAME SIZE<tab>PATH``; a submodule has ``-`` for its size."""
    head, path = text.split("\t", 1)
    mode, _, name, size = head.split()
    return _Entry(path, mode, name, int(size) if size.isdigit() else 0)


def _above(path: str) -> Iterator[str]:
    parts = path.split("/")[:-1]
    return ("/".join(parts[: i + 1]) for i in range(len(parts)))


def _refuse_modules(modules: list[str]) -> None:
    if modules:
        shown = ", ".join(modules[:3]) + (" ..." if len(modules) > 3 else "")
        raise GitError(
            f"The repository has submodules, which are not fetched: {shown}.",
            fix=_BY_HAND.format(how="with --recurse-submodules"),
        )


def _write_link(path: str, links: dict[str, str], out: IO[bytes]) -> None:
    reason = bad_link(path, links)
    if reason is not None:
        raise GitError(
            f"The link {path} in the repository cannot be sent: {reason}.",
            fix="Make it a relative link inside the repository.",
        )
    out.write(tar_header(path, "link", target=links[path]))


def _write_file(one: _Entry, objects: subprocess.Popen[bytes], out: IO[bytes]) -> None:
    mode = 0o755 if one.mode == "100755" else 0o644
    pieces = _content(one, objects)
    if one.size <= _MOST_POINTER:
        whole = b"".join(pieces)
        if whole.startswith(_POINTER):
            raise GitError(
                f"{one.path} is kept in Git LFS, which is not asked for its content.",
                fix=_BY_HAND.format(how="where git-lfs is installed"),
            )
        pieces = iter([whole])
    out.write(tar_header(one.path, "file", mode=mode, size=one.size))
    for piece in pieces:
        out.write(piece)
    out.write(tar_padding(one.size))


def _content(one: _Entry, objects: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """An object, piece by piece; all of it has to be taken before the next is asked for."""
    assert objects.stdin is not None
    assert objects.stdout is not None
    objects.stdin.write(f"{one.name}\n".encode())
    objects.stdin.flush()
    head = objects.stdout.readline().split()
    left = one.size
    if len(head) != 3 or int(head[2]) != left:
        raise GitError(f"{one.path} is damaged in the repository.", fix="Run `git fsck` there.")
    while left:
        piece = objects.stdout.read(min(left, _PIECE))
        if not piece:
            raise GitError(f"{one.path} cannot be read from what came.", fix="Try again.")
        yield piece
        left -= len(piece)
    objects.stdout.read(1)  # the line feed behind it
