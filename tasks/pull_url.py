"""What a URL names, onto a node: listed by the engine, fetched by the node."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from stix.clouds.base import Node
from stix.engine.runtime import Attempt
from stix.remote.agent import AgentError
from stix.storage.base import CanSign, Signed, StorageError, Store
from stix.storage.registry import open_store
from stix.storage.transfer import listing
from stix.storage.transfer.entries import Entry
from stix.tasks.hosts import agent_of, host_of
from stix.tasks.jobs import runner_of
from stix.tasks.pull import ROUND_S, SIGNED_S, Moved

AT_ONCE = 1024
STALLS = 3


async def pull_url(attempt: Attempt, node: Node, url: str, target: str) -> Moved | None:
    """Copy what lies at ``url`` to ``target``; None where the node cannot fetch it itself.

    Files that are there with the source's size and time are kept; others at ``target`` stay.

    Raises:
        StorageError: Nothing is there, or it cannot be written on the node.
        ConnectionLost: The node does not answer; a next try goes on.
    """
    if not isinstance(open_store(url), CanSign):
        return None
    store, entries = await asyncio.to_thread(listing, url)
    host, runner = host_of(node), await runner_of(attempt, node)
    if not entries:
        return None
    if store.scheme == "https" and not entries[0].size:
        return None  # the server does not tell the size beforehand
    first = await asyncio.to_thread(_sign, store, url, entries[:1])
    if not first or not host.may_reach(runner, next(iter(first.values()))):
        return None
    agent = agent_of(runner, node)
    left, moved, stalls = list(entries), Moved(bytes=sum(one.size for one in entries)), 0
    while left:
        batch = left[:AT_ONCE]
        signed = await asyncio.to_thread(_sign, store, url, batch)
        if len(signed) < len(batch):
            return None
        order = {"target": target, "files": [_file(one, signed[one.name]) for one in batch]}
        async with host.calls:
            answer = await _asked(agent.move("objects", order, ROUND_S), target)
        further = moved.add(answer)
        if answer.get("trouble", {}).get("kind") == "unreachable":
            host.failed(next(iter(signed.values())))
            return None
        undone = set(answer["left"])
        left = [one for one in batch if one.name in undone] + left[AT_ONCE:]
        stalls = 0 if further or len(undone) < len(batch) else stalls + 1
        if stalls >= STALLS:
            return None  # the engine tries it itself, and says what is wrong
    return moved


async def _asked(call: Any, target: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = await call
        return answer
    except AgentError as error:
        raise StorageError(f"{target} cannot be written: {error.message}") from error


def _sign(store: Store, url: str, entries: Sequence[Entry]) -> Mapping[str, Signed]:
    """By the names of the entries; those that cannot be signed are left out."""
    assert isinstance(store, CanSign)
    found: dict[str, Signed] = {}
    for one in entries:
        place = f"{url.rstrip('/')}/{one.name}" if one.name else url
        signed = store.sign(place, seconds=SIGNED_S)
        if signed is not None:
            found[one.name] = signed
    return found


def _file(entry: Entry, signed: Signed) -> dict[str, Any]:
    return {
        "path": entry.name,
        "url": signed.url,
        "headers": dict(signed.headers),
        "size": entry.size,
        "mtime": int(entry.modified),
    }
