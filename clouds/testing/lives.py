"""Checks about what becomes of nodes at the provider: states, stops, preemptions, leftovers."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from stix.clouds.base import (
    CanListResources,
    CanOpenPorts,
    CanSpot,
    CanStop,
    CanTellQuotas,
    HasCredentials,
    Node,
    NodeState,
)
from stix.clouds.config import HOME_TAG
from stix.clouds.errors import CloudError
from stix.clouds.testing.bench import Desk, demand_that, ids, refs


async def says_where_its_credentials_are(at: Desk) -> None:
    """The place, never the value. Needs ``HasCredentials``."""
    where = cast(HasCredentials, at.cloud).credentials()
    demand_that(bool(where), "it says where credentials were found")
    at.holds_secrets(where, await at.cloud.check(), at.cloud, vars(at.cloud))


async def knows_every_state(at: Desk) -> None:
    """Each word of the provider, and whether it costs money in that state."""
    for word, state in at.faults.states().items():
        node = (await at.cloud.create(at.request()))[0]
        at.faults.put(node.ref.id, word)
        seen = {n.ref.id: n for n in await at.listed(by=at.other)}.get(node.ref.id)
        if state is NodeState.TERMINATED:
            over = seen is None or seen.state is NodeState.TERMINATED
            demand_that(over, f"{word} is terminated", seen)
        else:
            demand_that(seen is not None and seen.state is state, f"{word} is {state}", seen)
        if seen is not None:
            billed = at.faults.billed(word)
            demand_that(seen.billed == billed, f"{word}: costs money is {billed}", seen)
        await at.cloud.terminate([node.ref])


async def boots_before_it_runs(at: Desk) -> None:
    """A new machine is STARTING until the provider says otherwise, and then RUNNING."""
    node = (await at.cloud.create(at.request()))[0]
    for _ in range(20):
        seen = {n.ref.id: n.state for n in await at.listed()}
        if seen[node.ref.id] is NodeState.RUNNING:
            return
        demand_that(seen[node.ref.id] is NodeState.STARTING, "it boots", seen)
    demand_that(False, "it runs in the end", seen)


async def has_a_way_in(at: Desk) -> None:
    """Where a running node is: its address for others, and for SSH from outside."""
    node = (await at.cloud.create(at.request()))[0]
    seen = await _running(at, node)
    demand_that(bool(seen.address), "a running node has an address", seen)
    user, at_sign, place = seen.login.rpartition("@")
    good = bool(user and at_sign) and place.rpartition(":")[2].isdigit()
    demand_that(good, "and a login", seen.login)


async def stops_and_starts(at: Desk) -> None:
    """Needs ``CanStop``."""
    cloud = cast(CanStop, at.cloud)
    nodes = await at.some(2)
    for node in nodes:
        await _running(at, node)
    for _ in range(2):
        await cloud.stop([nodes[0].ref])
    seen = await _state(at, nodes[0], NodeState.STOPPED)
    alive = nodes[0].ref.id in at.faults.alive()
    demand_that(seen.billed == alive, "a stopped node says whether it costs money", seen)
    others = {n.ref.id: n.state for n in await at.listed()}
    demand_that(others[nodes[1].ref.id].alive, "its neighbour runs on", others)
    for _ in range(2):
        await cloud.start([nodes[0].ref])
    await _state(at, nodes[0], NodeState.RUNNING)
    await cloud.stop([nodes[0].ref])
    await at.cloud.terminate(refs(nodes))
    left = set(ids(nodes)) & set(at.faults.alive())
    demand_that(not left, "a stopped node can be terminated", left)


async def rents_spot(at: Desk) -> None:
    """Needs ``CanSpot``."""
    request = at.request(offer=at.bench.spot_offer)
    node = (await at.cloud.create(request))[0]
    seen = {n.ref.id: n for n in await at.listed(by=at.other)}[node.ref.id]
    demand_that(node.spot and seen.spot, "a spot node says so", seen)
    plain = (await at.cloud.create(at.request()))[0]
    seen = {n.ref.id: n for n in await at.listed(by=at.other)}[plain.ref.id]
    demand_that(not seen.spot, "and another does not", seen)


async def tells_a_preemption(at: Desk) -> None:
    """A spot node that was taken away: no failure of the user's. Needs ``CanSpot``."""
    cloud = cast(CanSpot, at.other)
    nodes = await at.some(2, offer=at.bench.spot_offer)
    for node in nodes:
        await _running(at, node)
    demand_that(await cloud.preemption(nodes[0].ref) is None, "it runs, and is not preempted")
    at.faults.take_away(nodes[0].ref.id)
    seen = {n.ref.id: n.state for n in await at.listed(by=at.other)}
    state = seen.get(nodes[0].ref.id, NodeState.PREEMPTED)
    demand_that(state is NodeState.PREEMPTED, "a node that was taken is PREEMPTED", state)
    demand_that(seen[nodes[1].ref.id] is NodeState.RUNNING, "its neighbour runs", seen)
    demand_that(bool(await cloud.preemption(nodes[0].ref)), "the provider's words are told")
    demand_that(await cloud.preemption(nodes[1].ref) is None, "not of the neighbour")
    await at.cloud.terminate(refs(nodes))
    left = set(ids(nodes)) & set(at.faults.alive())
    demand_that(not left, "what is left of it can be removed", left)


