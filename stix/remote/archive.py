"""Unpack a tar stream from a host that is not trusted."""

from __future__ import annotations

import os
import socket
import tarfile
from pathlib import Path

from stix.remote.base import RemoteError


def extract(source: socket.socket, folder: Path) -> None:
    """Unpack what comes from ``source`` below ``folder``. Modes and links are kept, owners not.

    Raises:
        RemoteError: an entry would land outside, is a device, or the stream is broken.
    """
    with source, source.makefile("rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r|") as archive:
                archive.extractall(folder, filter=check)
        except (tarfile.TarError, EOFError) as error:
            raise RemoteError(f"the transfer brought no whole archive: {error}") from error
        while file.read(1 << 16):
            pass  # padding after the last entry


def check(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """A filter for ``tarfile``: refuses what leaves ``folder``, also through a link.

    Symbolic links are kept as they are, even to elsewhere, but nothing is written through them.
    """
    name = os.path.normpath(member.name)
    if os.path.isabs(member.name) or name.startswith(".."):
        raise RemoteError(f"the archive holds a path outside: {member.name!r}")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise RemoteError(f"the archive holds a device: {member.name!r}")
    root = os.path.realpath(folder)
    parent = os.path.realpath(os.path.join(folder, os.path.dirname(name)))
    if os.path.commonpath([root, parent]) != root:
        raise RemoteError(f"the archive writes through a link: {member.name!r}")
    if member.islnk():
        link = os.path.realpath(os.path.join(folder, member.linkname))
        if os.path.commonpath([root, link]) != root:
            raise RemoteError(f"the archive links outside: {member.name!r}")
    return member.replace(uid=os.getuid(), gid=os.getgid(), uname="", gname="", deep=False)
