"""Verda against a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.base import NodeState
from stix.clouds.config import TOKEN_TAG
from stix.clouds.errors import AuthError, InvalidRequest
from stix.clouds.testing.bench import Bench, desk, refs
from stix.clouds.testing.suite import CloudConformance
from stix.clouds.verda import VerdaCloud
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offer_of
from tests.support.clouds.verda import CLIENT, SECRET, Verda

PLACE = ("FIN-01", "CPU.4V.16G")


@pytest.fixture
def double() -> Iterator[Verda]:
    with Verda().running() as running:
        yield running


@pytest.fixture
def bench(double: Verda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("VERDA_CLIENT_ID", CLIENT)
    monkeypatch.setenv("VERDA_CLIENT_SECRET", SECRET)
    spot = offer_of("verda", *PLACE, spot=True)
    return bench_of(VerdaCloud, double, tmp_path, PLACE, secrets=[SECRET], spot_offer=spot)


class TestVerda(CloudConformance):
    pass


async def test_a_token_serves_many_calls_and_is_replaced_when_it_ends(
    bench: Bench, double: Verda
) -> None:
    async with desk(bench) as at:
        await at.cloud.check()
        await at.cloud.check()
        assert double.sold == 1
        double.tokens.clear()  # somebody made them invalid before their time
        await at.cloud.check()
        assert double.sold == 2


async def test_a_wrong_secret_is_asked_for_once(
    bench: Bench, double: Verda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERDA_CLIENT_SECRET", "wrong")
    async with desk(bench) as at:
        with pytest.raises(AuthError) as error:
            await at.cloud.check()
        assert error.value.fix
        assert double.asked() == 1
        monkeypatch.setenv("VERDA_CLIENT_SECRET", SECRET)


async def test_a_spot_machine_that_is_taken_leaves_no_disk(bench: Bench, double: Verda) -> None:
    async with desk(bench) as at:
        nodes = await at.cloud.create(at.request(offer=bench.spot_offer))
        double.take_away(nodes[0].ref.id)
        assert not double.leftovers()
        await at.cloud.terminate(refs(nodes))  # no error, though nothing can be done


async def test_a_spot_machine_that_is_off_was_taken(bench: Bench, double: Verda) -> None:
    async with desk(bench) as at:
        (node,) = await at.cloud.create(at.request(offer=bench.spot_offer))
        double.put(node.ref.id, "offline")
        assert [n.state for n in await at.listed()] == [NodeState.PREEMPTED]


async def test_a_disk_that_was_left_is_listed_and_removed(bench: Bench, double: Verda) -> None:
    async with desk(bench) as at:
        (node,) = await at.cloud.create(at.request())
        assert isinstance(at.cloud, VerdaCloud)
        (disk,) = [r for r in await at.cloud.resources() if r.kind == "disk"]
        assert disk.used_by == (node.ref.id,)
        assert disk.tags[TOKEN_TAG] == node.tags[TOKEN_TAG]
        double.boxes.clear()  # the machine ended in a way that kept its disk
        double.things[disk.id].owner = ""
        (disk,) = [r for r in await at.cloud.resources() if r.kind == "disk"]
        assert (disk.used_by, disk.billed) == ((), True)
        await at.cloud.remove([disk])
        assert not double.leftovers()


async def test_what_it_cannot_give_is_refused(bench: Bench, double: Verda) -> None:
    async with desk(bench) as at:
        with pytest.raises(InvalidRequest, match="no firewall") as error:
            await at.cloud.create(replace(at.request(), ports=("8080",)))
        assert error.value.fix
        assert not double.boxes
