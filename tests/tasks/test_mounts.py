"""Stages whose buckets are mounted: a real S3 server, real rclone, real nodes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.base import CanChaos
from stix.engine.runtime import Attempt
from stix.recovery.events import Preempted, SetupFailed, UserError
from stix.remote.agent import HostAgent
from stix.remote.local import LocalRunner
from stix.storage.base import CanManageBuckets, Store
from stix.storage.registry import open_store
from stix.tasks.failures import StepFailed
from tests.support.agents import eventually
from tests.support.fuse import mounted, need_fuse, unmount_all
from tests.support.s3 import S3Server, s3_server
from tests.support.workshop import Workshop
from tests.tasks.test_steps import begin, do, work

__all__ = ["s3_server"]

pytestmark = pytest.mark.usefixtures("no_run_logger")


@pytest.fixture(autouse=True)
def fuse(workshop: Workshop) -> Iterator[None]:
    """Nothing stays mounted."""
    need_fuse()
    yield
    unmount_all(home(workshop))


@pytest.fixture
def store(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The server of these tests, as the usual chain of AWS finds it."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return open_store(s3_server.url())


def bucket(store: Store, name: str) -> str:
    """An empty bucket, which is mounted as a whole."""
    assert isinstance(store, CanManageBuckets)
    return store.create_bucket(name, "us-east-1", {}).url


def stage(url: str, run: str, mode: str = "MOUNT", target: str = "data") -> str:
    spec = {"run": run, "file_mounts": {target: {"source": url, "mode": mode}}}
    return json.dumps({"name": "p", "stages": {"main": spec}})


def home(workshop: Workshop) -> Path:
    return workshop.runtime.config.home


def text(store: Store, url: str) -> str:
    with store.filesystem().open(store.path(url)) as file:
        return bytes(file.read()).decode()


def servers(attempt: Attempt) -> list[int]:
    """The processes that serve the mounts of an attempt's first node."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"mount" in words[1:2] and any(
            word.startswith(attempt.nodes[0].directory.encode()) for word in words
        ):
            found.append(int(path.parent.name))
    return found


WORK = (
    "test $(cat data/in) = here && echo out > data/out && echo more >> data/in"
    " && mv data/out data/moved && ls data > listed"
)


@pytest.mark.parametrize("mode", ["MOUNT", "MOUNT_CACHED"])
async def test_what_a_stage_writes_is_in_the_bucket_when_it_succeeds(
    workshop: Workshop, store: Store, s3_server: S3Server, mode: str
) -> None:
    url = bucket(store, f"stage-{mode.lower().replace('_', '-')}")
    store.put(f"{url}/in", b"here\n")
    attempt = await begin(workshop, stage(url, WORK, mode), "sync")
    before = servers(attempt)
    assert len(mounted(home(workshop))) == 1 == len(before)
    assert not told(attempt, before[0], s3_server.secret), "no argument and no file has the secret"
    for client in attempt.clients.values():
        await client.close()
    attempt.clients.clear()  # as another engine would find it
    await do(attempt, "sync")
    assert servers(attempt) == before
    await do(attempt, "run", "collect")
    assert text(store, f"{url}/in") == "here\nmore\n"
    assert text(store, f"{url}/moved") == "out\n"
    assert (work(attempt) / "listed").read_text() == "in\nmoved\n"
    (made,) = attempt.steps["mounts"]["mounted"]
    assert made["tool"].startswith("rclone 1.") and made["url"] == url and made["mode"] == mode
    assert [one["target"] for one in attempt.steps["flush"]["flushed"]] == ["data"]
    await do(attempt, "release")
    assert not mounted(home(workshop)) and await workshop.nodes() == []
    assert text(store, f"{url}/moved") == "out\n", "nothing is deleted through the mount"


def told(attempt: Attempt, server: int, secret: str) -> bool:
    """Whether a secret that a process has is seen beside it."""
    assert secret.encode() in Path(f"/proc/{server}/environ").read_bytes()
    shown = [Path(f"/proc/{server}/cmdline").read_bytes(), str(attempt.steps).encode()]
    folder = Path(attempt.nodes[0].directory)
    shown += [p.read_bytes() for p in folder.rglob("*") if p.is_file()]
    return any(secret.encode() in data for data in shown)


async def test_a_stream_is_read_from_its_start_and_nothing_lands(
    workshop: Workshop, store: Store
) -> None:
    url = bucket(store, "mount-stream")
    data = os.urandom(24 << 20)
    store.put(f"{url}/big", data)
    run = "cat data/big | sha256sum | cut -c1-64 > sum; echo x > data/new && exit 9; true"
    attempt = await begin(workshop, stage(url, run, "STREAM"), "sync", "run")
    assert (work(attempt) / "sum").read_text().strip() == hashlib.sha256(data).hexdigest()
    folder = Path(attempt.nodes[0].directory)
    own = [p for p in folder.rglob("*") if not p.is_relative_to(folder / "mounts" / "0")]
    assert sum(p.lstat().st_size for p in own if p.is_file()) < 1 << 20
    await do(attempt, "collect", "release")
    assert "flush" not in attempt.steps and not mounted(home(workshop))


