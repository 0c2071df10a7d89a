"""Retry and audit around a cloud, and its abilities through all of them."""

from __future__ import annotations

import logging
from typing import ClassVar

import pytest

from stix.clouds import base
from stix.clouds.base import (
    CanListResources,
    CanOpenPorts,
    CanPrepare,
    CanSpot,
    CanTellQuotas,
    Cloud,
    HasCredentials,
    Node,
    NodeRef,
    Resource,
    Selector,
)
from stix.clouds.errors import AuthError, CapacityError, CloudError, Throttled, TransientError
from stix.clouds.volumes import VolumeWish
from stix.clouds.wrappers import ABILITIES, Audit, Call, Retry, standard, wrap
from stix.clouds.wrappers.call import Around
from tests.clouds.wrappers.flaky import Able, Flaky, Hurting, Sleeps, Stopping, request

REF = NodeRef("flaky", "1", "r")


async def test_retryable_errors_are_repeated_with_growing_pauses() -> None:
    inner, sleeps = Flaky([TransientError("a"), TransientError("b"), TransientError("c")]), Sleeps()
    await wrap(inner, [Retry(sleep=sleeps)]).create(request())
    assert inner.calls == ["create"] * 4
    assert sleeps.seconds == pytest.approx([0.2, 0.4, 0.8])


async def test_a_throttle_waits_as_long_as_it_says() -> None:
    inner, sleeps = Flaky([Throttled("slow down", retry_after=7.5)]), Sleeps()
    await wrap(inner, [Retry(sleep=sleeps)]).list(Selector())
    assert sleeps.seconds == [7.5]


async def test_the_budget_of_attempts_ends_with_the_error_itself() -> None:
    inner, sleeps = Flaky([TransientError(str(i)) for i in range(9)]), Sleeps()
    with pytest.raises(TransientError, match=r"^2$"):
        await wrap(inner, [Retry(attempts=3, sleep=sleeps)]).check()
    assert len(inner.calls) == 3


async def test_the_budget_of_time_is_not_overdrawn() -> None:
    inner, sleeps = Flaky([Throttled("x", retry_after=100.0)]), Sleeps()
    with pytest.raises(Throttled):
        await wrap(inner, [Retry(budget_s=60, sleep=sleeps)]).check()
    assert sleeps.seconds == []


@pytest.mark.parametrize("error", [CapacityError("full"), AuthError("who"), CloudError("odd")])
async def test_other_errors_pass_at_once(error: CloudError) -> None:
    inner, sleeps = Flaky([error]), Sleeps()
    with pytest.raises(type(error)) as caught:
        await wrap(inner, [Retry(sleep=sleeps)]).create(request())
    assert caught.value is error
    assert inner.calls == ["create"]


async def test_each_call_leaves_one_line_with_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    cloud = wrap(Flaky([TransientError("a")]), [Audit(), Retry(sleep=Sleeps())])
    with caplog.at_level(logging.DEBUG, logger="stix.clouds"):
        await cloud.create(request())
        with pytest.raises(AuthError):
            await cloud.runner(Node(NodeRef("flaky", "1"), base.NodeState.RUNNING, "a"))
    audit = [r.__dict__ for r in caplog.records if "stix_seconds" in r.__dict__]
    assert [(r["stix_call"], r["stix_outcome"]) for r in audit] == [
        ("create", "ok"),
        ("runner", "AuthError"),
    ]
    assert (audit[0]["stix_token"], audit[0]["stix_nodes"]) == ("token-1", 2)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        "flaky.create: a; trying again (2)"
    ]


@pytest.mark.parametrize("inner", [Flaky(), Hurting(), Stopping(), Able()])
def test_a_wrapped_cloud_can_what_the_inner_one_can(inner: Cloud) -> None:
    cloud = wrap(inner)
    assert isinstance(cloud, Cloud)
    for ability in ABILITIES:
        assert isinstance(cloud, ability) is isinstance(inner, ability)


