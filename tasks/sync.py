"""Step ``sync``: the working directory, inputs and file mounts, onto every node."""

from __future__ import annotations

import asyncio
import posixpath
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from stix.clouds.base import Node
from stix.clouds.errors import CloudError
from stix.engine.runtime import ATTEMPT, Attempt
from stix.recovery.events import SetupFailed
from stix.remote.base import ConnectionLost, RemoteError, Runner
from stix.remote.local import LocalRunner
from stix.spec.workdir import workdir_key
from stix.storage.base import StorageError
from stix.storage.transfer import fetch
from stix.tasks.buckets import copied_url, ready_buckets
from stix.tasks.checkpoint import latest_checkpoint
from stix.tasks.environment import checkpoint_path, input_path, work_dir
from stix.tasks.failures import StepFailed
from stix.tasks.jobs import client_of, reach_again, runner_of
from stix.tasks.mounts import is_mount, mount_all, mounts_of
from stix.tasks.paths import one_per_host, shell_path
from stix.tasks.pull import Moved, Pull, is_here
from stix.tasks.pull_url import pull_url

SHARED = "shared"
REMOVE_S = 60.0


@dataclass(frozen=True)
class Delivery:
    """Something that has to lie at ``target`` on a node: an artifact, or what a URL names.

    Attributes:
        target: Absolute path, or one that starts by ``~/``.
        shared: The target is outside the node's own directory, where others may have files.
        linked: The stage is content with links to the host's one copy of the files.
    """

    target: str
    digest: str = ""
    url: str = ""
    shared: bool = False
    linked: bool = False


@task(name="sync", persist_result=False)
async def sync(run_id: str, stage: str, attempt: int) -> None:
    """Bring everything that the commands need onto every node."""
    current = ATTEMPT.get()
    await ready_buckets(current)
    await _claim_shared(current)
    hosts = one_per_host(current.nodes)
    moved = await asyncio.gather(
        *(_sync_node(current, node, node in hosts) for node in current.nodes)
    )
    await mount_all(current)
    await current.finish_step("sync", {**await _restore(current), **_told(current, moved)})


async def _restore(attempt: Attempt) -> dict[str, Any]:
    """Put the latest checkpoint of an earlier attempt back, on the first node; what it was."""
    latest = await latest_checkpoint(attempt)
    if latest is None:
        return {}
    head = min(attempt.nodes, key=lambda node: node.rank)
    place = Delivery(checkpoint_path(head, attempt), digest=latest.digest)
    await _deliver_all(attempt, head, [place])
    number = int(latest.name)
    get_run_logger().info("goes on from checkpoint %d of attempt %d", number, latest.attempt)
    facts = {
        "number": number,
        "attempt": latest.attempt,
        "digest": latest.digest,
        "bytes": latest.bytes,
        "taken": latest.created.isoformat(),
    }
    return {"checkpoint": facts}


def deliveries(attempt: Attempt, node: Node) -> list[Delivery]:
    """What has to lie where on ``node``, the working directory first."""
    stage, uploads = attempt.spec, attempt.run.uploads
    work = work_dir(node)
    found: list[Delivery] = []
    if stage.workdir is not None:
        found.append(Delivery(work, digest=uploads[workdir_key(stage.workdir)]))
    for name, parts in attempt.inputs.items():
        base = input_path(node, attempt, name)
        links = stage.inputs[name].shared
        found += [
            Delivery(posixpath.join(base, sub) if sub else base, digest, linked=links)
            for sub, digest in parts
        ]
    for target, mount in stage.file_mounts.items():
        if is_mount(mount):
            continue
        shared = target.startswith(("/", "~"))
        place = target if shared else posixpath.normpath(posixpath.join(work, target))
        url = copied_url(mount)
        if url:
            found.append(Delivery(place, url=url, shared=shared))
        else:
            found.append(Delivery(place, digest=uploads[str(mount.copies)], shared=shared))
    return found


def deliveries_wanted(attempt: Attempt) -> bool:
    """Whether this step has anything to do."""
    spec = attempt.spec
    return bool(spec.workdir or attempt.inputs or spec.file_mounts or spec.checkpoint)


