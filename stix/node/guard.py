"""The main process of a node that somebody else's scheduler runs: a container, a step of a job.

Runs on the node (Python 3.8, standard library): has the agent there, starts it, and stays as long
as it lives, so that the container or the step ends with the agent, and the agent with them.

The order is JSON on standard input, or in the file given as argument: ``base``, ``digest``,
``archive`` (the agent's zipapp in Base64) and ``request`` (what ``up`` takes). Where ``ranks`` is
given, the rank is that number less one and less ``SLURM_NODEID``, and the token gets the id of the
job. Says ``ready RECORD`` when the agent answers, and leaves its process id in the node's
``guard``. SIGTERM ends the node and leaves its directory; SIGUSR1 removes that, too.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any

FAILED = 3
TERMINATED = 128 + signal.SIGTERM
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def install(base: str, order: dict[str, Any]) -> str:
    """The agent's ``__main__.py``, unpacked where it is not there yet."""
    stem = os.path.join(base, "agent-" + order["digest"])
    main = os.path.join(stem, "__main__.py")
    if os.path.exists(main):
        return main
    os.makedirs(base, mode=0o700, exist_ok=True)
    new = "{}.new-{}-{}".format(stem, os.uname().nodename, os.getpid())
    with open(new, "wb") as file:
        file.write(base64.b64decode(order["archive"]))
    os.rename(new, stem + ".pyz")
    subprocess.run([sys.executable, "-I", "-S", stem + ".pyz", "install"], check=True, stdout=2)
    return main


def command(main: str, name: str, request: dict[str, Any]) -> dict[str, Any]:
    """One command of the agent."""
    argv = [sys.executable, "-I", "-S", main, name]
    done = subprocess.run(argv, input=json.dumps(request).encode(), stdout=subprocess.PIPE)
    answer: dict[str, Any] = json.loads(done.stdout or b'{"error": {"message": "no answer"}}')
    if "error" in answer:
        raise SystemExit("stix: the agent's {}: {}".format(name, answer["error"]["message"]))
    return answer


def adopt_orphans() -> None:
    """The agent's keeper becomes our child, so that we see its end."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)


def wait_for(keeper: int) -> None:
    """Reap everything until ``keeper`` has ended."""
    while True:
        try:
            if os.waitpid(-1, 0)[0] == keeper:
                return
        except ChildProcessError:
            return


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        with open(argv[1]) as file:
            order = json.load(file)
    else:
        order = json.load(sys.stdin)
    request = order["request"]
    request["base"] = os.path.abspath(os.path.expanduser(order["base"]))
    if "ranks" in order:
        request["rank"] = order["ranks"] - 1 - int(os.environ["SLURM_NODEID"])
        # What a former job of the wish left in a shared home is not ours.
        request["token"] += "." + os.environ["SLURM_JOB_ID"]
    program = install(request["base"], order)
    adopt_orphans()
    node = command(program, "up", request)
    told: list[int] = []

    def end(number: int, _: Any) -> None:
        told.append(number)
        if number == signal.SIGUSR1:
            # Also kills what the agent would leave in a hurry, and removes the directory.
            command(program, "down", {"base": request["base"], "ids": [node["id"]]})
        elif len(told) == 1:
            os.kill(node["pid"], signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, end)
    if node["state"] != "running":
        raise SystemExit("stix: node {} has {}".format(node["id"], node["state"]))
    with open(os.path.join(node["directory"], "guard"), "w") as file:
        file.write(str(os.getpid()))
    os.write(1, "ready {}\n".format(json.dumps(node)).encode())
    wait_for(node["keeper"])
    return TERMINATED if told else FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv))
