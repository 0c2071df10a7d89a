"""Health, status, stop."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Request

from stix import __version__
from stix.server.context import Context
from stix.server.idle import idle_seconds

router = APIRouter()


def context_of(request: Request) -> Context:
    """The context of the app that answers ``request``."""
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(context_of)]


@router.get("/health")
async def health(context: Here) -> dict[str, Any]:
    """Answers as soon as the server serves."""
    return {"ok": True, "version": __version__, "home": str(context.config.home)}


@router.get("/status")
async def status(context: Here, request: Request) -> dict[str, Any]:
    """Processes, addresses, runs by state, seconds without work."""
    processes = context.config.home / "processes.json"
    rows = json.loads(processes.read_text()) if processes.is_file() else []
    active, _ = await context.ledger.recent_activity()
    base = f"http://{request.headers.get('host', '127.0.0.1')}"
    summaries = await context.ledger.runs(limit=1000)
    states: dict[str, int] = {}
    for run in summaries:
        states[str(run.state)] = states.get(str(run.state), 0) + 1
    return {
        "processes": rows,
        "urls": {
            "stix": f"{base}/stix/v1",
            "prefect_ui": base,
            "prefect_api": f"{base}/api",
        },
        "runs": states,
        "active_runs": active,
        "idle_seconds": await idle_seconds(context),
        "home": str(context.config.home),
        "version": __version__,
    }


@router.post("/stop", status_code=202)
async def stop(context: Here, later: BackgroundTasks) -> dict[str, Any]:
    """Stop the whole home; the answer comes first."""
    later.add_task(context.stop_home)
    return {"stopping": True}
