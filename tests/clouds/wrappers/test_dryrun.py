"""A dry run tells, invents and changes nothing."""

from __future__ import annotations

from stix.clouds.base import (
    CanListResources,
    CanOpenPorts,
    CanPrepare,
    CanStop,
    NodeRef,
    Resource,
    Selector,
)
from stix.clouds.wrappers import Call, DryRun, wrap
from tests.clouds.wrappers.flaky import Able, request


async def test_changes_are_told_and_reads_go_through() -> None:
    inner, told = Able(), list[Call]()
    cloud, ref = wrap(inner, [DryRun(told.append)]), NodeRef("flaky", "1")
    assert isinstance(cloud, CanStop) and isinstance(cloud, CanPrepare)
    assert isinstance(cloud, CanOpenPorts) and isinstance(cloud, CanListResources)
    nodes = await cloud.create(request())
    assert [node.rank for node in nodes] == [0, 1]
    assert len({node.ref.id for node in nodes}) == 2
    assert (nodes[0].ref.region, nodes[0].ref.zone, nodes[0].billed) == ("r", "z", False)
    assert nodes[0].tags == {"stix-run": "r1"}
    assert await cloud.prepare(nodes[0]) == nodes[0]
    await cloud.terminate([ref])
    await cloud.stop([ref])
    await cloud.start([ref])
    await cloud.open_ports([ref], ["80"])
    await cloud.remove([Resource("flaky", "disk", "d1")])
    await cloud.list(Selector())
    assert len(await cloud.resources()) == 1
    assert inner.calls == ["list", "resources"]
    names = ["create", "prepare", "terminate", "stop", "start", "open_ports", "remove"]
    assert [call.name for call in told] == names
    assert told[0].details["nodes"] == 2
    assert told[2].details == {"ids": ["1"]}
