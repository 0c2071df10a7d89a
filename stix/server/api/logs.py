"""The full output of stages, piece by piece."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from stix.ledger import NotFound
from stix.server.api.runs import LONGEST_WAIT_S
from stix.server.api.system import Here
from stix.server.context import Context
from stix.spec.states import AttemptState

router = APIRouter()

PIECE_BYTES = 256 * 1024
_LOOK_EVERY_S = 0.1
_ASK_EVERY_S = 0.5


@dataclass(frozen=True)
class Stream:
    """Names one stream: a step of one attempt on one node."""

    run_id: str
    stage: str
    attempt: int
    step: str
    rank: int

    def path(self, context: Context) -> Path:
        """The file that holds it."""
        folder = context.config.attempt_logs(self.run_id, self.stage, self.attempt)
        return folder / f"{self.step}-{self.rank}.log"


class Piece(BaseModel):
    """Which bytes of which stream: the last attempt where none is named."""

    model_config = ConfigDict(extra="forbid")

    stage: str
    attempt: int | None = Field(None, ge=1)
    rank: int = Field(0, ge=0)
    step: Literal["setup", "run"] = "run"
    offset: int = Field(0, ge=0)
    wait: float = Field(0, ge=0, le=LONGEST_WAIT_S)


@router.get("/runs/{name}/logs")
async def logs(context: Here, name: str, wish: Annotated[Piece, Query()]) -> dict[str, Any]:
    """A piece of output from byte ``offset`` on; waits for some. ``end``: no more will come."""
    run_id = await context.ledger.resolve(name)
    number = wish.attempt or await _last_attempt(context, run_id, wish.stage)
    stream = Stream(run_id, wish.stage, number, wish.step, wish.rank)
    path = stream.path(context)
    deadline = time.monotonic() + wish.wait
    asked = float("-inf")
    over = False
    while True:
        if time.monotonic() - asked > _ASK_EVERY_S:
            # Before the file is read: what an attempt that is over wrote is there by then.
            over = await _over(context, stream)
            asked = time.monotonic()
        data, more = await asyncio.to_thread(_read, path, wish.offset, over)
        left = deadline - time.monotonic()
        if data or over or left <= 0:
            text = data.decode("utf-8", "replace")
            end = over and not more
            return {"data": text, "offset": wish.offset + len(data), "end": end, "attempt": number}
        await asyncio.sleep(min(_LOOK_EVERY_S, left))


async def _last_attempt(context: Context, run_id: str, stage: str) -> int:
    attempts = await context.ledger.attempts(run_id, stage)
    if not attempts:
        await context.ledger.stage(run_id, stage)  # says so where there is no such stage
        return 1
    return max(row.number for row in attempts)


async def _over(context: Context, stream: Stream) -> bool:
    rows = await context.ledger.attempts(stream.run_id, stream.stage)
    for row in rows:
        if row.number == stream.attempt:
            return row.state is not AttemptState.RUNNING or stream.step in row.steps
    if rows and stream.attempt > max(row.number for row in rows) + 1:
        raise NotFound(f"stage {stream.stage} of run {stream.run_id} has had {len(rows)} attempts")
    stage = await context.ledger.stage(stream.run_id, stream.stage)
    return stage.state.final


def _read(path: Path, offset: int, over: bool) -> tuple[bytes, bool]:
    """Bytes from ``offset`` that are whole characters, and whether more lie behind them."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(PIECE_BYTES)
            more = len(file.peek(1)) > 0 if len(data) == PIECE_BYTES else False
    except FileNotFoundError:
        return b"", False
    return (data if over and not more else _whole(data)), more


def _whole(data: bytes) -> bytes:
    """``data`` without the beginning of a character at its end (UTF-8: at most three bytes)."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte < 0x80:
            return data
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if length > back else data
    return data
