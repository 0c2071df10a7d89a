"""The book of volumes: nothing is made that is not written down, whatever happens on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stix.clouds.base import Cloud, NodeState
from stix.clouds.config import CloudConfig
from stix.clouds.errors import InvalidRequest, TransientError, VolumeInUse
from stix.clouds.runpod import RunpodCloud
from stix.ledger import Intent, Ledger, NotFound
from stix.server.context import Context
from stix.server.volumes import VolumeBook, known_kinds
from stix.server.volumewants import refusals
from stix.spec.models import PipelineSpec
from stix.spec.problems import SpecErrors
from stix.spec.volumefile import VolumeFile
from tests.ledger.conftest import World, ledger, postgres, url, world
from tests.support.clouds.runpod import KEY, Runpod

__all__ = ["ledger", "postgres", "url", "world"]

FILE = VolumeFile(
    name="data", type="runpod-network-volume", infra="runpod/EU-RO-1", size=10.0, labels={"a": "b"}
)


class Account(SimpleNamespace):
    """What the book needs of a server."""

    ledger: Ledger
    open: Cloud

    def cloud(self, name: str) -> Cloud:
        assert name == "runpod"
        return self.open

    def setup(self, name: str) -> str:
        return name

    def uses(self, setup: str) -> bool:
        return setup == "runpod"


@pytest.fixture
def double() -> Any:
    with Runpod().running() as made:
        yield made


@pytest.fixture
async def book(
    ledger: Ledger, double: Runpod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[VolumeBook]:
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    settings = {"endpoint_url": double.url, "timeout": 20.0}
    cloud = RunpodCloud(CloudConfig(tmp_path, tmp_path, settings, "home"))
    yield VolumeBook(cast(Context, Account(ledger=ledger, open=cloud)))
    await cloud.close()


async def states(ledger: Ledger) -> dict[str, str]:
    return {row.name: row.state for row in await ledger.volumes()}


async def test_an_answer_that_is_lost_makes_no_second_volume(
    book: VolumeBook, ledger: Ledger, double: Runpod
) -> None:
    for number in (1, 2):  # after the question for offers: the listing, the order
        double.watch()
        double.wire("cut after", number)
        with pytest.raises(TransientError):
            await book.apply(FILE)
        [row] = await ledger.volumes()
        assert (row.state, row.id, bool(row.reason)) == ("creating", "", True)
    assert len(double.things) == 1
    double.watch()
    row = await book.apply(FILE)
    assert (row.state, row.reason, row.id in double.things) == ("ready", "", True)
    assert len(double.things) == 1


async def test_a_deletion_that_breaks_is_gone_on_with(
    book: VolumeBook, ledger: Ledger, double: Runpod
) -> None:
    await book.apply(FILE)
    double.watch()
    double.wire("cut before", 0)
    with pytest.raises(TransientError):
        await book.delete("data")
    assert await states(ledger) == {"data": "deleting"} and len(double.things) == 1
    with pytest.raises(SpecErrors, match="is being deleted"):
        await book.apply(FILE)
    double.watch()
    await book.delete("data")
    assert await states(ledger) == {} and not double.things
    with pytest.raises(NotFound):
        await book.delete("data")


async def test_purge_forgets_what_its_cloud_does_not_delete(
    book: VolumeBook, ledger: Ledger, double: Runpod
) -> None:
    await book.apply(FILE)
    double.lock_out(True)
    await book.delete("data", purge=True)
    assert await states(ledger) == {} and len(double.things) == 1


async def test_what_a_provider_refuses_leaves_no_row(book: VolumeBook, ledger: Ledger) -> None:
    with pytest.raises(InvalidRequest):
        await book.apply(FILE.model_copy(update={"infra": "runpod/XX-YY-1"}))
    assert await states(ledger) == {}


async def test_who_uses_a_volume_keeps_it(book: VolumeBook, world: World, double: Runpod) -> None:
    await book.apply(FILE)
    await world.ledger.open_intent(
        world.fence, Intent("t", "a", 1, "runpod", {"volumes": ["data"]})
    )
    with pytest.raises(VolumeInUse, match="in use by r1/a"):
        await book.delete("data")
    assert await states(world.ledger) == {"data": "ready"} and len(double.things) == 1
    await world.ledger.settle_intent("t", "removed", None)
    pod = double.make("theirs", "EU-RO-1", "pod", mounts={"network": [
        {"volumeId": next(iter(double.things)), "path": "/x"}]})  # fmt: skip
    double.put(pod.id, next(s for s, m in double.STATES.items() if m is NodeState.RUNNING))
    with pytest.raises(VolumeInUse, match=pod.id):
        await book.delete("data")
    assert await states(world.ledger) == {"data": "ready"}


async def test_one_that_vanished_is_told(book: VolumeBook, ledger: Ledger, double: Runpod) -> None:
    await book.apply(FILE)
    assert await book.missing(await ledger.volumes()) == set()
    double.things.clear()
    assert await book.missing(await ledger.volumes()) == {"data"}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no size": ({"size": None}, "needs a size"),
    "too small": ({"size": 5.0}, "has 10 GiB at least, not 5"),
    "no region": ({"infra": "runpod"}, "the region is missing"),
    "another cloud": ({"infra": "aws/us-east-1"}, "is in runpod, and not in aws"),
    "an option": ({"config": {"tier": "x"}}, "the option tier does not act"),
    "a cloud that is off": (
        {"type": "aws-ebs", "infra": "aws/us-east-1/us-east-1a"},
        "aws is not set up",
    ),
}


@pytest.mark.parametrize("what", WRONG)
async def test_what_cannot_be_is_refused(book: VolumeBook, ledger: Ledger, what: str) -> None:
    change, said = WRONG[what]
    with pytest.raises(SpecErrors, match=said) as refused:
        await book.apply(FILE.model_copy(update=change))
    assert all(problem.fix for problem in refused.value.problems)
    assert await states(ledger) == {}


async def test_a_volume_does_not_change(book: VolumeBook) -> None:
    await book.apply(FILE)
    for field, value in {"size": 20.0, "labels": {}, "infra": "runpod/US-TX-3"}.items():
        with pytest.raises(SpecErrors, match="cannot change") as refused:
            await book.apply(FILE.model_copy(update={field: value}))
        assert [problem.path for problem in refused.value.problems] == [field]


def said(stage: dict[str, Any], rows: Any) -> list[str]:
    spec = PipelineSpec.model_validate({"name": "p", "stages": {"s": {"run": "x", **stage}}})
    known = {row.name: row for row in rows}
    return [f"{p.path}: {p.message}" for p in refusals(spec, known, known_kinds())]


async def test_what_stages_ask_for(book: VolumeBook, ledger: Ledger) -> None:
    await book.apply(FILE)
    await book.apply(FILE.model_copy(update={"name": "more"}))
    rows = await ledger.volumes()
    assert said({"volumes": {"/data": "data"}, "num_nodes": 2}, rows) == []
    at = "stages.s.volumes./data"
    assert said({"volumes": {"/data": {"name": "data", "sub_path": "a"}}}, rows) == [
        f"{at}.sub_path: a folder inside of a network volume of RunPod cannot be mounted alone"
    ]
    two = said({"volumes": {"/data": "data", "/more": "more"}}, rows)
    assert two[0] == f"{at}: a node has 1 of a network volume of RunPod at most"
    new = {"size": 1, "type": "k8s-pvc", "config": {"access_mode": "Any"}}
    assert said({"volumes": {"/data": new}}, rows) == [
        f"{at}.config.access_mode: access_mode of a claim of Kubernetes cannot be 'Any'"
    ]
    assert said({"volumes": {"/data": {"size": "1Mi"}}}, rows)[0].startswith(f"{at}.size: ")
    await ledger.doom_volume("data")
    rows = await ledger.volumes()
    [gone] = said({"volumes": {"/data": "data"}}, rows)
    assert gone == f"{at}: the volume data is not ready: it is deleting"
