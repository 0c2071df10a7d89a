"""The fault matrix: whoever makes nodes is killed at each request, before and after it is done."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stix.clouds.base import Cloud, CreateRequest, Node
from stix.clouds.config import HOME_TAG, TOKEN_TAG
from stix.clouds.testing.faults import Faults
from stix.plan.offers import Demand, Offer
from stix.server.estate import Books, judge
from stix.server.inventory import Inventory
from stix.server.seen import Seen
from tests.support.clouds.zygote import Zygote, zygote

HOME_ID = "0a1b2c3d4e5f"
MOST = 60
"""Requests of one creation; more are a fault of the test."""


@dataclass(frozen=True)
class Matrix:
    """A cloud to be killed at.

    Attributes:
        adapter: ``module:Class``.
        open: The same in this process.
        env: Credentials for the process that is killed.
    """

    adapter: str
    open: Callable[[], Cloud]
    faults: Faults
    offer: Offer
    home: Path
    settings: Mapping[str, Any]
    env: Mapping[str, str]
    count: int = 2
    home_id: str = HOME_ID


@dataclass
class Outcome:
    """What was seen: kills by request, and what was found left over after each sweep."""

    kills: int = 0
    steps: int = 0
    leaks: list[str] = field(default_factory=list)


def killed_at_every_step(matrix: Matrix) -> Outcome:
    """Kill, sweep once, look; for every request, before it is done and after."""
    live = asyncio.run(_living(matrix))
    outcome = Outcome()
    job = {
        "adapter": matrix.adapter,
        "home": str(matrix.home),
        "settings": dict(matrix.settings),
        "home_id": matrix.home_id,
        "offer": matrix.offer.to_dict(),
        "count": matrix.count,
    }
    with zygote(job, matrix.env) as maker:
        for number in range(MOST):
            ended = [_one(matrix, maker, live, number, after, outcome) for after in (False, True)]
            if all(status == 0 for status in ended):
                outcome.steps = number
                return outcome
    raise AssertionError(f"a creation took more than {MOST} requests")


def _one(
    matrix: Matrix,
    maker: Zygote,
    live: Sequence[Node],
    number: int,
    after: bool,
    outcome: Outcome,
) -> int:
    token = f"lost-{number}-{'after' if after else 'before'}"
    pid = maker.begin(token=token, tags=_tags(token, "lost", matrix.home_id))
    matrix.faults.watch()
    before = set(matrix.faults.leftovers())
    matrix.faults.kill(pid, number, after=after)
    status = maker.go()
    assert status in (0, -signal.SIGKILL), f"the maker ended with {status}"
    matrix.faults.watch()
    asyncio.run(_swept(matrix, token, live))
    alive, mine = set(matrix.faults.alive()), {node.ref.id for node in live}
    where = f"request {number}, {'after' if after else 'before'} it was done"
    outcome.leaks += [f"{where}: machine {extra}" for extra in sorted(alive - mine)]
    outcome.leaks += [f"{where}: {node} of a living run was removed" for node in mine - alive]
    left = set(matrix.faults.leftovers()) - before
    outcome.leaks += [f"{where}: {thing}" for thing in sorted(left)]
    outcome.kills += status != 0
    return status


async def _living(matrix: Matrix) -> Sequence[Node]:
    cloud = matrix.open()
    tags = _tags("live", "living", matrix.home_id)
    request = CreateRequest("live", matrix.offer, Demand(), 1, "live", tags)
    nodes = await cloud.create(request)
    await cloud.close()
    return nodes


async def _swept(matrix: Matrix, token: str, live: Sequence[Node]) -> None:
    """One sweep, an hour later: the run of ``token`` is over, the living one goes on."""
    cloud = matrix.open()
    books = Books(
        home=matrix.home_id,
        over={"living": False, "lost": True},
        given_up=frozenset({token}),
        members={"live": frozenset(node.ref.id for node in live)},
    )
    inventory = Inventory(lambda _: cloud, Seen(matrix.home / "seen.json"))
    [listed] = await inventory.take([cloud.name])
    assert not listed.error, listed.error
    judged = judge(listed.things, books, time.time() + 3600)
    _, errors = await inventory.remove([each for each in judged if each.orphan])
    assert not errors, errors
    await cloud.close()


def _tags(token: str, run: str, home_id: str) -> dict[str, str]:
    return {"stix-run": run, "stix-stage": "a", TOKEN_TAG: token, HOME_TAG: home_id}
