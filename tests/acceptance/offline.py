"""Run inside a new network namespace: ``offline.py FOLDER COMMAND...``.

Brings ``lo`` up, starts a run by COMMAND, which starts a server, and prints what came of it.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path

# linux/sockios.h and linux/if.h
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def bring_up(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH22x", name.encode(), 0)
        flags = struct.unpack("16sH22x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | IFF_UP))


def main(folder: Path, command: list[str]) -> int:
    bring_up("lo")

    def stix(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )

    ran = stix("run", "pipeline.yaml")
    sys.stderr.write(ran.stdout + ran.stderr)
    shown = stix("runs", "show", "latest", "--output", "json")
    stopped = stix("server", "stop")
    print(
        json.dumps(
            {
                "interfaces": [name for _, name in socket.if_nameindex()],
                "run": json.loads(shown.stdout or "{}"),
                "exit_codes": {
                    "run": ran.returncode,
                    "show": shown.returncode,
                    "stop": stopped.returncode,
                },
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
