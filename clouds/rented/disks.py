"""Volumes that are disks of machines: found on the machine, given a file system once, mounted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from stix.clouds.errors import CloudError, TransientError
from stix.clouds.volumes import Attachment
from stix.remote.base import RemoteError, Runner

MOUNTS = "/mnt/stix"
MOUNT_SECONDS = 300.0
APPEAR_SECONDS = 60
_NO_DISK, _NO_FILES = 71, 72

# As the user, who may not be root, and whose home `~` is.
_OUTER = """
case $path in "~"|"~/"*) path=$HOME${path#?};; esac
me=$(id -u):$(id -g); as=; [ "$(id -u)" = 0 ] || as="sudo -n"
exec $as sh -c "$inner" sh "$me" "$top" "$path" "$sub" "$fresh" "$wait" $devices
"""
# blkid ends with 2 where it finds nothing at all on a disk: only then it gets a file system. One
# that was begun and not finished has none.
_INNER = r"""
set -e
me=$1; top=$2; path=$3; sub=$4; fresh=$5; left=$6; shift 6
dev=
while [ -z "$dev" ]; do
  for each in "$@"; do [ -b "$each" ] && dev=$(readlink -f "$each") && break; done
  [ -n "$dev" ] || { [ "$left" -gt 0 ] || exit 71; left=$((left - 1)); sleep 1; }
done
if ! mountpoint -q "$top"; then
  code=0; blkid -p "$dev" >/dev/null || code=$?
  if [ "$code" = 2 ]; then
    [ "$fresh" = yes ] || exit 72
    mkfs.ext4 -q -F -m 0 "$dev"
  fi
  mkdir -p "$top"
  mount "$dev" "$top"
  [ "$fresh" != yes ] || [ "$(stat -c %u:%g "$top")" != 0:0 ] || chown "$me" "$top"
fi
mkdir -p "$top/$sub" "$path"
[ -z "$sub" ] || [ "$(stat -c %u:%g "$top/$sub")" != 0:0 ] || chown "$me" "$top/$sub"
mountpoint -q "$path" || mount --bind "$top/$sub" "$path"
"""


@dataclass(frozen=True)
class Disk:
    """A disk of a machine.

    Attributes:
        devices: Where it may appear, the surest first.
    """

    attachment: Attachment
    devices: Sequence[str]


def script(disk: Disk) -> str:
    """What a shell on the machine does. Idempotent."""
    one = disk.attachment
    values = {
        "path": one.path,
        "top": f"{MOUNTS}/{one.id.rpartition('/')[2]}",
        "sub": one.sub_path,
        "fresh": "no" if one.wish.existing else "yes",
        "wait": str(APPEAR_SECONDS),
        "inner": _INNER,
    }
    said = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    devices = " ".join(disk.devices)  # ours: words without blanks
    return "\n".join([*said, f"devices={shlex.quote(devices)}", _OUTER])


async def mount_disks(runner: Runner, disks: Sequence[Disk], cloud: str) -> None:
    """Mount them, one after the other.

    Raises:
        CloudError: a disk does not appear, or cannot be mounted.
    """
    for disk in disks:
        name = disk.attachment.wish.name or disk.attachment.id
        try:
            done = await runner.run(["sh", "-c", script(disk)], timeout=MOUNT_SECONDS)
        except (RemoteError, TimeoutError) as error:
            words = str(error) or "no answer in time"
            raise TransientError(f"{cloud}: {name} is not mounted: {words}") from error
        if done.exit_code == _NO_DISK:
            raise TransientError(f"{cloud}: the disk of {name} does not appear on its machine")
        if done.exit_code == _NO_FILES:
            fix = "format it once, or let STIX make the volume"
            raise CloudError(f"{cloud}: {name} was made by others and has no file system", fix=fix)
        if done.exit_code:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise CloudError(f"{cloud}: {name} is not mounted: {' '.join(said)}")
