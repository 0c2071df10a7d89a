"""Steps ``setup`` and ``run``: the user's commands."""

from __future__ import annotations

import time

from prefect import task

from stix.engine.runtime import ATTEMPT, Attempt
from stix.recovery.events import OutOfMemory, SetupFailed, TimedOut, UserError
from stix.remote.agent import JobStatus
from stix.tasks.checkpoint import checkpointing
from stix.tasks.failures import StepFailed
from stix.tasks.jobs import Command, exit_code_of, run_command
from stix.tasks.mountwatch import beside_mounts, blame_mounts


@task(name="setup", persist_result=False)
async def setup(run_id: str, stage: str, attempt: int) -> None:
    """Run the stage's ``setup`` on every node."""
    current = ATTEMPT.get()
    script = current.spec.setup
    if script:
        end = await _within_timeout(current, "setup", script)
        if exit_code_of(end) != 0:
            await blame_mounts(current)
            message = f"setup ended with exit code {exit_code_of(end)}"
            raise StepFailed(SetupFailed(exit_code=exit_code_of(end), detail=message), message)
    await current.finish_step("setup", {"ran": bool(script)})


@task(name="run", persist_result=False)
async def run(run_id: str, stage: str, attempt: int) -> None:
    """Run the stage's command on every node and wait for its end."""
    current = ATTEMPT.get()
    end = await _within_timeout(current, "run", current.spec.run or "")
    if end.oom:
        message = "the kernel ended it for want of memory"
        raise StepFailed(OutOfMemory(detail=message), message)
    if exit_code_of(end) != 0:
        await blame_mounts(current)
        message = f"the command ended with exit code {exit_code_of(end)}"
        raise StepFailed(UserError(exit_code=exit_code_of(end), detail=message), message)
    await current.finish_step("run", {"exit_code": 0, "usage": dict(end.usage)})


async def _within_timeout(attempt: Attempt, kind: str, script: str) -> JobStatus:
    """Run a command within what is left of the stage's timeout, counted over takeovers too."""
    timeout = attempt.spec.timeout
    left: float | None = None
    if timeout is not None:
        if "clock" not in attempt.steps:
            await attempt.finish_step("clock", {"started": time.time()})
        left = max(0.0, attempt.steps["clock"]["started"] + timeout - time.time())
    try:
        async with checkpointing(attempt if kind == "run" else None):
            command = run_command(attempt, Command(kind, script, left))
            return await beside_mounts(attempt, command)
    except TimeoutError as error:
        message = f"the stage was stopped after its timeout of {timeout:g} s"
        raise StepFailed(TimedOut(detail=message), message) from error
