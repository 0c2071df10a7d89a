"""Checks about nodes that exist: listing, running, hurting and ending them."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import cast

from stix.clouds.base import CanChaos, CanPrepare, Cloud, Node, NodeRef, NodeState, Selector
from stix.clouds.config import TOKEN_TAG
from stix.clouds.testing.bench import Broken, Desk, as_json, demand_that, ids, refs
from stix.plan.offers import Offer
from stix.remote.agent import AgentClient, JobStart


async def says_who_we_are(at: Desk) -> None:
    identity = await at.cloud.check()
    demand_that(bool(identity.account), "check names the account", identity)


async def makes_sound_offers(at: Desk) -> None:
    offers = list(await at.cloud.offers())
    demand_that(at.bench.offer in offers, "the offer of the bench is offered", offers)
    # A machine to which accelerators are attached has one type with all of them.
    names = {(o.infra, o.instance_type, *sorted(o.accelerators.items()), o.spot) for o in offers}
    demand_that(len(names) == len(offers), "no two offers have one name", offers)
    for offer in offers:
        demand_that(offer.cloud == at.cloud.name, "an offer names its cloud", offer)
        sound = offer.cpus > 0 and offer.memory_gib > 0 and offer.price >= 0
        demand_that(sound and bool(offer.instance_type), "its numbers make sense", offer)
        demand_that(all(n > 0 for n in offer.accelerators.values()), "accelerators count", offer)
        back = Offer.from_dict(as_json(offer.to_dict()))
        demand_that(back == offer, "an offer survives JSON", back)


async def lists_by_tags(at: Desk) -> None:
    first, second = at.request(), at.request()
    second = replace(second, tags={**second.tags, "stix-stage": "other"})
    one, two = await at.cloud.create(first), await at.cloud.create(second)
    both = ids([*one, *two])
    demand_that(set(both) <= set(ids(await at.cloud.list(Selector()))), "no tag means all")
    demand_that(ids(await at.listed()) == both, "a shared tag finds both")
    demand_that(ids(await at.listed({"stix-stage": "other"})) == ids(two), "a value finds its own")
    demand_that(not await at.listed({"stix-stage": "none"}), "a wrong value finds nothing")
    demand_that(not await at.listed({"stix-stage": "othe"}), "a part of a value finds nothing")
    demand_that(not await at.listed({"stix-nonsense": ""}), "a tag that is not there finds nothing")
    crossed = {TOKEN_TAG: first.token, "stix-stage": "other"}
    demand_that(not await at.listed(crossed), "all tags must agree")


async def shows_the_same_to_every_engine(at: Desk) -> None:
    created = sorted(await at.cloud.create(at.request(2)), key=lambda n: n.ref.id)
    here, there = await at.listed(), await at.listed(by=at.other)
    settled = not isinstance(at.cloud, CanPrepare)  # else time goes on between the two listings
    same = here == there if settled else refs(here) == refs(there)
    demand_that(same, "two engines see the same", (here, there))
    demand_that(refs(here) == refs(created), "what create gave is what is listed", here)
    names = ("rank", "accelerators", *(("address", "directory", "socket") if settled else ()))
    for node, listed in zip(created, here, strict=True):
        for name in names:
            same = getattr(node, name) == getattr(listed, name)
            demand_that(same, f"{name} is listed as create gave it", (node, listed))
        demand_that(Node.from_dict(as_json(node.to_dict())) == node, "a node survives JSON")


async def keeps_nodes_when_an_engine_ends(at: Desk) -> None:
    nodes = await at.cloud.create(at.request())
    await at.cloud.close()
    listed = await at.listed(by=at.other)
    demand_that(ids(listed) == ids(nodes), "nodes outlive the engine", listed)
    demand_that(listed[0].state.alive, "and live on", listed[0].state)


async def terminates_wholly(at: Desk) -> None:
    """No listing, no directory, no process, also none that hid from its parent."""
    nodes = await _ready(at)
    for node in nodes:
        await _busy(at.cloud, node)
    await at.cloud.terminate(refs(nodes))
    left = [n for n in await at.listed(by=at.other) if n.state is not NodeState.TERMINATED]
    demand_that(not left, "terminated nodes are not listed as alive", left)
    demand_that(not await at.bench.remains(), "nothing remains", await at.bench.remains())


async def terminates_silently(at: Desk) -> None:
    """A node that is gone, never was, or stands twice in the call is no error."""
    nodes = await at.some(2)
    never = replace(nodes[0].ref, id="0123456789abcdef")
    await at.cloud.terminate([])
    await at.cloud.terminate([never])
    await at.cloud.terminate([never, nodes[0].ref, nodes[0].ref])
    await at.other.terminate([nodes[0].ref])
    left = [n for n in await at.listed() if n.state.alive]
    demand_that(ids(left) == ids(nodes[1:]), "the others live on", left)
    calls = (cloud.terminate([nodes[1].ref]) for cloud in (at.cloud, at.other))
    await asyncio.gather(*calls)
    demand_that(not [n for n in await at.listed() if n.state.alive], "two may end one node")


async def runs_commands_on_its_nodes(at: Desk) -> None:
    nodes = await _ready(at)
    for node in nodes:
        for cloud in (at.cloud, at.other):
            runner = await cloud.runner(node)
            done = await runner.run(
                ["sh", "-c", 'cat && test -d "$0"', node.directory], input=b"hi"
            )
            demand_that((done.exit_code, done.stdout) == (0, b"hi"), "a command runs", done)


async def closes_twice(at: Desk) -> None:
    await at.cloud.check()
    await at.cloud.close()
    await at.cloud.close()
    demand_that(bool((await at.other.check()).account), "one engine's end hurts no other")


async def shows_a_preempted_node(at: Desk) -> None:
    """A node that was taken away is listed as such. Needs ``CanChaos``."""
    await _hurt(at, cast(CanChaos, at.cloud).preempt, NodeState.PREEMPTED)


async def shows_a_dead_node(at: Desk) -> None:
    """A node that died is listed as failed. Needs ``CanChaos``."""
    await _hurt(at, cast(CanChaos, at.cloud).kill, NodeState.FAILED)


async def _hurt(at: Desk, how: Callable[[NodeRef], Awaitable[None]], state: NodeState) -> None:
    nodes = await _ready(at)
    await _busy(at.cloud, nodes[0])
    await how(nodes[0].ref)
    await _settled(at, nodes[0].ref, state)
    others = {n.ref.id: n.state for n in await at.listed(by=at.other)}
    demand_that(others[nodes[1].ref.id].alive, "its neighbour lives on", others)
    await at.cloud.terminate(refs(nodes))
    left = [n for n in await at.listed() if n.state is not NodeState.TERMINATED]
    demand_that(not left, "a dead node can be terminated", left)
    demand_that(not await at.bench.remains(), "nothing remains", await at.bench.remains())


async def _settled(at: Desk, ref: NodeRef, state: NodeState) -> None:
    seen: object = None
    try:
        async with asyncio.timeout(at.bench.patience):
            while seen is not state:
                await asyncio.sleep(0.05)
                seen = {n.ref.id: n.state for n in await at.listed(by=at.other)}.get(ref.id)
    except TimeoutError:
        raise Broken(f"the node is not listed as {state}; seen: {seen!r}") from None


async def _ready(at: Desk) -> list[Node]:
    """Two nodes on which commands run."""
    nodes = await at.cloud.create(at.request(2))
    if not isinstance(at.cloud, CanPrepare):
        return nodes
    return [*await asyncio.gather(*(at.cloud.prepare(node) for node in nodes))]


async def _busy(cloud: Cloud, node: Node) -> None:
    """Leave something running on the node, in a session of its own, with a file held open."""
    runner = await cloud.runner(node)
    script = f"cd {shlex.quote(node.directory)} && (setsid sleep 1000 >busy 2>&1 </dev/null &)"
    if node.socket:
        client = AgentClient(runner, node.socket)
        await client.start(JobStart("busy/1", script))
        ended = await client.wait("busy/1")
        await client.close()
        demand_that(ended.exit_code == 0, "a job can leave a process on a node", ended)
        return
    done = await runner.run(["sh", "-c", script], env={"STIX_NODE_ID": node.ref.id})
    demand_that(done.exit_code == 0, "a command can leave a process on a node", done)
