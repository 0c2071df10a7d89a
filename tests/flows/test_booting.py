"""Nodes that boot: waited for, given back where they never come up, and found again."""

from __future__ import annotations

from dataclasses import replace

from stix.clouds.base import Cloud, CreateRequest, Node, NodeState
from stix.clouds.errors import CapacityError, CloudError, NodeGone, TransientError
from stix.engine.runtime import ATTEMPT, Attempt
from stix.flows.attempt import AttemptRun
from stix.tasks.provision import request_for
from tests.support.regions import Only, Regions
from tests.support.workshop import Workshop
from tests.support.yard import Yard

TEXT = """
name: booting
stages:
  a: {run: 'echo ran', estimate: {time: 1m}}
"""


class Booting(Regions):
    """Machines of regions that are ordered first, and ready later, if ever.

    Attributes:
        outcomes: What the next waits end in; nothing for a node that is ready.
        waits: Ids that were waited for.
    """

    def __init__(self, inside: Cloud, **prices: float) -> None:
        super().__init__(inside, prices)
        self.outcomes: list[CloudError | None] = []
        self.waits: list[str] = []
        self._ready: dict[str, Node] = {}

    async def create(self, request: CreateRequest) -> list[Node]:
        made = await super().create(request)
        self._ready |= {node.ref.id: node for node in made}
        return [replace(node, socket="", state=NodeState.STARTING) for node in made]

    async def prepare(self, node: Node) -> Node:
        self.waits.append(node.ref.id)
        error = self.outcomes.pop(0) if self.outcomes else None
        if error is not None:
            raise error
        return self._ready[node.ref.id]


def booting(workshop: Workshop, *outcomes: CloudError | None) -> Booting:
    made = Booting(workshop.runtime.clouds.get("local"), east=0.1, west=0.2)
    made.outcomes = list(outcomes)
    workshop.runtime = replace(workshop.runtime, clouds=Only(made))
    return made


async def test_a_stage_waits_for_its_node(yard: Yard) -> None:
    cloud = booting(yard.workshop)
    ended = await yard.run(TEXT)
    assert ended.state == "succeeded" and len(cloud.waits) == 1
    [node] = await yard.workshop.ledger.nodes(ended.run.id)
    assert node.data["socket"], "the ledger knows the agent"
    assert not await yard.workshop.nodes()


async def test_a_machine_that_cannot_be_made_is_a_lack_of_room(yard: Yard) -> None:
    """It is given back before another region is asked."""
    cloud = booting(yard.workshop, CapacityError("no hosts are left", scope="region"))
    ended = await yard.run(TEXT)
    assert ended.state == "succeeded" and len(cloud.waits) == 2
    assert [row.offer["offer"]["region"] for row in ended.attempts] == ["west"]
    reasons = [c.reason for c in await yard.workshop.ledger.clusters(ended.run.id)]
    assert reasons == ["never ready", "released"]
    assert not await yard.workshop.nodes()


async def test_a_node_taken_while_it_boots_was_preempted(yard: Yard) -> None:
    booting(yard.workshop, NodeGone("taken away", preempted=True))
    ended = await yard.run(TEXT)
    events = [row.event["kind"] for row in ended.attempts if row.event]
    assert (ended.state, events) == ("succeeded", ["preempted"])
    assert not await yard.workshop.nodes()


async def test_a_node_that_never_answers_is_lost(yard: Yard) -> None:
    booting(yard.workshop, TransientError("did not answer within 900 s"))
    ended = await yard.run(TEXT)
    events = [row.event["kind"] for row in ended.attempts if row.event]
    assert (ended.state, events) == ("succeeded", ["node_lost"])
    assert not await yard.workshop.nodes()


async def test_who_takes_over_waits_for_what_was_ordered(workshop: Workshop) -> None:
    """The engine before died between the order and the agent: nothing is ordered again."""
    text = TEXT.replace("  a:", "  main:")
    attempt = await workshop.attempt(await workshop.context(text))
    cloud = booting(workshop)
    attempt.run.runtime = workshop.runtime
    ATTEMPT.set(attempt)
    assert AttemptRun(attempt).steps()[:2] == ["place", "provision"]
    attempt.nodes = [replace(node, socket="") for node in await _made(attempt, cloud)]
    assert AttemptRun(attempt).steps()[0] == "provision"


async def _made(attempt: Attempt, cloud: Booting) -> list[Node]:
    request = request_for(attempt)
    return await cloud.create(replace(request, offer=replace(request.offer, region="east")))
