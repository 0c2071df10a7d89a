"""Mounted buckets of a stage: on every node before its commands.

A mount is a job of the node's agent, beside the stage's own: it goes on when an engine dies, an
engine that takes over finds it, and the agent ends it with the node.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prefect.logging import get_run_logger

from stix.clouds.base import Node
from stix.engine.runtime import Attempt
from stix.ledger import Fenced
from stix.recovery.events import SetupFailed
from stix.remote.agent import AgentError, End, JobStart
from stix.remote.base import ConnectionLost, RemoteError, Runner
from stix.secrets import Redactor
from stix.spec.buckets import is_written, mount_url
from stix.spec.storage import DISK, StorageMount
from stix.storage.base import StorageError
from stix.storage.mounts import (
    Bounds,
    Found,
    Grant,
    MountCommand,
    Place,
    Wish,
    await_mounted,
    granted,
    mount_command,
    options_of,
    probe,
    with_rclone,
)
from stix.tasks.environment import work_dir
from stix.tasks.failures import StepFailed
from stix.tasks.hosts import host_of
from stix.tasks.jobs import client_of, reach_again, runner_of
from stix.tasks.paths import one_per_host, shell_path

MOUNTS = "mounts"
"""The entry of an attempt's steps that says what was mounted where by which tool."""
LASTS_S = 12 * 3600
"""For how long credentials are asked where the stage has no timeout."""
LOG_LIMIT = 4 * 1024 * 1024
LOG_TAIL = 1000
_TROUBLE = re.compile(
    rb"^.*\b(?:ERROR|CRITICAL) ?: .*(?:timeout|refused|reset|unreachable|no route|EOF|no such host"
    rb"|broken pipe|StatusCode: (?:0|401|403|429|5\d\d)|Denied|failed to upload).*$",
    re.MULTILINE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Mount:
    """One mount on one node."""

    attempt: Attempt
    node: Node
    number: int
    target: str
    spec: StorageMount

    @property
    def url(self) -> str:
        return mount_url(self.spec)

    @property
    def write(self) -> bool:
        return is_written(self.spec)

    @property
    def job(self) -> str:
        return self.attempt.job_id(f"mount-{self.number}")

    @property
    def place(self) -> Place:
        return Place(posixpath.join(self.node.directory, MOUNTS), str(self.number))

    @property
    def bounds(self) -> Bounds:
        """As the block ``mounts`` of ``config.yaml`` has them."""
        return Bounds(**self.attempt.run.runtime.config.settings.get("mounts", {}))

    @property
    def shared(self) -> bool:
        """The target is outside the node's own directory, where others may have files."""
        return self.target.startswith(("/", "~"))

    @property
    def link(self) -> str:
        """What the stage sees: a link to the mount."""
        if self.shared:
            return self.target
        return posixpath.normpath(posixpath.join(work_dir(self.node), self.target))


def is_mount(spec: StorageMount) -> bool:
    """Whether an entry of ``file_mounts`` is a mounted bucket, rather than a copy or a disk."""
    return spec.mode != "COPY" and spec.store != DISK


def mounts_of(attempt: Attempt, node: Node) -> list[Mount]:
    """The stage's mounts, in the order of its file."""
    asked = [(t, m) for t, m in attempt.spec.file_mounts.items() if is_mount(m)]
    return [Mount(attempt, node, i, target, spec) for i, (target, spec) in enumerate(asked)]


def all_mounts(attempt: Attempt) -> Iterator[Mount]:
    """Those of every node; what lies outside of nodes' directories by the first on its host."""
    hosts = one_per_host(attempt.nodes)
    for node in attempt.nodes:
        yield from (m for m in mounts_of(attempt, node) if node in hosts or not m.shared)


async def mount_all(attempt: Attempt) -> None:
    """Mount everything on every node, and see that it answers.

    Raises:
        StepFailed: something cannot be mounted.
    """
    wanted = list(all_mounts(attempt))
    if not wanted:
        return
    grants: dict[tuple[str, bool], Grant] = {}
    seconds = int(attempt.spec.timeout or LASTS_S)
    for mount in mounts_of(attempt, attempt.nodes[0]):
        try:
            grant = await asyncio.to_thread(granted, mount.url, write=mount.write, seconds=seconds)
        except StorageError as error:
            raise mount_failed(mount, str(error)) from error
        if not grant.lent:
            get_run_logger().warning("%s: its mount may do %s", mount.url, grant.access.scope)
        grants[mount.url, mount.write] = grant
    made = await asyncio.gather(*(_mount(m, grants[m.url, m.write]) for m in wanted))
    await attempt.finish_step(MOUNTS, {"mounted": made})


async def _mount(mount: Mount, grant: Grant) -> dict[str, Any]:
    """Mount one; what it is, for the ledger."""
    attempt, node = mount.attempt, mount.node
    while True:
        try:
            made = await _mount_once(mount, await runner_of(attempt, node), grant)
            break
        except ConnectionLost as lost:
            await reach_again(attempt, node, await client_of(attempt, node), lost)
        except (StorageError, AgentError, RemoteError) as error:
            raise mount_failed(mount, str(error)) from error
    get_run_logger().info(
        "%s is mounted at %s of node %d by %s, mode %s",
        mount.url,
        mount.target,
        node.rank,
        made.tool,
        mount.spec.mode,
    )
    return {
        "target": mount.target,
        "url": mount.url,
        "mode": mount.spec.mode,
        "tool": made.tool,
        "program": made.program,
        "rank": node.rank,
        "scope": grant.access.scope,
    }


async def _mount_once(mount: Mount, runner: Runner, grant: Grant) -> MountCommand:
    found = await tools_on(mount.node, runner)
    wish = Wish(
        mount.url, mount.spec.mode, grant.plan, grant.access, mount.write, options_of(mount.spec)
    )
    command = mount_command(wish, found, mount.place, mount.bounds)
    client = await client_of(mount.attempt, mount.node)
    job = JobStart(
        job=mount.job,
        fence=mount.attempt.run.fence.token,
        script=command.script,
        cwd=mount.node.directory,
        env=command.env,
        secrets=command.secrets,
        log_limit=LOG_LIMIT,
    )
    try:
        await client.start(job)
    except AgentError as error:
        if error.code == "fenced":
            raise Fenced(error.message) from error
        raise
    if not await await_mounted(runner, mount.place, mount.bounds, lambda: is_alive(mount)):
        said = Redactor(command.secrets.values()).text(await said_by(mount))
        raise StorageError(f"it cannot be mounted: {said or 'it does not answer'}", fix="")
    await _link(mount, runner)
    return command


async def tools_on(node: Node, runner: Runner) -> Found:
    """What the node mounts with; our rclone is put beside its agent where it has none."""
    folder = posixpath.join(host_of(node).base, "tools")
    return await with_rclone(await probe(runner), runner, folder)


async def is_alive(mount: Mount) -> bool:
    """Whether the mount's job runs."""
    client = await client_of(mount.attempt, mount.node)
    return (await client.status(mount.job)).state == "running"


async def _link(mount: Mount, runner: Runner) -> None:
    """The mount lies below the node's directory, and a link is easily removed, unlike a mount."""
    link, parent = shell_path(mount.link), shell_path(posixpath.dirname(mount.link))
    point = shell_path(mount.place.point)
    script = (
        f"[ -L {link} ] || [ ! -e {link} ] || rmdir {link} 2>/dev/null || exit 9; "
        f"mkdir -p {parent} && ln -sfn {point} {link}"
    )
    done = await runner.run(["sh", "-c", script], timeout=mount.bounds.mount)
    if done.exit_code == 9:
        raise StorageError(f"{mount.target} exists already.", fix="Choose another target.")
    if done.exit_code != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise StorageError(f"{mount.target} cannot be made: {said}", fix="Choose another target.")


async def said_by(mount: Mount) -> str:
    """The end of what the mount's process wrote, on one line; the agent hides secrets in it."""
    data = await log_of(mount)
    return " ".join(data[-LOG_TAIL:].decode("utf-8", "replace").split())


def trouble_in(log: bytes) -> str:
    """The last line that tells of a store out of reach, or one that refuses; empty where none does.

    What a program asks for in vain, such as a file that is not there, is no trouble.
    """
    found = _TROUBLE.findall(log)
    return str(found[-1].decode("utf-8", "replace"))[:LOG_TAIL] if found else ""


async def log_of(mount: Mount) -> bytes:
    """What the mount's process wrote so far."""
    client = await client_of(mount.attempt, mount.node)
    data = b""
    async for item in client.tail(mount.job, 0, follow=False):
        if not isinstance(item, End):
            data += item.data
    return data


def mount_failed(mount: Mount, said: str) -> StepFailed:
    """What is no fault of the stage's commands, and may be better next time."""
    message = f"file_mounts: {mount.target}: {mount.url}: {said}"
    return StepFailed(SetupFailed(exit_code=1, detail=message), message)
