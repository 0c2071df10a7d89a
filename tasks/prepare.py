"""The second half of ``provision``: machines that were ordered become nodes that take jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from prefect.logging import get_run_logger

from stix.clouds.base import CanMount, CanPrepare, Node
from stix.clouds.errors import CloudError
from stix.clouds.volumes import Attachment
from stix.engine.cloud_events import ELSEWHERE, event_of
from stix.engine.runtime import Attempt
from stix.engine.volumes import VolumeAway, attachments
from stix.recovery.events import Refused
from stix.tasks.failures import StepFailed


async def prepare_nodes(attempt: Attempt) -> None:
    """Wait for nodes that still boot, side by side. Nothing to do where all are ready.

    Raises:
        CapacityError: the provider gave up making one (see ``ELSEWHERE`` for its kin).
        StepFailed: one was taken away, died, or never answered.
    """
    cloud = attempt.cloud
    if attempt.ready or not isinstance(cloud, CanPrepare):
        return
    get_run_logger().info("waiting for %d node(s) to boot", len(attempt.nodes))
    try:
        volumes = await attachments(attempt)
    except VolumeAway as error:
        raise StepFailed(Refused(detail=error.message), error.message) from error
    tasks = [asyncio.create_task(_one(cloud, node, volumes)) for node in attempt.nodes]
    try:
        nodes = list(await asyncio.gather(*tasks))
    except CloudError as error:
        if isinstance(error, ELSEWHERE):
            raise
        raise StepFailed(event_of(error), f"no node: {error.message}") from error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # Before any job: an engine that takes over must find the agents, not boot them again.
    await attempt.run.runtime.ledger.update_nodes(
        attempt.run.fence, attempt.token, [node.to_dict() for node in nodes]
    )
    attempt.nodes = nodes


async def give_back(attempt: Attempt) -> None:
    """Remove nodes that came to nothing, before others are asked for elsewhere."""
    if not attempt.nodes:
        return
    try:
        await attempt.cloud.terminate([node.ref for node in attempt.nodes])
    except CloudError as error:
        # Their cluster stays open, so that `release` and the sweeper come back for them.
        raise StepFailed(event_of(error), f"a node is not removed: {error.message}") from error
    ledger = attempt.run.runtime.ledger
    await ledger.close_cluster(attempt.run.fence, attempt.token, "never ready")
    attempt.nodes = []


async def _one(cloud: CanPrepare, node: Node, volumes: Sequence[Attachment]) -> Node:
    """The node with its agent and its disks. It is noted as ready only with both, so that an
    engine that takes over between the two mounts them again."""
    if node.socket:
        return node
    ready = await cloud.prepare(node)
    if volumes and isinstance(cloud, CanMount):
        await cloud.attach(ready, volumes)
        await cloud.mount(ready, volumes)
    return ready
