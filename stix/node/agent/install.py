"""Unpack the zipapp beside itself, since Python keeps no compiled code for modules in a zip."""

from __future__ import annotations

import os

from .files import remove_tree


def install(archive: str) -> str:
    """Unpack ``x.pyz`` as ``x/``; gives the path of its ``__main__.py``."""
    target = archive[: -len(".pyz")]
    main = os.path.join(target, "__main__.py")
    if os.path.exists(main):
        return main
    import zipfile

    new = "{}.new-{}".format(target, os.getpid())
    with zipfile.ZipFile(archive) as file:
        file.extractall(new)
    try:
        os.rename(new, target)
    except OSError:  # another process was faster
        remove_tree(new)
    return main
