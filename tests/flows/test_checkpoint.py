"""A stage that is interrupted goes on from its last whole checkpoint."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from stix.clouds.base import CanChaos, Node
from stix.engine.runtime import CloudSet
from stix.flows.host import cloud_configs
from stix.ledger import AttemptRow, EventRow, Ledger
from stix.remote.agent import HostAgent
from stix.remote.local import LocalRunner
from tests.support.agents import eventually
from tests.support.hosts import HostFarm, SshHost
from tests.support.server import ServerHome
from tests.support.workshop import open_workshop
from tests.support.yard import Ended, Yard

pytestmark = pytest.mark.server

EVERY_S = 0.4
POOLS = ("east", "west")
PATIENCE_S = 600.0
TRAIN = """\
import hashlib, json, os, pathlib, sys, time
place = pathlib.Path(os.environ["STIX_CHECKPOINT_DIR"])
place.mkdir(exist_ok=True)
saved = place / "state.json"
state = json.loads(saved.read_text()) if saved.exists() else {"step": 0, "weights": ""}
print("start", state["step"], flush=True)
while state["step"] < STEPS:
    state["step"] += 1
    state["weights"] = hashlib.sha256((state["weights"] + str(state["step"])).encode()).hexdigest()
    time.sleep(0.02)
    if state["step"] % 5 == 0:
        (place / "new").write_text(json.dumps(state))
        os.replace(place / "new", saved)
    print("step", state["step"], flush=True)
