"""The FastAPI app of the STIX API: who may call, and how errors look."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from stix.clouds.errors import CloudError, VolumeInUse
from stix.errors import StixError, UsageError
from stix.ledger import LedgerUnavailable, NotFound, WrongState
from stix.plan.answer import Unmet
from stix.plan.choose import Unplaced
from stix.plan.joint import JointError
from stix.plan.place import PlanError
from stix.server.api import artifacts, clouds, estate, logs, plan, runs, submit, system, volumes
from stix.server.context import Context
from stix.server.sweeper import Sweeper
from stix.spec.problems import Problem, SpecErrors
from stix.spec.problems import error as problem_at
from stix.storage.base import NotInStore

log = logging.getLogger("stix.server.api")

ROOT = "/stix/v1"
OPEN_PATHS = {f"{ROOT}/health"}

_STATUS: tuple[tuple[type[StixError], int], ...] = (
    (SpecErrors, 422),
    (UsageError, 400),
    (NotFound, 404),
    (NotInStore, 404),
    (WrongState, 409),
    (PlanError, 422),
    (JointError, 422),
    (Unmet, 422),
    (LedgerUnavailable, 503),
    (VolumeInUse, 409),
    (CloudError, 502),
)


def create_api(context: Context) -> FastAPI:
    """The app; ``app.state`` holds what its calls work on."""
    app = FastAPI(title="STIX", docs_url=None, redoc_url=None, openapi_url=f"{ROOT}/openapi.json")
    app.state.context = context
    app.state.sweeper = Sweeper(context)
    token = context.config.token().encode()

    @app.middleware("http")
    async def authorise(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if request.url.path in OPEN_PATHS:
            return await call_next(request)
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(given, token):
            return _error(401, "the token is missing or wrong", f"see {context.config.token_file}")
        if request.url.path != f"{ROOT}/status":  # it tells how long nobody called
            context.touch()
        return await call_next(request)

    app.add_exception_handler(StixError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)
    for part in (system, submit, plan, runs, logs, artifacts, clouds, estate, volumes):
        app.include_router(part.router, prefix=ROOT)
    return app


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, StixError)
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    body: dict[str, object] = {
        "message": error.message,
        "fix": error.fix,
        "code": type(error).__name__,
    }
    if isinstance(error, SpecErrors):
        body["problems"] = [_wire(problem) for problem in error.problems]
    elif isinstance(error, PlanError):
        body["problems"] = [_wire(_unplaced(stage)) for stage in error.unplaced]
    return JSONResponse({"error": body}, status)


def _wire(problem: Problem) -> dict[str, object]:
    """With its path in parts: the client, which holds the file, finds the line by it."""
    return {**problem.to_dict(), "parts": list(problem.parts), "on_key": problem.on_key}


def _unplaced(stage: Unplaced) -> Problem:
    alone = PlanError([stage])
    return problem_at(("stages", stage.stage, "resources"), alone.message, alone.fix)


async def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return _error(400, f"{place}: {first['msg']}", "see docs/architecture.md")


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, str(error.detail), "see docs/architecture.md")


async def _failed(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _error(500, f"the server failed: {type(error).__name__}", "see `stix server logs`")


def _error(status: int, message: str, fix: str) -> Response:
    body = {"message": message, "fix": fix, "code": f"http_{status}"}
    return Response(json.dumps({"error": body}), status, media_type="application/json")
