"""Removing a node removes nothing that is mounted below it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from stix.node.agent.mounts import below
from stix.remote.agent import AgentClient, HostAgent, JobStart, NodeRecord
from stix.remote.local import LocalRunner
from stix.storage.stores.s3 import S3Store
from tests.support.agents import eventually
from tests.support.fuse import mounted, need_fuse, rclone, unmount_all
from tests.support.s3 import S3Server, s3_server

__all__ = ["s3_server"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files of somebody's."""
    folder = tmp_path / "precious"
    (folder / "deep").mkdir(parents=True)
    (folder / "one").write_text("1")
    (folder / "deep" / "two").write_text("2")
    return folder


def whole(data: Path) -> bool:
    found = {str(p.relative_to(data)): p.read_text() for p in data.rglob("*") if p.is_file()}
    return found == {"one": "1", "deep/two": "2"}


@contextmanager
def live_mount(
    data: Path, point: Path, remote: str = "", env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A FUSE mount that nobody of the node's started, so that nothing ends it before."""
    need_fuse()
    point.mkdir(parents=True)
    program = rclone()
    assert program is not None
    argv = [program, "mount", remote or f":local:{data}", str(point)]
    process = subprocess.Popen(argv, env={**os.environ, **(env or {})})
    try:
        for _ in range(200):
            if mounted(point):
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        assert (point / "one").read_text() == "1"
        yield process
    finally:
        process.kill()
        process.wait()
        unmount_all(data.parent)


async def test_down_with_a_live_mount_deletes_nothing_in_it(
    agent: HostAgent, node: NodeRecord, data: Path
) -> None:
    point = Path(node.directory) / "work" / "a b\\c" / "data"
    with live_mount(data, point):
        assert below(node.directory) == [str(point)]
        await agent.down([node.id])
        assert whole(data)
        assert not Path(node.directory).exists()
        assert not mounted(point)


async def test_down_with_a_live_mount_of_a_bucket_deletes_no_object(
    agent: HostAgent, node: NodeRecord, s3_server: S3Server, data: Path
) -> None:
    store = S3Store(**s3_server.options())
    urls = [s3_server.url("precious", name) for name in ("one", "deep/two")]
    for url in urls:
        store.put(url, b"1")
    env = {
        "RCLONE_CONFIG_B_TYPE": "s3",
        "RCLONE_CONFIG_B_PROVIDER": "Other",
        "RCLONE_CONFIG_B_ENDPOINT": s3_server.endpoint_url,
        "RCLONE_CONFIG_B_ACCESS_KEY_ID": s3_server.key,
        "RCLONE_CONFIG_B_SECRET_ACCESS_KEY": s3_server.secret,
    }
    point = Path(node.directory) / "work" / "data"
    with live_mount(data, point, f"b:{s3_server.bucket}/precious", env):
        await agent.down([node.id])
        assert not Path(node.directory).exists() and not mounted(point)
        for url in urls:
            assert store.filesystem().exists(store.path(url))


async def test_shutdown_with_a_live_mount_deletes_nothing_in_it(
    agent: HostAgent, node: NodeRecord, client: AgentClient, data: Path
) -> None:
    with live_mount(data, Path(node.directory) / "work" / "data"):
        await client.shutdown()
        assert whole(data) and not Path(node.directory).exists()


async def test_down_with_a_frozen_mount_ends_and_deletes_nothing(
    agent: HostAgent, node: NodeRecord, data: Path
) -> None:
    with live_mount(data, Path(node.directory) / "work" / "data") as process:
        os.kill(process.pid, signal.SIGSTOP)
        await agent.down([node.id])
        assert whole(data) and not Path(node.directory).exists()


async def test_mounts_of_a_job_go_with_a_killed_agent(
    agent: HostAgent, node: NodeRecord, client: AgentClient, data: Path
) -> None:
    need_fuse()
    point = Path(node.directory) / "work" / "data"
    point.mkdir(parents=True)
    script = f"exec {rclone()} mount :local:{data} {point}"
    await client.start(JobStart(job="r/s/1/mount", script=script))
    await eventually(lambda: bool(mounted(point)), "it is mounted")
    os.kill(node.pid, signal.SIGKILL)
    await eventually(lambda: not mounted(point), "the keeper unmounts")
    assert whole(data)
    await agent.down([node.id])
    assert whole(data) and not Path(node.directory).exists()


async def test_a_bound_directory_is_not_emptied(
    agent: HostAgent, node: NodeRecord, runner: LocalRunner, data: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can bind a directory")
    for name in ("first", "second"):
        point = Path(node.directory) / "work" / name
        point.mkdir(parents=True)
        done = await runner.run(["mount", "--bind", str(data), str(point)])
        assert done.exit_code == 0, done.stderr
    assert len(mounted(node.directory)) == 2
    await agent.mark(node.id, "preempted")
    assert not mounted(node.directory) and Path(node.directory).exists()
    await agent.down([node.id])
    assert whole(data) and not Path(node.directory).exists()
