"""All that a stage wrote into its mounts goes to the buckets before the stage may succeed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from prefect.logging import get_run_logger

from stix.engine.runtime import Attempt
from stix.errors import StixError
from stix.recovery.events import NodeLost, Preempted
from stix.remote.agent import AgentError
from stix.remote.base import ConnectionLost, RemoteError
from stix.storage.base import StorageError
from stix.storage.mounts import answers, flush
from stix.tasks.failures import FAILURE, StepFailed
from stix.tasks.jobs import client_of, reach_again, runner_of
from stix.tasks.logs import LogFile
from stix.tasks.mounts import (
    MOUNTS,
    Mount,
    all_mounts,
    log_of,
    mount_failed,
    trouble_in,
)

FLUSH = "flush"
"""The entry of an attempt's steps that says what was waiting when its command ended."""
LAST_S = 15.0
"""How long the last flush of an attempt that ended badly may take."""
STOP_S = 10.0
_GONE = (NodeLost.kind, Preempted.kind)


async def flush_all(attempt: Attempt) -> None:
    """Wait until all that the stage wrote into its mounts is in the buckets.

    Raises:
        StepFailed: something is not; the stage must not succeed.
    """
    wanted = [mount for mount in all_mounts(attempt) if mount.write]
    if not wanted or FLUSH in attempt.steps:
        return
    done = await asyncio.gather(*(_flush(mount) for mount in wanted))
    await attempt.finish_step(FLUSH, {"flushed": done})


async def _flush(mount: Mount) -> dict[str, Any]:
    attempt, node, logger = mount.attempt, mount.node, get_run_logger()

    def tell(line: str) -> None:
        logger.info("%s: %s", mount.target, line)

    while True:
        try:
            most = await _flush_once(mount, tell)
            break
        except ConnectionLost as lost:
            await reach_again(attempt, node, await client_of(attempt, node), lost)
        except (StorageError, AgentError, RemoteError) as error:
            message = f"{error.message} {await _why(mount)}".rstrip()
            logger.error("%s: %s", mount.target, message)
            raise mount_failed(mount, message) from error
    logger.info("%s: everything that was written is in %s", mount.target, mount.url)
    return {"target": mount.target, "rank": node.rank, **most}


async def _flush_once(mount: Mount, tell: Callable[[str], None]) -> dict[str, int]:
    runner = await runner_of(mount.attempt, mount.node)
    made = _made(mount)
    if not str(made["tool"]).startswith("rclone"):  # the others upload a file when it is closed
        if not await answers(runner, mount.place, mount.bounds.check):
            raise StorageError("The mount does not answer.", fix="Look at its log.")
        return {"files": 0, "bytes": 0}
    most = await flush(runner, mount.place, made["program"], mount.bounds, tell)
    return {"files": most.files, "bytes": most.bytes}


async def _why(mount: Mount) -> str:
    """What the mount's process said of it, where it can be asked."""
    with suppress(RemoteError, AgentError):
        return trouble_in(await log_of(mount))
    return ""


def _made(mount: Mount) -> dict[str, Any]:
    for made in mount.attempt.steps.get(MOUNTS, {}).get("mounted", ()):
        if made["target"] == mount.target and made["rank"] == mount.node.rank:
            return dict(made)
    raise StorageError(f"{mount.url} was not mounted.", fix="Look at the log of the mount.")


async def leave_mounts(attempt: Attempt) -> None:
    """Unmount, after a last flush where the attempt did not get to its own. Keeps their logs.

    Silent where that cannot be: the agent unmounts too, with the node.
    """
    mounts = list(all_mounts(attempt)) if attempt.ready else []
    if not mounts or attempt.steps.get(FAILURE, {}).get("kind") in _GONE:
        return
    with suppress(StixError, StepFailed, OSError, TimeoutError):
        async with asyncio.timeout(LAST_S):
            if FLUSH not in attempt.steps:
                todo = [_flush_once(mount, lambda _: None) for mount in mounts if mount.write]
                await asyncio.gather(*todo, return_exceptions=True)
    with suppress(StixError, StepFailed, OSError, TimeoutError):
        async with asyncio.timeout(LAST_S):
            await asyncio.gather(*(_end(mount) for mount in mounts), return_exceptions=True)


async def _end(mount: Mount) -> None:
    client = await client_of(mount.attempt, mount.node)
    await client.stop(mount.job, mount.attempt.run.fence.token, STOP_S)
    path = mount.attempt.log_dir / f"mount-{mount.number}-{mount.node.rank}.log"
    data = await log_of(mount)
    log = LogFile(path)
    try:
        log.write(data[log.offset :])
    finally:
        log.close()
