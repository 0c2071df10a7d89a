"""The server process: Prefect's API and UI, the fenced way to that API, and the STIX API.

Started by the supervisor with a listening socket: ``python -m stix.server.app --fd N``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from stix.config import Config
from stix.errors import StixError
from stix.logging import setup
from stix.server.api import create_api
from stix.server.context import Context, open_context
from stix.server.fence import Fence
from stix.server.idle import stop_when_idle
from stix.server.process import watch_parent
from stix.server.sweeper import Sweeper
from stix.server.work_pool import make_work_pool

log = logging.getLogger("stix.server")

PREFIX = "/stix/"
START_FAILED = 3


@dataclass(frozen=True)
class Apps:
    """What answers: Prefect, its API behind the fence, the STIX API; and what starts them."""

    prefect: ASGIApp
    fence: ASGIApp
    api: ASGIApp
    lifespan: ASGIApp


class Root:
    """Sends each request to the app whose path it names.

    Args:
        apps: What answers.
        used: Called at each request of Prefect's API or UI that no engine of ours made.
    """

    def __init__(self, apps: Apps, used: Callable[[], None]) -> None:
        self._apps = apps
        self._used = used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._choose(scope)(scope, receive, send)

    def _choose(self, scope: Scope) -> ASGIApp:
        if scope["type"] == "lifespan":
            return self._apps.lifespan
        path = scope["path"]
        if path.startswith(PREFIX):
            return self._apps.api
        if path.startswith("/e/"):
            return self._apps.fence
        self._used()
        return self._apps.prefect


def create_root(config: Config) -> Root:
    """The whole ASGI app of a home. Prefect reads its settings from the environment."""
    from prefect.server.api.server import create_app

    prefect = create_app(final=True)
    context = Context(config)
    api = create_api(context)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(open_context(context))
            except StixError as error:
                log.error("the server cannot start: %s", error)
                os._exit(START_FAILED)
            await stack.enter_async_context(prefect.router.lifespan_context(prefect))
            await make_work_pool(prefect)
            _set_up_logging()  # again: Prefect has put its own in place
            gc.freeze()
            gc.enable()
            await stack.enter_async_context(_background(context, api.state.sweeper))
            yield

    fence = Fence(prefect, context.standing)
    apps = Apps(prefect, fence, api, Starlette(lifespan=lifespan))
    return Root(apps, context.touch)


@asynccontextmanager
async def _background(context: Context, sweeper: Sweeper) -> AsyncIterator[None]:
    works = [context.waiters.serve(context.ledger), sweeper.serve()]
    if os.environ.get("STIX_SERVER_AUTO"):
        works.append(stop_when_idle(context))
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m stix.server.app")
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    descriptor = parser.parse_args().fd
    os.set_inheritable(descriptor, False)  # not for the processes that we start
    _set_up_logging()
    gc.disable()  # what is imported now stays: looking through it costs a fifth of the start
    asyncio.run(_serve(Config.load(), descriptor))
    return 0


def _set_up_logging() -> None:
    setup(logging.INFO)
    uvicorn_log = logging.getLogger("uvicorn")
    uvicorn_log.handlers[:] = []
    uvicorn_log.propagate = True
    uvicorn_log.setLevel(logging.INFO)
    for noisy in ("httpx", "alembic", "docket"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


async def _serve(config: Config, descriptor: int) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            create_root(config),
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=3,
            ws="auto",
        )
    )
    parent = int(os.environ.get("STIX_SUPERVISOR") or os.getppid())
    watch = asyncio.create_task(watch_parent(parent, lambda: os._exit(1)))
    with socket.socket(fileno=descriptor) as listener:
        await server.serve(sockets=[listener])
    watch.cancel()
    if not server.started:
        os._exit(START_FAILED)  # threads of a start that failed would keep us


if __name__ == "__main__":
    sys.exit(main())
