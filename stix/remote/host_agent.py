"""Make, list and remove nodes on one host by the agent's commands."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from stix.node import build
from stix.remote.base import Completed, ConnectionLost, Runner
from stix.remote.local import LocalRunner
from stix.remote.messages import AgentError, NodeRecord, UpRequest

COMMAND_SECONDS = 120.0
INSTALL_SECONDS = 300.0
COPY_SECONDS = 3600.0
PYTHONS = (
    "python3",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.9",
    "python3.8",
    "/usr/libexec/platform-python",
    "python",
)

# $1 base, $2 digest, the rest: names of Python to try.  Prints python, base, and yes or no.
_FIND = """
base=$1; digest=$2; shift 2
case $base in "~") base=$HOME;; "~/"*) base=$HOME/${base#\\~/};; esac
for p in "$@"; do
  p=$(command -v "$p") && "$p" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 8))' \
    2>/dev/null && break
  p=
done
[ -n "$p" ] || exit 44
there=no; [ -f "$base/agent-$digest/__main__.py" ] && there=yes
printf '%s\\n%s\\n%s\\n' "$p" "$base" "$there"
"""

# $1 base, $2 digest, $3 python; the zipapp on standard input.
_INSTALL = """
set -e
umask 077; mkdir -p "$1"; new=$1/agent-$2.new-$$; pyz=$1/agent-$2.pyz
cat > "$new"; mv "$new" "$pyz"
exec "$3" -I -S "$pyz" install
"""


class _NoAnswer(AgentError):
    """The agent's command wrote no JSON."""


class HostAgent:
    """The nodes below one base directory of a host.

    Args:
        runner: The way to the host.
        base: Directory there that is ours; may start by ``~``.
        python: The first Python to try.
        socket_dir: Where the nodes' sockets lie, unless a request says otherwise.
    """

    def __init__(
        self,
        runner: Runner,
        base: str,
        *,
        python: str | None = None,
        socket_dir: str | None = None,
    ) -> None:
        self._runner = runner
        self._base = base
        local = sys.executable if isinstance(runner, LocalRunner) else None
        first = [p for p in (python, local) if p]
        self._pythons = [*first, *PYTHONS]
        self._socket_dir = socket_dir
        self._command: Sequence[str] = ()
        self._turn = asyncio.Lock()

    async def ensure(self) -> None:
        """Have the agent on the host; nothing to do when done once.

        Raises:
            AgentError: ``no_python``, or ``failed`` where the base directory cannot be written.
        """
        async with self._turn:
            if self._command:
                return
            python, base, there = await self._find()
            main = f"{base}/agent-{build.digest()}/__main__.py"
            if there != "yes":
                await self._install(python, base)
            self._base = base
            self._command = [python, "-I", "-S", main]

    async def up(self, request: UpRequest) -> NodeRecord:
        """The node of (token, rank), made if there is none.

        Raises:
            AgentError: ``capacity`` where the host has no room.
        """
        wish = request.to_dict()
        wish["socket_dir"] = request.socket_dir or self._socket_dir
        return NodeRecord.from_dict(await self._call("up", wish))

    async def down(self, ids: Sequence[str]) -> None:
        """Kill every process of the nodes, remove their directories; silent on missing ones."""
        await self._call("down", {"ids": [*ids]})

    async def mark(self, node_id: str, state: str) -> None:
        """Make a node ``preempted`` or ``failed``: everything is killed, its directory stays."""
        await self._call("mark", {"id": node_id, "state": state})

    async def info(self) -> dict[str, Any]:
        """cpus, memory_gib, accelerators, python, home, disk_free_gib, system, machine, host."""
        return await self._call("info", {})

    async def snapshot(
        self, source: str, target: str, *, seconds: float, mark: str = ""
    ) -> dict[str, Any]:
        """Copy a directory as it was at one moment; see the agent's ``snapshot``."""
        request = {"source": source, "target": target, "seconds": seconds, "mark": mark}
        return await self._call("snapshot", request, seconds + COPY_SECONDS)

    async def move(self, name: str, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Bring artifacts to the host or from it, as far as ``seconds`` go.

        Args:
            name: ``pull``, ``objects``, ``hashed`` or ``push``; see the agent's ``data``.
        """
        await self.ensure()  # so that a call which is killed there is given once more
        return await self._call(name, {**request, "seconds": seconds}, seconds + COPY_SECONDS)

    async def notice(
        self, directory: str, seconds: float, *, provider: str = "", url: str = ""
    ) -> str:
        """Wait for word that a node is about to go; see the agent's ``notice``."""
        request = {"directory": directory, "seconds": seconds, "provider": provider, "url": url}
        return str((await self._call("notice", request, seconds + COMMAND_SECONDS))["notice"])

    async def notice_heard(self, directory: str) -> None:
        """Nobody listens on a node any more: an agent that was told to end need not wait."""
        await self._call("notice", {"directory": directory, "done": True})

    async def bridge_command(self) -> Sequence[str]:
        """The command that joins its standard streams to a socket given as last argument."""
        await self.ensure()
        return [*self._command, "bridge"]

    async def list(self) -> list[NodeRecord]:
        return [NodeRecord.from_dict(n) for n in (await self._call("list", {}))["nodes"]]

    async def _call(
        self, name: str, request: Mapping[str, Any], seconds: float = COMMAND_SECONDS
    ) -> dict[str, Any]:
        known = bool(self._command)
        try:
            return await self._once(name, request, seconds)
        except _NoAnswer:
            if not known:
                raise
        # What was installed there is gone: a host that was set up anew. Every command may be
        # given twice.
        return await self._once(name, request, seconds)

    async def _once(self, name: str, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        await self.ensure()
        body = json.dumps({"base": self._base, **request}).encode()
        done = await self._run([*self._command, name], body, seconds)
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            self._command = ()  # the next call looks for it again
            raise _NoAnswer("failed", f"the agent's {name} failed: {_words(done)}") from None
        if "error" in answer:
            raise AgentError(answer["error"]["code"], answer["error"]["message"])
        return answer

    async def _find(self) -> Sequence[str]:
        argv = ["sh", "-c", _FIND, "sh", self._base, build.digest(), *self._pythons]
        done = await self._run(argv, b"", COMMAND_SECONDS)
        if done.exit_code == 44:
            raise AgentError(
                "no_python",
                "the host has no Python 3.8 or newer",
                fix="install python3 there, or name one in the pool's entry",
            )
        found = done.stdout.decode().splitlines()
        if done.exit_code or len(found) != 3:
            raise AgentError("failed", f"cannot look at the host: {_words(done)}")
        return found

    async def _install(self, python: str, base: str) -> None:
        argv = ["sh", "-c", _INSTALL, "sh", base, build.digest(), python]
        done = await self._run(argv, build.zipapp_bytes(), INSTALL_SECONDS)
        if done.exit_code:
            raise AgentError("failed", f"cannot install the agent in {base}: {_words(done)}")

    async def _run(self, argv: Sequence[str], body: bytes, seconds: float) -> Completed:
        try:
            return await self._runner.run(argv, input=body, timeout=seconds)
        except TimeoutError as error:
            raise ConnectionLost(f"the host did not answer within {seconds:g} s") from error


def _words(done: Completed) -> str:
    text = (done.stderr or done.stdout).decode(errors="replace").strip()
    return text.splitlines()[-1] if text else f"exit code {done.exit_code}"
