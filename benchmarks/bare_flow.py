"""The peer of ``engine.py``: a plain Prefect flow of the same shape, by Prefect's own means.

``python bare_flow.py chain|fan-out N TASKS``, with PREFECT_API_URL of a running server. Each stage
is a wrapper task that calls a nested flow of ``TASKS`` no-op tasks. All is awaited on one event
loop, which was seen to be Prefect's fastest way: with ``submit()`` to its thread pool a chain took
1.2 s per stage. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from prefect import flow, task


@task
async def no_op(stage: int, step: int) -> None:
    """One step."""


@flow
async def bare_stage(stage: int, steps: int) -> int:
    """One stage."""
    for step in range(steps):
        await no_op(stage, step)
    return stage


@task
async def wrapper(stage: int, steps: int) -> int:
    """What the UI draws as the stage."""
    return await bare_stage(stage, steps)


@flow
async def bare_chain(stages: int, steps: int) -> None:
    """One stage after the other."""
    for stage in range(stages):
        await wrapper(stage, steps)


@flow
async def bare_fan_out(stages: int, steps: int) -> None:
    """All stages side by side."""
    await asyncio.gather(*(wrapper(stage, steps) for stage in range(stages)))


def main() -> None:
    """Run one shape and print what it took."""
    shape, stages, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    run = bare_chain if shape == "chain" else bare_fan_out
    begin, before = time.perf_counter(), os.times()
    state = asyncio.run(run(stages, steps, return_state=True))
    after = os.times()
    cpu = after.user + after.system - before.user - before.system
    wall = time.perf_counter() - begin
    print(json.dumps({"wall": wall, "cpu": cpu, "state": state.name}))


if __name__ == "__main__":
    main()
