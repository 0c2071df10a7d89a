"""Copy files and trees on one machine; merge into what is there; keep modes and links."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path


def copy_path(source: Path, target: Path) -> None:
    """Copy a file to ``target``, or the content of a directory into ``target``.

    A file appears whole or not at all. A link given as ``source`` is followed, one inside a
    directory is kept.

    Raises:
        FileNotFoundError: there is no ``source``.
    """
    info = source.stat()
    target.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISDIR(info.st_mode):
        _copy_tree(source, target)
    else:
        _copy_file(source, target)


def _copy_file(source: Path | str, target: Path | str) -> None:
    new = f"{target}.new-{os.getpid()}"
    try:
        shutil.copyfile(source, new)
        shutil.copystat(source, new)
        os.replace(new, target)
    except OSError:
        Path(new).unlink(missing_ok=True)
        raise


def _copy_tree(source: Path | str, target: Path | str) -> None:
    Path(target).mkdir(exist_ok=True)
    with os.scandir(source) as entries:
        for entry in entries:
            place = os.path.join(target, entry.name)
            if entry.is_symlink():
                new = f"{place}.new-{os.getpid()}"
                os.symlink(os.readlink(entry.path), new)
                os.replace(new, place)
            elif entry.is_dir():
                _copy_tree(entry.path, place)
            elif entry.is_file():
                _copy_file(entry.path, place)
    shutil.copymode(source, target)
