"""Volumes of moto as disks of this machine, which its hosts see by their serial numbers."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.support.loop import attached

BY_ID = Path("/dev/disk/by-id")
MIB = 16


class Plugs:
    """Disks that are there until it is closed: a volume outlives the instances that had it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._there: set[str] = set()

    def plug(self, volume: str) -> None:
        """Have the disk of a volume."""
        if volume in self._there:
            return
        if not self._there:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        device = self._stack.enter_context(attached(self._folder / volume, MIB))
        BY_ID.mkdir(parents=True, exist_ok=True)
        link = BY_ID / f"nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"
        link.symlink_to(device)
        self._stack.callback(link.unlink)
        self._there.add(volume)

    def close(self) -> None:
        self._stack.close()
