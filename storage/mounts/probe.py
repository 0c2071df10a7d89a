"""What a node has to mount with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from stix.remote.base import Runner
from stix.storage.base import StorageError

PROBE_S = 30.0
OLDEST = (1, 69)
"""The first rclone that tells which files wait to be uploaded."""
TOOLS = ("s3fs", "goofys", "gcsfuse", "blobfuse2", "sshfs")
"""Second choice, where there is no rclone."""

# The program may be the system's, the user's, or that of a Python package.
_SCRIPT = r"""
fuse=no; [ -r /dev/fuse ] && [ -w /dev/fuse ] && fuse=yes
helper=$(command -v fusermount3 || command -v fusermount || true)
rclone=$(command -v rclone || true)
for folder in "$HOME/.local/bin" /usr/local/bin; do
  [ -n "$rclone" ] || { [ -x "$folder/rclone" ] && rclone=$folder/rclone; }
done
version=$([ -n "$rclone" ] && "$rclone" version 2>/dev/null | sed -n '1s/^rclone v//p')
printf '%s\n' "$(uname -s)" "$(uname -m)" "$fuse" "$helper" "$rclone" "$version"
for tool in TOOLS; do command -v "$tool" || true; done
""".replace("TOOLS", " ".join(TOOLS))
_NUMBERS = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True)
class Found:
    """What a node has.

    Attributes:
        machine: Its processor, as ``uname -m`` says.
        fuse: Whether its user may open ``/dev/fuse``.
        helper: Path of ``fusermount3`` or ``fusermount``.
        rclone: Path of the program; empty where there is none of use.
        version: Of that program.
        tools: Other programs that mount, by name.
    """

    system: str
    machine: str
    fuse: bool
    helper: str
    rclone: str
    version: str
    tools: Mapping[str, str] = field(default_factory=dict)

    def at_least(self, major: int, minor: int) -> bool:
        """Whether there is an rclone that is no older."""
        numbers = _NUMBERS.match(self.version)
        return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (major, minor)

    def problem(self) -> str:
        """Why nothing can be mounted, and what helps; empty where it can."""
        if self.system != "Linux":
            return f"buckets are mounted on Linux only, and the node is {self.system or 'unknown'}"
        if not self.fuse:
            return (
                "the node's user may not open /dev/fuse; load the module fuse, or start the "
                "container with --device /dev/fuse --cap-add SYS_ADMIN"
            )
        if not self.helper:
            return "the node has no fusermount3; install fuse3 in its image or by hand"
        return ""


def parse(output: bytes) -> Found:
    """From what the script says. An rclone that is too old counts as none."""
    lines = [line.strip() for line in output.decode("utf-8", "replace").split("\n")]
    system, machine, fuse, helper, rclone, version = [*lines, *[""] * 6][:6]
    tools = {path.rpartition("/")[2]: path for path in lines[6:] if path}
    found = Found(system, machine, fuse == "yes", helper, rclone, version, tools)
    return found if found.at_least(*OLDEST) else replace(found, rclone="", version="")


async def probe(runner: Runner) -> Found:
    """Ask the node.

    Raises:
        ConnectionLost: The node did not answer.
        StorageError: It answered too late.
    """
    try:
        done = await runner.run(["sh", "-c", _SCRIPT], timeout=PROBE_S)
    except TimeoutError:
        raise StorageError(
            "The node does not say what it can mount with.", fix="Look whether it is overloaded."
        ) from None
    return parse(done.stdout)