pathlib.Path("final.json").write_text(json.dumps(state))
"""
RETRY = {"retries": 200, "backoff": 0, "next": "next_offer"}


@dataclass
class Training:
    """A run of a program that knows nothing of STIX but the directory it is to write to."""

    yard: Yard
    cloud: str
    steps: int
    run_id: str = ""

    async def begin(self, *, every: float = EVERY_S, **resources: Any) -> None:
        source = self.yard.workshop.folder / "source"
        source.mkdir()
        (source / "train.py").write_text(TRAIN.replace("STEPS", str(self.steps)))
        stage = {
            "workdir": str(source),
            "run": "python3 train.py",
            "outputs": {"final": "final.json"},
            "checkpoint": {"path": "state", "every": every, "keep": 2},
            "recovery": {"preempted": RETRY, "node_lost": RETRY},
            "resources": resources,
        }
        text = json.dumps({"name": "training", "stages": {"main": stage}})
        self.run_id = await self.yard.start(text)

    def lines(self, attempt: int, word: str) -> list[int]:
        """The numbers that an attempt printed after this word."""
        logs = self.yard.workshop.runtime.config.attempt_logs(self.run_id, "main", attempt)
        path = logs / "run-0.log"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [int(line.split()[1]) for line in lines if line.startswith(f"{word} ")]

    async def reach(self, attempt: int, steps: int, *, kept: bool) -> None:
        """Wait until an attempt went so far, and where asked for left a checkpoint."""
        ledger = self.yard.ledger
        async with asyncio.timeout(PATIENCE_S):
            while True:
                latest = await ledger.latest_checkpoint(self.run_id, "main")
                left = latest is not None and latest.attempt == attempt
                if len(self.lines(attempt, "step")) >= steps and (left or not kept):
                    return
                assert not (await ledger.run(self.run_id)).state.final, "it went on to the end"
                await asyncio.sleep(0.02)

    async def node(self) -> Node:
        """The one on which it runs."""
        nodes = await self.yard.workshop.nodes_of(self.yard.workshop.runtime.clouds.get(self.cloud))
        (alive,) = [node for node in nodes if node.state.alive]
        return alive

    async def ended(self) -> Ended:
        """Its end, which is that of a run that nobody disturbed."""
        ended = await self.yard.end(self.run_id)
        assert ended.state == "succeeded", ended.message
        final = self.state(ended.stages["main"].outputs["final"], "")
        assert final == {"step": self.steps, "weights": undisturbed(self.steps)}
        return ended

    def state(self, digest: str, name: str) -> Any:
        """What a stored state says."""
        target = self.yard.workshop.folder / "stored"
        self.yard.workshop.runtime.store.get(digest, target, replace=True)
        return json.loads((target / name if name else target).read_text())

    async def events(self) -> list[EventRow]:
        """All of them, in the order of their commits."""
        found: list[EventRow] = []
        while more := await self.yard.ledger.events(self.run_id, len(found)):
            found += more
        return found


def undisturbed(steps: int) -> str:
    """The weights after all steps."""
    weights = ""
    for step in range(1, steps + 1):
        weights = hashlib.sha256((weights + str(step)).encode()).hexdigest()
    return weights


Blow = Callable[[Node], Awaitable[None]]


async def hurt(training: Training, kills: int, blows: list[Blow]) -> None:
    """Take the node away ``kills`` times, each time so and so many steps after the start."""
    dice = random.Random(kills)
    for attempt in range(1, kills + 1):
        await training.reach(attempt, dice.randint(1, 25), kept=attempt % 4 == 1)
        await dice.choice(blows)(await training.node())


async def proven(training: Training, attempts: list[AttemptRow]) -> list[int]:
    """Each attempt began with the newest checkpoint of all; the steps that were done twice.

    The ledger tells the order: what was recorded before an attempt began is what it could know,
    and nothing of an older attempt was recorded after that.
    """
    newest, began, repeated = "", 0, []
    for event in await training.events():
        if event.kind == "checkpoint":
            assert event.data["attempt"] == began, "an attempt that is over records no more"
            newest = event.data["digest"]
        elif event.kind == "attempt" and event.data["state"] == "running":
            began = event.data["number"]
            known = training.state(newest, "state.json")["step"] if newest else 0
            assert training.lines(began, "start") == [known]
            done = training.lines(began - 1, "step")[-1:] or [0]
            repeated.append(max(0, done[0] - known))
    assert began == len(attempts)
    return repeated


def blows(yard: Yard, cloud: str) -> list[Blow]:
    """Two ways to lose a node."""
    chaos = cast(CanChaos, yard.workshop.runtime.clouds.get(cloud))

    async def preempt(node: Node) -> None:
        await chaos.preempt(node.ref)

    async def kill(node: Node) -> None:
        await chaos.kill(node.ref)

    return [preempt, kill]


async def test_an_interrupted_training_ends_as_an_undisturbed_one(yard: Yard) -> None:
    training = Training(yard, "local", 400)
    await training.begin()
    await hurt(training, 4, blows(yard, "local"))
    ended = await training.ended()
    assert len(ended.attempts) == 5
    await proven(training, ended.attempts)
    assert training.lines(5, "start")[0] > 0
    kept = [a for a in await yard.ledger.artifacts(training.run_id) if a.kind == "checkpoint"]
    assert len(kept) == 2, "the newest two are kept"


@pytest.fixture
def pair(hosts: HostFarm) -> Iterator[list[SshHost]]:
    made = hosts.up(count=2)
    yield made
    for host in made:
        hosts.rm(host)


@pytest.fixture
async def rack(
    ledger: Ledger,
    url: str,
    tmp_path: Path,
    stix_server: ServerHome,
    hosts: HostFarm,
    pair: list[SshHost],
) -> AsyncIterator[Yard]:
    """A yard whose stages run on two hosts by SSH, each a pool of its own."""
    login = {"user": "root", "identity_file": str(hosts.identity)}
    pools = {
        name: {**login, "hosts": [host.address]} for name, host in zip(POOLS, pair, strict=True)
    }
    settings = {PREFECT_API_URL: f"{stix_server.url}/api", PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(settings):
        async with get_client() as client, open_workshop(ledger, tmp_path, prefect=client) as made:
            file = made.runtime.config.home / "ssh_node_pools.yaml"
            file.write_text(json.dumps(pools))
            configs = cloud_configs(made.runtime.config)
            clouds = CloudSet(configs, {"local": False, "ssh": True}, ledger)
            opened = Yard(replace(made, runtime=replace(made.runtime, clouds=clouds)), url)
            yield opened
            await opened.close()
            await clouds.close()


@pytest.mark.hosts
@pytest.mark.parametrize(
    "kills", [5, pytest.param(20, marks=pytest.mark.full)], ids=lambda kills: f"{kills} kills"
)
async def test_a_training_that_moves_between_two_hosts(
    rack: Yard, hosts: HostFarm, pair: list[SshHost], kills: int
) -> None:
    """Its node is preempted, dies, or loses its power; the next attempt may be on either host."""
    by_address = {host.address: host for host in pair}

    async def power(node: Node) -> None:
        host = by_address[node.address]
        await asyncio.to_thread(hosts.down, host)
        await asyncio.to_thread(hosts.boot, host)

    training = Training(rack, "ssh", 50 + 70 * kills)
    await training.begin(ordered=[{"infra": f"ssh/{pool}"} for pool in POOLS])
    await hurt(training, kills, [*blows(rack, "ssh"), power])
    ended = await training.ended()
    assert len(ended.attempts) == kills + 1
    repeated = await proven(training, ended.attempts)
    assert training.lines(kills + 1, "start")[0] > 0
    used = {node.data["address"] for node in await rack.ledger.nodes(training.run_id)}
    assert used == set(by_address), "it moved"
    print("repeated steps:", repeated)


async def test_an_agent_that_is_told_to_end_waits_for_a_last_checkpoint(yard: Yard) -> None:
    """The machine goes down: SIGTERM comes long before the interval is over."""
    training = Training(yard, "local", 300)
    await training.begin(every=3600)
    await training.reach(1, 20, kept=False)
    node = await training.node()
    directory = Path(node.directory)
    await eventually((directory / "watch.json").exists, "the engine listens")
    (record,) = await HostAgent(LocalRunner(), str(directory.parents[1])).list()
    os.kill(record.pid, signal.SIGTERM)
    ended = await training.ended()
    assert [str(a.state) for a in ended.attempts] == ["failed", "succeeded"]
    await proven(training, ended.attempts)
    assert training.lines(2, "start")[0] >= 15


async def test_what_fails_by_itself_leaves_a_last_checkpoint(yard: Yard) -> None:
    """The interval is far away: the copy is made because the command ended badly."""
    run = (
        "mkdir -p c; n=$(cat c/n 2>/dev/null || echo 0); echo $((n + 1)) > c/n; "
        "test $n -ge 2 && cp c/n out || exit 75"
    )
    stage: dict[str, Any] = {
        "run": run,
        "outputs": {"out": "out"},
        "checkpoint": {"path": "c", "every": "1h"},
        "recovery": {"user_error": {"retries": 5, "backoff": 0}},
    }
    ended = await yard.run(json.dumps({"name": "counted", "stages": {"main": stage}}))
    assert ended.state == "succeeded" and len(ended.attempts) == 3


async def test_a_stage_that_never_wrote_one_begins_anew(yard: Yard) -> None:
    stage = {
        "run": "test ! -e c && mkdir c && test $STIX_ATTEMPT -gt 1",
        "checkpoint": "c",
        "recovery": {"user_error": {"retries": 1, "backoff": 0}},
    }
    ended = await yard.run(json.dumps({"name": "empty", "stages": {"main": stage}}))
    assert ended.state == "succeeded" and len(ended.attempts) == 2