async def _claim_shared(attempt: Attempt) -> None:
    """Record which places outside of the nodes' directories will be ours, before writing there.

    So an engine that takes over knows that what lies there is its own, and ``release`` what it has
    to remove.

    Raises:
        StepFailed: something of somebody else's lies there.
    """
    head = attempt.nodes[0]
    targets = [d.target for d in deliveries(attempt, head) if d.shared]
    targets += [mount.target for mount in mounts_of(attempt, head) if mount.shared]
    if not targets or SHARED in attempt.steps:
        return
    for node in one_per_host(attempt.nodes):
        runner = await runner_of(attempt, node)
        for target in targets:
            await _refuse_existing(attempt, node, runner, target)
    await attempt.finish_step(SHARED, {"targets": targets})


async def _sync_node(attempt: Attempt, node: Node, first: bool) -> Moved:
    """Bring everything; what hosts share only by the first node on its host."""
    wanted = [d for d in deliveries(attempt, node) if first or not d.shared]
    return await _deliver_all(attempt, node, wanted)


def _told(attempt: Attempt, moved: Sequence[Moved]) -> dict[str, Any]:
    """How the bytes came to each node, by its id; only where any had to be moved."""
    pairs = zip(attempt.nodes, moved, strict=True)
    data = {node.ref.id: one.to_dict() for node, one in pairs if one.bytes}
    return {"data": data} if data else {}


async def _deliver_all(attempt: Attempt, node: Node, wanted: Sequence[Delivery]) -> Moved:
    runner = await runner_of(attempt, node)
    todo, moved = list(wanted), Moved()
    while True:
        try:
            while todo:
                moved = moved.plus(await _deliver(attempt, node, runner, todo[0]))
                todo.pop(0)
            return moved
        except ConnectionLost as lost:
            await reach_again(attempt, node, await client_of(attempt, node), lost)
        except (StorageError, OSError) as error:
            raise StepFailed(SetupFailed(exit_code=1, detail=str(error)), str(error)) from error


async def _deliver(attempt: Attempt, node: Node, runner: Runner, delivery: Delivery) -> Moved:
    if delivery.digest and (delivery.linked or not await _is_here(attempt, runner, delivery)):
        limit = attempt.run.runtime.config.host_cache
        pull = Pull(attempt, node, delivery.digest, delivery.target, delivery.linked, limit)
        pull.log = get_run_logger()
        return await pull.run()
    if isinstance(runner, LocalRunner):
        await _materialise(attempt, delivery, Path(delivery.target).expanduser())
        return Moved()
    moved = await pull_url(attempt, node, delivery.url, delivery.target)
    if moved is not None:
        return moved
    with tempfile.TemporaryDirectory(prefix="stix-sync-") as folder:
        staged = Path(folder) / "content"
        await _materialise(attempt, delivery, staged)
        await runner.put(staged, delivery.target)
    return Moved()


async def _is_here(attempt: Attempt, runner: Runner, delivery: Delivery) -> bool:
    return await asyncio.to_thread(is_here, runner, attempt, delivery.digest)


async def _materialise(attempt: Attempt, delivery: Delivery, target: Path) -> None:
    """Write the content to ``target`` on this machine."""

    def write() -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if delivery.url:
            fetch(delivery.url, target)
        else:
            # An attempt that was taken over may find its own half-done work.
            attempt.store.get(delivery.digest, target, replace=True)

    await asyncio.to_thread(write)


async def _refuse_existing(attempt: Attempt, node: Node, runner: Runner, target: str) -> None:
    """Never write over what others have on a shared host.

    Raises:
        StepFailed: something lies at ``target``.
    """
    quoted = shell_path(target)
    while True:
        try:
            done = await runner.run(["sh", "-c", f"test ! -e {quoted} && test ! -L {quoted}"])
            break
        except ConnectionLost as lost:
            await reach_again(attempt, node, await client_of(attempt, node), lost)
    if done.exit_code != 0:
        message = (
            f"file_mounts: {target} exists on the host already; "
            "use a relative target, which lies in the stage's own directory"
        )
        raise StepFailed(SetupFailed(exit_code=1, detail=message), message)


async def remove_shared(attempt: Attempt) -> None:
    """Remove what this step put outside of the nodes' directories; silent where a host is gone."""
    targets = attempt.steps.get(SHARED, {}).get("targets", ())
    for node in one_per_host(attempt.nodes) if targets else ():
        with suppress(RemoteError, CloudError, TimeoutError):
            runner = await attempt.cloud.runner(node)
            # With what a program that died beside a target may have left.
            names = [t.rstrip("/") + end for t in targets for end in ("", ".stix-new", ".stix-old")]
            quoted = " ".join(map(shell_path, names))
            await runner.run(["sh", "-c", f"rm -rf -- {quoted}"], timeout=REMOVE_S)