async def test_nodes_of_a_host_share_what_lies_outside_of_them(
    workshop: Workshop, store: Store, tmp_path: Path
) -> None:
    url, target = bucket(store, "mount-shared"), tmp_path / "shared"
    run = f"echo $STIX_NODE_RANK > {target}/rank-$STIX_NODE_RANK; echo x > own/$STIX_NODE_RANK"
    mounts = {str(target): {"source": url}, "own": {"source": f"{url}/part"}}
    spec = {"num_nodes": 2, "run": run, "file_mounts": mounts}
    attempt = await begin(workshop, json.dumps({"name": "p", "stages": {"main": spec}}), "sync")
    assert len(mounted(home(workshop))) == 3, "one for both nodes, and one of each"
    await do(attempt, "run", "collect", "release")
    assert [text(store, f"{url}/rank-{n}") for n in (0, 1)] == ["0\n", "1\n"]
    assert [text(store, f"{url}/part/{n}") for n in (0, 1)] == ["x\n", "x\n"]
    assert not target.is_symlink() and not target.exists() and not mounted(home(workshop))


async def test_what_lies_at_the_target_stays(
    workshop: Workshop, store: Store, tmp_path: Path
) -> None:
    target = tmp_path / "taken"
    target.write_text("mine")
    attempt = await begin(workshop, stage("s3://stix-taken", "true", target=str(target)))
    with pytest.raises(StepFailed, match="exists on the host already"):
        await do(attempt, "sync")
    await do(attempt, "release")
    assert target.read_text() == "mine"


async def test_a_bucket_that_is_not_there_fails_the_attempt_and_leaves_nothing(
    workshop: Workshop, s3_server: S3Server, store: Store
) -> None:
    attempt = await begin(workshop, stage("s3://stix-no-such-bucket", "true"))
    with pytest.raises(StepFailed, match="stix-no-such-bucket does not exist") as caught:
        await do(attempt, "sync")
    assert isinstance(caught.value.event, SetupFailed)
    assert s3_server.secret not in str(caught.value)
    await do(attempt, "release")
    assert not mounted(home(workshop))


async def test_a_failed_stage_still_hands_over_what_it_wrote(
    workshop: Workshop, store: Store
) -> None:
    url = bucket(store, "mount-failed")
    attempt = await begin(workshop, stage(url, "echo x > data/x; exit 3", "MOUNT_CACHED"), "sync")
    with pytest.raises(StepFailed) as caught:
        await do(attempt, "run")
    assert caught.value.event == UserError(exit_code=3)
    await do(attempt, "release")
    assert text(store, f"{url}/x") == "x\n"
    assert not mounted(home(workshop))
    assert (attempt.log_dir / "mount-0-0.log").exists()


class TestBlows:
    """What serves the mount dies, or hangs while the command waits for it."""

    @pytest.fixture
    def config_text(self) -> str:
        return "local: {cpus: 8, memory: 16}\nmounts: {silence: 2}\n"

    @pytest.mark.full
    async def test_a_mount_goes_with_its_agent(self, workshop: Workshop, store: Store) -> None:
        """Nobody is there who could unmount: the agent and its keeper are all there is."""
        attempt = await begin(workshop, stage(bucket(store, "mount-agent"), "sleep 600"), "sync")
        directory = Path(attempt.nodes[0].directory)
        (record,) = await HostAgent(LocalRunner(), str(directory.parents[1])).list()
        assert len(servers(attempt)) == 1 == len(mounted(home(workshop)))
        os.kill(record.pid, signal.SIGKILL)
        await eventually(lambda: not mounted(home(workshop)), "the keeper unmounts")
        await eventually(lambda: not servers(attempt), "nothing serves")
        await do(attempt, "release")

    @pytest.mark.full
    async def test_a_node_that_is_taken_is_no_fault_of_its_mount(
        self, workshop: Workshop, store: Store
    ) -> None:
        run = "touch begun; sleep 600"
        attempt = await begin(workshop, stage(bucket(store, "mount-taken"), run), "sync")
        running = asyncio.create_task(do(attempt, "run"))
        await eventually((work(attempt) / "begun").exists, "the command runs")
        cloud = workshop.runtime.clouds.get("local")
        assert isinstance(cloud, CanChaos)
        await cloud.preempt(attempt.nodes[0].ref)
        with pytest.raises(StepFailed) as caught:
            await running
        assert isinstance(caught.value.event, Preempted)
        await do(attempt, "release")
        assert not mounted(home(workshop)) and not servers(attempt)

    @pytest.mark.parametrize("name", [pytest.param("SIGKILL", marks=pytest.mark.full), "SIGSTOP"])
    async def test_a_mount_that_goes_fails_the_stage_and_holds_nobody(
        self, workshop: Workshop, store: Store, name: str
    ) -> None:
        url = bucket(store, f"mount-{name.lower()}")
        run = "touch begun; while true; do ls data > /dev/null 2>&1; sleep 0.1; done"
        attempt = await begin(workshop, stage(url, run), "sync")
        running = asyncio.create_task(do(attempt, "run"))
        await eventually((work(attempt) / "begun").exists, "the command runs")
        (server,) = servers(attempt)
        os.kill(server, getattr(signal, name))
        with pytest.raises(StepFailed, match="its mount ended while the stage ran") as caught:
            await running
        assert isinstance(caught.value.event, SetupFailed)
        assert not mounted(home(workshop)), "also before the node goes"
        await do(attempt, "release")
        assert await workshop.nodes() == [] and not servers(attempt)
