"""Disks of machines: real block devices, file systems and mounts, apart from those of this one."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stix.clouds.rented.disks import Disk, script
from stix.clouds.volumes import Attachment, VolumeWish
from tests.support.loop import LoopUnavailable, attached

WISH = VolumeWish("data", "aws-ebs", "eu", "eu-a", 1.0)


@dataclass
class Machine:
    """Mounts of its own, as a machine has them; a new one has none."""

    folder: Path
    device: str

    def run(self, *scripts: str) -> subprocess.CompletedProcess[str]:
        """Commands of one machine, from its boot to its end."""
        apart = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
        hidden = "mount -t tmpfs mnt /mnt && export HOME=" + str(self.folder / "home")
        words = " && ".join([hidden, *(f"( {each} )" for each in scripts)])
        return subprocess.run(
            [*apart, words], capture_output=True, text=True, check=False, timeout=60
        )

    def disk(self, path: str, sub: str = "", existing: str = "") -> str:
        wish = VolumeWish("data", "aws-ebs", existing=existing)
        devices = ["/dev/no-such-disk", self.device]
        return script(Disk(Attachment(path, wish, "vol-1", sub), devices))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if missing := [p for p in ("unshare", "mkfs.ext4", "blkid") if shutil.which(p) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    (tmp_path / "home").mkdir()
    try:
        with attached(tmp_path / "disk", 16) as device:
            yield Machine(tmp_path, device)
    except LoopUnavailable as error:
        pytest.skip(str(error))


def test_it_is_formatted_once_and_keeps_what_it_holds(machine: Machine) -> None:
    data = machine.folder / "data"
    mount = machine.disk(str(data))
    first = machine.run(mount, mount, f"echo kept > {data}/word", f"df -T {data} | tail -1")
    assert first.returncode == 0 and " ext4 " in first.stdout, first
    assert list(data.iterdir()) == []  # mounts of a machine are its own
    again = machine.run(machine.disk("~/again"), "cat ~/again/word", "stat -c %a ~/again")
    assert again.stdout.split()[0] == "kept", again


def test_a_folder_inside(machine: Machine) -> None:
    all_of_it, part = machine.folder / "all", machine.folder / "part"
    done = machine.run(
        machine.disk(str(all_of_it)),
        machine.disk(str(part), "a/b"),
        f"echo in > {part}/word",
        f"cat {all_of_it}/a/b/word",
    )
    assert (done.returncode, done.stdout) == (0, "in\n"), done


def test_what_holds_something_is_never_formatted(machine: Machine) -> None:
    """Neither a disk of others without a file system, nor one with something that is none."""
    data = str(machine.folder / "data")
    assert machine.run(machine.disk(data, existing="theirs")).returncode == 72
    entry = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + struct.pack("<II", 2048, 8192)
    table = bytes(446) + entry + bytes(48) + b"\x55\xaa"
    with Path(machine.device).open("r+b") as device:
        device.write(table)
    assert machine.run(machine.disk(data)).returncode not in (0, 71, 72)
    with Path(machine.device).open("rb") as device:
        assert device.read(512) == table
