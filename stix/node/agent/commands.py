"""The command line: JSON on standard input, JSON on standard output."""

from __future__ import annotations

import json
import os
import sys

from .errors import AgentError

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable

FAILED = 3
USAGE = 2


def _up(request: dict[str, Any]) -> dict[str, Any]:
    from .up import up

    return up(request)


def _down(request: dict[str, Any]) -> dict[str, Any]:
    from .down import down

    return down(request)


def _mark(request: dict[str, Any]) -> dict[str, Any]:
    from .down import mark

    return mark(request)


def _list(request: dict[str, Any]) -> dict[str, Any]:
    from .host import Host

    return {"nodes": Host(request.get("base", "")).records()}


def _info(_: dict[str, Any]) -> dict[str, Any]:
    from .facts import facts

    return facts()


def _snapshot(request: dict[str, Any]) -> dict[str, Any]:
    from .snapshot import snapshot

    return snapshot(request)


def _notice(request: dict[str, Any]) -> dict[str, Any]:
    from .notice import notice

    return notice(request)


def _pull(request: dict[str, Any]) -> dict[str, Any]:
    from .data.pull import pull

    return pull(request)


def _objects(request: dict[str, Any]) -> dict[str, Any]:
    from .data.objects import objects

    return objects(request)


def _hashed(request: dict[str, Any]) -> dict[str, Any]:
    from .data.push import hashed

    return hashed(request)


def _push(request: dict[str, Any]) -> dict[str, Any]:
    from .data.push import push

    return push(request)


COMMANDS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]]
COMMANDS = {"up": _up, "down": _down, "mark": _mark, "list": _list, "info": _info}
COMMANDS.update(snapshot=_snapshot, notice=_notice)
COMMANDS.update(pull=_pull, objects=_objects, hashed=_hashed, push=_push)


def _read_input() -> bytes:
    parts: list[bytes] = []
    while True:
        part = os.read(0, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _answer(name: str) -> dict[str, Any]:
    try:
        request = json.loads(_read_input() or b"{}")
        if not isinstance(request, dict):
            raise AgentError("invalid", "the input must be a JSON object")
        return COMMANDS[name](request)
    except AgentError as error:
        return error.to_dict()
    except (ValueError, TypeError, KeyError) as error:
        return AgentError("invalid", "{}: {}".format(type(error).__name__, error)).to_dict()
    except OSError as error:
        return AgentError("failed", str(error)).to_dict()


def main(argv: list[str]) -> None:
    """Run one command.  Ends the process without the interpreter's teardown, which costs 2 ms."""
    name = argv[1] if len(argv) > 1 else ""
    if name == "bridge" and len(argv) == 3:
        from .bridge import bridge

        os._exit(bridge(argv[2]))
    if name == "install" and len(argv) == 2:
        from .install import install

        os.write(1, install(sys.path[0]).encode() + b"\n")
        os._exit(0)
    if name not in COMMANDS or len(argv) != 2:
        os.write(2, ("usage: agent {}|install|bridge SOCKET\n".format("|".join(COMMANDS))).encode())
        os._exit(USAGE)
    answer = _answer(name)
    from .files import write_all

    write_all(1, json.dumps(answer).encode() + b"\n")
    os._exit(FAILED if "error" in answer else 0)
