"""Checks about making nodes: idempotent, all or nothing, never unlisted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import get_args

from stix.clouds.base import CanPrepare, CreateRequest, Node
from stix.clouds.config import TOKEN_TAG
from stix.clouds.errors import CapacityError, CloudError, Scope, UnsupportedFeature
from stix.clouds.testing.bench import Desk, demand_that, ids, refs
from stix.plan.offers import Demand


async def gives_what_was_asked(at: Desk) -> None:
    """As many nodes, ranked from 0, alive, each with all that the engine needs of it."""
    request = at.request(2)
    nodes = await at.cloud.create(request)
    ranks = [*range(request.count)]
    demand_that([n.rank for n in nodes] == ranks, "nodes come ranked from 0", nodes)
    demand_that(len(set(ids(nodes))) == request.count, "each node has an id of its own", ids(nodes))
    for node in nodes:
        demand_that(node.state.alive, "a new node is alive", node.state)
        demand_that(node.ref.cloud == at.cloud.name, "a node names its cloud", node.ref)
        if not isinstance(at.cloud, CanPrepare):
            demand_that(bool(node.address), "a node has an address", node)
            absolute = node.directory.startswith("/")
            demand_that(absolute, "its directory is absolute", node.directory)
        missing = {k: v for k, v in request.tags.items() if node.tags.get(k) != v}
        demand_that(not missing, "a node carries its tags", missing)


async def gives_the_same_for_the_same_token(at: Desk) -> None:
    request = at.request(2)
    first, again = await at.cloud.create(request), await at.cloud.create(request)
    demand_that(ids(first) == ids(again), "a second call gives the nodes of the first", ids(again))
    demand_that(len(await at.of(request)) == request.count, "a second call makes nothing")


async def gives_the_same_after_a_lost_answer(at: Desk) -> None:
    """The engine died after the call; its successor asks again."""
    request = at.request(2)
    lost = ids(await at.cloud.create(request))
    await at.cloud.close()
    again = await at.other.create(request)
    demand_that(ids(again) == lost, "another engine gets the nodes of the lost answer", ids(again))
    ranks = [*range(request.count)]
    demand_that([n.rank for n in again] == ranks, "they keep their ranks", again)


async def gives_the_same_to_calls_at_one_time(at: Desk) -> None:
    request = at.request(2)
    clouds = (at.cloud, at.other, at.cloud, at.other)
    answers = await asyncio.gather(*(cloud.create(request) for cloud in clouds))
    demand_that(len({tuple(ids(a)) for a in answers}) == 1, "all callers get the same", answers)
    made = len(await at.of(request))
    demand_that(made == request.count, "calls at one time make one set of nodes", made)


async def keeps_tokens_apart(at: Desk) -> None:
    requests = [at.request() for _ in range(3)]
    answers = await asyncio.gather(*(at.cloud.create(request) for request in requests))
    demand_that(len({ids(a)[0] for a in answers}) == 3, "tokens have nodes of their own", answers)


async def makes_all_or_nothing(at: Desk) -> None:
    """One node too many: the error is typed, nothing stays, and all the room is free again."""
    request = at.request(at.bench.room + 1)
    await _refused(at, request)
    demand_that(not await at.of(request), "a gang that does not fit leaves no node")
    demand_that(not await at.bench.remains(), "and nothing else", await at.bench.remains())
    full = await at.cloud.create(at.request(at.bench.room))
    demand_that(len(full) == at.bench.room, "the room is free after a refusal", len(full))


async def refuses_a_gang_that_cannot_meet(at: Desk) -> None:
    """Nodes that do not reach each other are no gang; a single one is made as ever."""
    request = at.request()
    try:
        await at.cloud.create(replace(request, count=2))
    except UnsupportedFeature as error:
        demand_that(bool(error.fix), "the refusal says what to do", error)
    else:
        demand_that(False, "a gang is an UnsupportedFeature")
    demand_that(not await at.of(request), "a refusal leaves no node")
    demand_that(len(await at.cloud.create(request)) == 1, "one node is made")


async def says_when_there_is_no_room(at: Desk) -> None:
    """With everything taken, one more is refused, and taken again once something is free."""
    nodes = await at.some(at.bench.room)
    request = at.request()
    await _refused(at, request)
    demand_that(not await at.of(request), "a refusal leaves no node")
    demand_that(ids(await at.listed(by=at.other)) == ids(nodes), "a refusal hurts no other node")
    await at.cloud.terminate(refs(nodes[:1]))
    demand_that(len(await at.cloud.create(request)) == 1, "a terminated node frees its room")


async def never_gives_two_what_only_one_can_have(at: Desk) -> None:
    """Two gangs, or two nodes, race for room that only one of them fits in."""
    if not at.bench.gangs:
        await at.some(at.bench.room - 1)
    requests = [at.request(at.bench.room) for _ in range(2)]
    answers = await asyncio.gather(
        *(cloud.create(r) for cloud, r in zip((at.cloud, at.other), requests, strict=True)),
        return_exceptions=True,
    )
    for request, answer in zip(requests, answers, strict=True):
        won = not isinstance(answer, BaseException)
        if isinstance(answer, BaseException) and not isinstance(answer, CapacityError):
            raise answer
        expected = request.count if won else 0
        seen = len(await at.of(request))
        demand_that(seen == expected, "a racing gang has all its nodes or none", seen)
    winners = sum(isinstance(answer, list) for answer in answers)
    demand_that(winners < 2, "room is not given twice", winners)


async def refuses_what_never_fits(at: Desk) -> None:
    request = at.request(demand=Demand(cpus=1e6, memory_gib=1e6))
    try:
        await at.cloud.create(request)
    except CloudError as error:
        demand_that(not error.retryable, "what never fits is not worth another try", error)
        demand_that(not error.created, "and leaves nothing", error.created)
    else:
        demand_that(False, "a million CPUs are refused")
    demand_that(not await at.of(request), "a refusal leaves no node")


async def refuses_an_offer_it_never_made(at: Desk) -> None:
    offer = replace(at.bench.offer, region="no-such-region", zone="no-such-zone")
    request = at.request(offer=replace(offer, instance_type="no-such-type"))
    try:
        await at.cloud.create(request)
    except CloudError as error:
        demand_that(bool(error.message), "the refusal says something")
    else:
        demand_that(False, "an unknown offer is refused")
    demand_that(not await at.of(request), "a refusal leaves no node")


async def lists_what_a_cancelled_call_made(at: Desk) -> None:
    """However early or late a call is cancelled: what it made is listed, nothing comes later."""
    for pause in (0.0, 0.001, 0.005, 0.02, 0.05, 0.1, 0.2):
        request = at.request(3)
        call = asyncio.create_task(at.cloud.create(request))
        await asyncio.sleep(pause)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        at_once = await at.of(request)
        await asyncio.sleep(0.1)
        later = await at.of(request)
        demand_that(ids(at_once) == ids(later), "nothing is made after the call ended", later)
        whole = await _complete(at, request, later)
        same = len(whole) == request.count
        demand_that(same, "the token serves again after a cancelled call", whole)
        await at.cloud.terminate(refs(whole))
        demand_that(not await at.of(request), "its nodes can be terminated")
    demand_that(not await at.bench.remains(), "nothing remains", await at.bench.remains())


async def _complete(at: Desk, request: CreateRequest, left: list[Node]) -> list[Node]:
    nodes = await at.other.create(request)
    demand_that(set(ids(left)) <= set(ids(nodes)), "what was there is used", (left, nodes))
    return nodes


async def keeps_odd_tags(at: Desk) -> None:
    """Tags are for people's own words too: any text, up to 256 characters."""
    odd = {
        "stix-stage": "train[model=svm,seed=1]",
        "stix-word": "größe ∑ 試験 🙂",
        "stix-quote": 'it\'s "$HOME" `id` \\ ; # {x}',
        "stix-long": "x" * 256,
        "stix-empty": "",
    }
    request = at.request()
    request = replace(request, tags={**request.tags, **odd})
    await at.cloud.create(request)
    for name, value in odd.items():
        nodes = await at.listed({TOKEN_TAG: request.token, name: value}, by=at.other)
        demand_that(len(nodes) == 1, f"the tag {name} finds its node", value)
        demand_that(nodes[0].tags[name] == value, "a tag comes back as it was", nodes[0].tags)


async def takes_any_name(at: Desk) -> None:
    """Providers limit names; adapters make them fit and keep nodes apart by id."""
    for name in ("", "a" * 300, "Größe/試験 [x=1] 🙂", "-lead.and.trail-", "../../etc"):
        nodes = await at.cloud.create(at.request(name=name))
        demand_that(len(nodes) == 1, "any name will do", name)
        await at.cloud.terminate(refs(nodes))


async def _refused(at: Desk, request: CreateRequest) -> None:
    try:
        await at.cloud.create(request)
    except CapacityError as error:
        demand_that(error.scope in get_args(Scope), "the scope is a known one", error.scope)
        demand_that(not error.created, "nothing is left behind", error.created)
        return
    demand_that(False, "no room is a CapacityError")
