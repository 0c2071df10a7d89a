"""What mounts do while a stage runs: they are watched, and blamed for what they broke.

A program that got an error from a mount ends as if the error were its own. So when a command
failed, its mounts are asked: an attempt whose mount was down is tried again, as one that could not
be set up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from prefect.logging import get_run_logger

from stix.engine.runtime import Attempt
from stix.remote.agent import AgentError
from stix.remote.base import ConnectionLost, RemoteError
from stix.storage.mounts import answers
from stix.tasks.failures import StepFailed
from stix.tasks.jobs import client_of, reach_again, runner_of
from stix.tasks.mounts import Mount, all_mounts, log_of, mount_failed, said_by, trouble_in

T = TypeVar("T")

EVERY_S = 3.0
SETTLE_S = 2.0
"""Pause until a provider is asked for the node of a mount that ended."""


async def beside_mounts(attempt: Attempt, work: Coroutine[Any, Any, T]) -> T:
    """``work``, which is cancelled when a mount of the attempt ends.

    Raises:
        StepFailed: one ended.
    """
    mounts = list(all_mounts(attempt))
    if not mounts:
        return await work
    main = asyncio.create_task(work)
    watch = asyncio.create_task(_first_end(mounts))
    try:
        await asyncio.wait({main, watch}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        main.cancel()
        watch.cancel()
        await asyncio.gather(main, watch, return_exceptions=True)
    if main.cancelled():
        raise await _verdict(watch.result())
    return main.result()


async def _verdict(ended: Mount) -> StepFailed:
    """What the end of a mount means: of the node, where a machine that goes down began with it.

    Raises:
        StepFailed: the node is gone.
    """
    words = await _last_words(ended)
    await asyncio.sleep(SETTLE_S)
    client = await client_of(ended.attempt, ended.node)
    await reach_again(ended.attempt, ended.node, client, ConnectionLost("a mount ended"))
    return mount_failed(ended, words)


async def _first_end(mounts: list[Mount]) -> Mount:
    """The first mount whose job is over. Nodes that do not answer are another's business."""
    while True:
        for mount in mounts:
            with suppress(ConnectionLost):
                client = await client_of(mount.attempt, mount.node)
                try:
                    state = (await client.status(mount.job)).state
                except AgentError:  # the agent was started anew, and with it nothing else
                    return mount
                if state == "exited":
                    return mount
        await asyncio.sleep(EVERY_S)


async def blame_mounts(attempt: Attempt) -> None:
    """After a command that failed.

    Raises:
        StepFailed: a mount is down, or had errors; else the command failed by itself.
    """
    for mount in all_mounts(attempt):
        try:
            runner = await runner_of(attempt, mount.node)
            up = await answers(runner, mount.place, mount.bounds.check)
            said = trouble_in(await log_of(mount))
        except (RemoteError, AgentError):
            continue  # a lost node has its own verdict
        if not up or said:
            get_run_logger().warning("%s: its mount had errors", mount.target)
            said = said or "it does not answer"
            raise mount_failed(mount, f"its mount had errors while the command ran: {said}")


async def _last_words(mount: Mount) -> str:
    with suppress(RemoteError, AgentError):
        return f"its mount ended while the stage ran: {await said_by(mount)}"
    return "its mount ended while the stage ran"
