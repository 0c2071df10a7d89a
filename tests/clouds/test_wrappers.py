"""Retry and audit around a real (tiny) cloud whose way to the provider fails on a script."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from stix.clouds import base
from stix.clouds.base import (
    CanChaos,
    CanStop,
    Cloud,
    CreateRequest,
    Identity,
    Node,
    NodeRef,
    Selector,
)
from stix.clouds.errors import AuthError, CapacityError, CloudError, Throttled, TransientError
from stix.clouds.wrappers import ABILITIES, Audit, Retry, wrap
from stix.plan.offers import Demand, Offer
from stix.remote.base import Runner


@dataclass
class Flaky:
    """Raises the errors of ``script``, one per call, then works."""

    script: list[CloudError] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    name: str = "flaky"

    def _step(self, call: str) -> None:
        self.calls.append(call)
        if self.script:
            raise self.script.pop(0)

    async def check(self) -> Identity:
        self._step("check")
        return Identity("me")

    async def offers(self) -> Sequence[Offer]:
        self._step("offers")
        return []

    async def create(self, request: CreateRequest) -> list[Node]:
        self._step("create")
        return []

    async def list(self, selector: Selector) -> list[Node]:
        self._step("list")
        return []

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        self._step("terminate")

    async def runner(self, node: Node) -> Runner:
        raise AuthError("no way")

    async def close(self) -> None:
        self._step("close")


class Hurting(Flaky):
    async def preempt(self, node: NodeRef) -> None:
        self._step("preempt")

    async def kill(self, node: NodeRef) -> None:
        self._step("kill")


class Stopping(Flaky):
    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        self._step("stop")

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        self._step("start")


@dataclass
class Sleeps:
    """Takes the pauses down instead of waiting."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def request() -> CreateRequest:
    offer = Offer("flaky", "r", "z", "t", 1, 1)
    return CreateRequest("token-1", offer, Demand(), 2, "name", {"stix-run": "r1"})


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


@pytest.mark.parametrize("inner", [Flaky(), Hurting(), Stopping()])
def test_a_wrapped_cloud_can_what_the_inner_one_can(inner: Cloud) -> None:
    cloud = wrap(inner)
    assert isinstance(cloud, Cloud)
    for ability in (CanChaos, CanStop):
        assert isinstance(cloud, ability) is isinstance(inner, ability)


async def test_abilities_go_through_the_wrappers_too() -> None:
    ref = NodeRef("flaky", "1")
    hurting, stopping = Hurting([TransientError("a")]), Stopping([TransientError("a")])
    cloud, other = wrap(hurting, [Retry(sleep=Sleeps())]), wrap(stopping, [Retry(sleep=Sleeps())])
    assert isinstance(cloud, CanChaos)
    assert isinstance(other, CanStop)
    await cloud.preempt(ref)
    await cloud.kill(ref)
    await other.stop([ref])
    await other.start([ref])
    assert hurting.calls == ["preempt", "preempt", "kill"]
    assert stopping.calls == ["stop", "stop", "start"]


def test_no_ability_of_the_interface_is_lost_by_wrapping() -> None:
    declared = {thing for name, thing in vars(base).items() if name.startswith("Can")}
    assert declared == set(ABILITIES)


async def test_the_rest_passes_through() -> None:
    inner = Flaky()
    cloud = wrap(inner)
    assert (await cloud.check()).account == "me"
    assert list(await cloud.offers()) == []
    await cloud.terminate([NodeRef("flaky", "1")])
    await cloud.close()
    assert inner.calls == ["check", "offers", "terminate", "close"]
    assert cloud.name == "flaky"