async def makes_a_new_one_of_a_preempted_wish(at: Desk) -> None:
    """The token of a node that was taken away serves again. Needs ``CanSpot``."""
    request = at.request(offer=at.bench.spot_offer)
    first = (await at.cloud.create(request))[0]
    await _running(at, first)
    at.faults.take_away(first.ref.id)
    again = (await at.cloud.create(request))[0]
    demand_that(again.state.alive, "there is a node again", again)
    made = [i for i in at.faults.alive() if i in {first.ref.id, again.ref.id}]
    demand_that(made == [again.ref.id], "and one only", made)


async def opens_ports(at: Desk) -> None:
    """Twice is once; a single port and a range. Needs ``CanOpenPorts``."""
    cloud = cast(CanOpenPorts, at.cloud)
    node = (await at.cloud.create(at.request(ports=("8080",))))[0]
    await _running(at, node)
    for _ in range(2):
        await cloud.open_ports([node.ref], ["8080", "10000-10010"])
    await at.cloud.terminate([node.ref])
    left = [t for t in at.faults.leftovers() if node.ref.id in t]
    demand_that(not left, "what opened them goes with the node", left)


async def takes_everything_with_it(at: Desk) -> None:
    """Disks, addresses and rules of a node end with it."""
    before = sorted(at.faults.leftovers())
    nodes = await at.cloud.create(at.request(2))
    for node in nodes:
        await _running(at, node)
    await at.cloud.terminate(refs(nodes))
    left = sorted(set(at.faults.leftovers()) - set(before))
    demand_that(not left, "nothing stays that costs money", left)


async def lists_its_other_resources(at: Desk) -> None:
    """What is no node is listed and can be removed. Needs ``CanListResources``."""
    cloud = cast(CanListResources, at.other)
    nodes = await at.cloud.create(at.request(2))
    found = await cloud.resources()
    for resource in found:
        demand_that(resource.cloud == at.cloud.name, "a resource names its cloud", resource)
        demand_that(bool(resource.tags.get(HOME_TAG)), "and its home", resource)
    names = [(r.kind, r.region, r.id) for r in found]
    demand_that(len(names) == len(set(names)), "each is listed once", names)
    await at.cloud.terminate(refs(nodes))
    for _ in range(2):
        await cloud.remove(found)
    left = [r for r in await cloud.resources() if (r.kind, r.region, r.id) in names]
    demand_that(not left, "removed resources are gone", left)
    again = await at.cloud.create(at.request())
    demand_that(len(again) == 1, "and what is needed is made again", again)


async def tells_quotas(at: Desk) -> None:
    """Needs ``CanTellQuotas``."""
    quotas = await cast(CanTellQuotas, at.cloud).quotas(at.bench.offer.region)
    demand_that(bool(quotas), "there are quotas")
    for quota in quotas:
        demand_that(bool(quota.name) and quota.limit >= 0, "a quota has a name and a limit", quota)


async def takes_many_labels(at: Desk) -> None:
    """As many and as long as people have: they come back, or are refused with a fix."""
    labels = {f"label-{i}": f"Wert {i} " + "abcdefgh"[i % 8] * 60 for i in range(40)}
    request = at.request()
    request = replace(request, tags={**request.tags, **labels})
    try:
        await at.cloud.create(request)
    except CloudError as error:
        demand_that(bool(error.fix), "too many labels are refused with a fix", error)
        demand_that(not await at.of(request), "and leave nothing")
        return
    node = (await at.of(request))[0]
    missing = {k: v for k, v in request.tags.items() if node.tags.get(k) != v}
    demand_that(not missing, "all labels come back", missing)


async def _running(at: Desk, node: Node) -> Node:
    return await _state(at, node, NodeState.RUNNING)


async def _state(at: Desk, node: Node, state: NodeState) -> Node:
    seen: Node | None = None
    for _ in range(20):
        seen = {n.ref.id: n for n in await at.listed()}.get(node.ref.id)
        if seen is not None and seen.state is state:
            return seen
    demand_that(False, f"the node becomes {state}", seen)
    raise AssertionError
