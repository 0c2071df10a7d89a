"""Cancel buttons outside STIX: the Prefect UI and ``prefect flow-run cancel``."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter

log = logging.getLogger("stix.engine")

EVENT = "prefect.flow-run.Cancelling"
POLL_S = 10.0

Cancel = Callable[[uuid.UUID], Awaitable[None]]


async def watch_cancellations(client: PrefectClient, cancel: Cancel) -> None:
    """Tell of every flow run that is to be cancelled: at once by events, and by polling."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_by_events(cancel))
        group.create_task(_by_polling(client, cancel))


async def _by_events(cancel: Cancel) -> None:
    wanted = EventFilter(event=EventNameFilter(name=[EVENT]))
    while True:
        try:
            async with get_events_subscriber(filter=wanted) as subscriber:
                async for event in subscriber:
                    name = event.resource["prefect.resource.id"]
                    await cancel(uuid.UUID(name.removeprefix("prefect.flow-run.")))
        except Exception as error:  # noqa: BLE001  whatever breaks the socket, polling goes on
            log.debug("the event stream broke: %r", error)
        await asyncio.sleep(1)


async def _by_polling(client: PrefectClient, cancel: Cancel) -> None:
    wanted = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING])),
        tags=FlowRunFilterTags(all_=["stix"]),
    )
    while True:
        for flow_run in await client.read_flow_runs(flow_run_filter=wanted, limit=200):
            await cancel(flow_run.id)
        await asyncio.sleep(POLL_S)
