"""Everything of ours at the clouds: nodes and other resources, listed side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from stix.clouds.base import CanListResources, Cloud, Node, NodeRef, Resource, Selector
from stix.errors import StixError
from stix.server.estate import Judged, Thing, thing_of
from stix.server.seen import Seen

LIST_S = 60.0
REMOVE_S = 120.0


@dataclass(frozen=True)
class Listed:
    """What one cloud has of ours; ``error`` where it could not say all of it."""

    cloud: str
    things: Sequence[Thing] = ()
    error: str = ""


class Inventory:
    """Lists and removes, whoever judges.

    Args:
        open_cloud: From a name to the adapter.
        seen: When things were first seen.
    """

    def __init__(self, open_cloud: Callable[[str], Cloud], seen: Seen) -> None:
        self._open = open_cloud
        self._seen = seen

    async def take(self, names: Collection[str]) -> Sequence[Listed]:
        """Clouds that fail are told, and hide no other."""
        found = await asyncio.gather(*(self._listed(name) for name in sorted(names)))
        if not any(each.error for each in found):
            self._seen.keep(thing.key for each in found for thing in each.things)
        return found

    async def remove(
        self, doomed: Sequence[Judged]
    ) -> tuple[Sequence[Thing], Sequence[tuple[str, str]]]:
        """Remove nodes, then the rest of each cloud: what is gone, and (cloud, error)."""
        by_cloud: dict[str, list[Thing]] = {}
        for judged in doomed:
            by_cloud.setdefault(judged.thing.cloud, []).append(judged.thing)
        gone: list[Thing] = []
        errors: list[tuple[str, str]] = []
        for name, things in by_cloud.items():
            for removal in self._removals(name, things):
                error = await _within(removal.act, REMOVE_S)
                if error:
                    errors.append((name, error))
                    break  # what holds a resource may be there still
                gone += removal.things
        return gone, errors

    def _removals(self, name: str, things: Sequence[Thing]) -> Sequence[_Removal]:
        cloud = self._open(name)
        refs = [t.item.ref for t in things if isinstance(t.item, Node)]
        items = [t.item for t in things if isinstance(t.item, Resource)]
        found = []
        if refs:
            nodes = [t for t in things if t.is_node]
            found.append(_Removal(nodes, _terminating(cloud, refs)))
        if items and isinstance(cloud, CanListResources):
            others = [t for t in things if not t.is_node]
            found.append(_Removal(others, _removing(cloud, items)))
        return found

    async def _listed(self, name: str) -> Listed:
        items: list[Node | Resource] = []

        async def ask() -> None:
            cloud = self._open(name)
            items.extend(await cloud.list(Selector()))
            if isinstance(cloud, CanListResources):
                items.extend(await cloud.resources())

        error = await _within(ask, LIST_S)
        things = [thing_of(item, 0.0) for item in items]
        things = [
            thing_of(item, self._seen.first(t.key)) for item, t in zip(items, things, strict=True)
        ]
        return Listed(name, things, error)


@dataclass(frozen=True)
class _Removal:
    things: Sequence[Thing]
    act: Callable[[], Awaitable[None]]


def _terminating(cloud: Cloud, refs: Sequence[NodeRef]) -> Callable[[], Awaitable[None]]:
    return lambda: cloud.terminate(refs)


def _removing(cloud: CanListResources, items: Sequence[Resource]) -> Callable[[], Awaitable[None]]:
    return lambda: cloud.remove(items)


async def _within(act: Callable[[], Awaitable[None]], seconds: float) -> str:
    """Why it failed; empty where it did not."""
    try:
        async with asyncio.timeout(seconds):
            await act()
    except StixError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    return ""