async def test_every_ability_goes_through_what_surrounds_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inner = Able([TransientError("a")])
    cloud, node = (
        wrap(inner, [Audit(), Retry(sleep=Sleeps())]),
        Node(REF, base.NodeState.RUNNING, ""),
    )
    assert isinstance(cloud, CanPrepare) and isinstance(cloud, CanOpenPorts)
    assert isinstance(cloud, CanSpot) and isinstance(cloud, CanListResources)
    assert isinstance(cloud, CanTellQuotas) and isinstance(cloud, HasCredentials)
    assert isinstance(cloud, base.CanStop) and isinstance(cloud, base.CanChaos)
    assert isinstance(cloud, base.CanDescribe)
    assert isinstance(cloud, base.HasVolumes) and isinstance(cloud, base.CanMount)
    assert [*cloud.volume_kinds()] == ["flaky-disk"]
    wish = VolumeWish("data", "flaky-disk", "eu")
    with caplog.at_level(logging.INFO, logger="stix.clouds"):
        assert await cloud.prepare(node) is node
        await cloud.open_ports([REF], ["8080"])
        assert await cloud.preemption(REF) == "taken"
        await cloud.remove(await cloud.resources())
        assert [quota.region for quota in await cloud.quotas("eu")] == ["eu"]
        await cloud.stop([REF])
        await cloud.start([REF])
        await cloud.preempt(REF)
        await cloud.kill(REF)
        assert await cloud.describe(REF) is None
        volume = await cloud.create_volume(wish)
        assert (volume.name, await cloud.volumes()) == ("data", [])
        await cloud.delete_volume(wish)
        await cloud.attach(node, [])
        await cloud.mount(node, [])
    calls = ["prepare", "open_ports", "preemption", "resources", "remove", "quotas"]
    calls += ["stop", "start", "preempt", "kill", "describe"]
    calls += ["create_volume", "volumes", "delete_volume", "attach", "mount"]
    audited = [r.__dict__ for r in caplog.records if "stix_seconds" in r.__dict__]
    assert [record["stix_call"] for record in audited] == calls
    assert inner.calls == ["prepare", *calls]
    assert cloud.credentials() == "the variable FLAKY_KEY"


async def test_a_call_says_where_it_acts() -> None:
    seen: list[Call] = []

    class Note:
        async def __call__(self, call: Call, proceed):  # type: ignore[no-untyped-def]
            seen.append(call)
            return await proceed()

    note: Around = Note()
    cloud = wrap(Able(), [note])
    assert isinstance(cloud, CanListResources) and isinstance(cloud, CanTellQuotas)
    await cloud.create(request())
    await cloud.terminate([REF, NodeRef("flaky", "2", "r")])
    await cloud.terminate([REF, NodeRef("flaky", "2", "s")])
    await cloud.remove([Resource("flaky", "disk", "d", "eu")])
    await cloud.quotas("us")
    await cloud.check()
    assert [call.region for call in seen] == ["r", "r", "-", "eu", "us", "-"]
    assert seen[0].args[0].token == "token-1"


def test_no_ability_of_the_interface_is_lost_by_wrapping() -> None:
    declared = {thing for name, thing in vars(base).items() if name.startswith(("Can", "Has"))}
    assert declared == set(ABILITIES)


def test_the_order_around_an_adapter_in_use() -> None:
    def kinds(cloud: Cloud) -> list[str]:
        return [type(around).__name__ for around in standard(cloud)]

    class Hurried(Flaky):
        rates: ClassVar[dict[str, float]] = {"*": 1.0}

    class Hosts(Flaky):
        breaker = False

    assert kinds(Hurried()) == ["Audit", "Retry", "Breaker", "RateLimit"]
    assert kinds(Flaky()) == ["Audit", "Retry", "Breaker"]
    assert kinds(Hosts()) == ["Audit", "Retry"]


async def test_the_rest_passes_through() -> None:
    inner = Flaky()
    cloud = wrap(inner)
    assert (await cloud.check()).account == "me"
    assert list(await cloud.offers()) == []
    await cloud.terminate([NodeRef("flaky", "1")])
    await cloud.close()
    assert inner.calls == ["check", "offers", "terminate", "close"]
    assert cloud.name == "flaky"
