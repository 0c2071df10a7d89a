"""The work pool of the engines' workers, there as soon as the server says that it is ready.

The workers would make it too, but seconds later: ``prefect deploy`` must find it.
"""

from __future__ import annotations

from http import HTTPStatus

import httpx
from starlette.types import ASGIApp

from stix.errors import StixError
from stix.flows.pool import POOL


async def make_work_pool(prefect: ASGIApp) -> None:
    """Make it where it is missing; the first worker completes its template.

    Args:
        prefect: Prefect's server, started.
    """
    transport = httpx.ASGITransport(app=prefect)
    async with httpx.AsyncClient(transport=transport, base_url="http://stix") as client:
        answer = await client.post("/api/work_pools/", json={"name": POOL, "type": POOL})
    if answer.status_code not in (HTTPStatus.CREATED, HTTPStatus.CONFLICT):
        raise StixError(f"Prefect made no work pool {POOL}: {answer.status_code} {answer.text}")
