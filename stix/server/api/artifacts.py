"""Artifacts: which there are, what is in them, their content."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from stix.plan.regions import Place
from stix.server.api.encode import all_plain, plain
from stix.server.api.system import Here
from stix.server.context import Context
from stix.server.lineage import Lineage
from stix.storage.artifacts import Swept, Wish
from stix.storage.artifacts.states import DAMAGED, MENDED, MISSING, THERE, WHOLE

router = APIRouter()

HERE = Place("local")
"""Where the server is: it pays nothing for what it sends, and what others send has their price."""


class Cleaning(BaseModel):
    """What garbage collection may take.

    Attributes:
        older_s: Runs that ended longer ago, in seconds, are not kept.
        keep_last: The newest so many runs of each pipeline are kept whatever their age.
    """

    model_config = ConfigDict(extra="forbid")

    older_s: float = Field(30 * 86_400.0, ge=0)
    keep_last: int = Field(1, ge=0)
    dry_run: bool = False


class Wanted(BaseModel):
    """Where a replica is wanted: the URL of a store as config.yaml has it."""

    model_config = ConfigDict(extra="forbid")

    url: str


@router.get("/artifacts")
async def artifacts(context: Here, run: str | None = None) -> list[Any]:
    """Artifacts of one run, or of all, with the stores that were seen to have them."""
    run_id = await context.ledger.resolve(run) if run else None
    rows = all_plain(await context.ledger.artifacts(run_id=run_id))
    stores = await context.ledger.replicas([row["digest"] for row in rows])
    return [{**row, "stores": stores.get(row["digest"], [])} for row in rows]


@router.get("/artifacts/{digest}")
async def artifact(context: Here, digest: str) -> dict[str, Any]:
    """One artifact: its files, the stores that have it, and where it came from."""
    manifest = await asyncio.to_thread(context.store.manifest, digest)
    states = await asyncio.to_thread(context.store.near(HERE).where, digest)
    await context.ledger.add_replicas(digest, [u for u, state in states.items() if state == THERE])
    return {
        "digest": digest,
        "kind": manifest.kind,
        "bytes": manifest.bytes,
        "stores": [{"url": url, "state": state} for url, state in states.items()],
        "files": [
            {"path": e.path, "type": e.type, "size": e.size, "mode": e.mode}
            for e in manifest.entries
        ],
        "names": all_plain(await context.ledger.artifacts(digest=digest)),
    }


@router.get("/artifacts/{digest}/tar")
async def artifact_tar(context: Here, digest: str) -> StreamingResponse:
    """The content as a tar stream."""
    # A missing artifact must be an answer of its own, not a stream that breaks off.
    stream = await asyncio.to_thread(context.store.near(HERE).tar, digest)
    return StreamingResponse(stream, media_type="application/x-tar")


@router.get("/artifacts/{digest}/verify")
async def verify(context: Here, digest: str) -> dict[str, Any]:
    """Read an artifact in every store that has it and compare all of it with its digests.

    Where it is damaged in one store and whole in another, it is mended from there.
    """
    checked = await asyncio.to_thread(context.store.check, digest)
    found = [asdict(one) for one in checked if one.state != MISSING]
    whole = any(one["state"] in {WHOLE, MENDED} for one in found)
    if not whole and not any(one["state"] == DAMAGED for one in found):
        await asyncio.to_thread(context.store.manifest, digest)  # says why
    size = (await asyncio.to_thread(context.store.manifest, digest)).bytes if whole else None
    ok = whole and all(one["state"] != DAMAGED for one in found)
    problem = "\n".join(one["problem"] for one in found if one["problem"])
    return {"digest": digest, "ok": ok, "problem": problem, "bytes": size, "stores": found}


@router.post("/artifacts/{digest}/replicas")
async def replicate(context: Here, digest: str, body: Wanted) -> dict[str, Any]:
    """Copy an artifact to one more of the stores."""
    stored = await asyncio.to_thread(context.store.replicate, digest, body.url)
    await context.ledger.add_replicas(digest, [body.url.rstrip("/")])
    return {"digest": digest, "url": body.url, "bytes": stored.bytes, "new_bytes": stored.new_bytes}


@router.get("/artifacts/{digest}/lineage")
async def lineage(context: Here, digest: str) -> dict[str, Any]:
    """The stage runs before and behind an artifact, with their code and inputs."""
    await asyncio.to_thread(context.store.manifest, digest)
    told: dict[str, Any] = plain(await Lineage(context.ledger).of(digest))
    return told


@router.post("/artifacts/gc")
async def collect_garbage(context: Here, body: Cleaning) -> StreamingResponse:
    """Delete what no run that is kept relies on. A line of JSON per step, the last is the end."""
    return StreamingResponse(_collecting(context, body), media_type="application/x-ndjson")


async def _collecting(context: Context, body: Cleaning) -> AsyncIterator[str]:
    roots = await context.ledger.artifact_roots(body.older_s, body.keep_last)
    loop, steps = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any] | None]()

    def tell(what: str, done: int, total: int) -> None:
        step = {"step": what, "done": done, "total": total}
        loop.call_soon_threadsafe(steps.put_nowait, step)

    wish = Wish(lambda: roots, dry_run=body.dry_run, tell=tell)
    work = asyncio.create_task(asyncio.to_thread(context.store.gc, wish))
    work.add_done_callback(lambda _: steps.put_nowait(None))
    while (step := await steps.get()) is not None:
        yield json.dumps(step) + "\n"
    swept = await work
    end: dict[str, Any] = {"end": await _told(context, swept, body.dry_run)}
    problems = [one.problem for one in swept if one.problem is not None]
    if len(problems) == len(swept):
        end = {"error": {"message": problems[0].message, "fix": problems[0].fix}}
    yield json.dumps(end) + "\n"


async def _told(context: Context, swept: Sequence[Swept], dry_run: bool) -> dict[str, Any]:
    """What went, with the names that it had, and the cache without what is nowhere any more."""
    named = {row.digest: row for row in await context.ledger.artifacts()}
    rows, stores, sums = [], [], {"chunks": 0, "bytes": 0, "kept": 0}
    for one in swept:
        done = one.collected
        for digest, size in done.artifacts.items() if done else ():
            row = named.get(digest)
            name = f"{row.key}.{row.name}" if row else None
            facts = {"digest": digest, "bytes": size, "run_id": row and row.run_id, "name": name}
            rows.append({**facts, "store": one.url})
        counts = (done.chunks, done.bytes, done.kept) if done else (0, 0, 0)
        found = dict(zip(("chunks", "bytes", "kept"), counts, strict=True))
        sums = {name: sums[name] + found[name] for name in sums}
        stores.append({"url": one.url, "problem": one.problem and str(one.problem), **found})
    if not dry_run:
        vanished = await asyncio.to_thread(context.store.vanished, swept)
        await context.ledger.forget_outputs(vanished)
        for one in swept:
            gone = list(one.collected.artifacts) if one.collected else []
            await context.ledger.forget_replicas(one.url, gone)
    return {"artifacts": rows, **sums, "dry_run": dry_run, "stores": stores}
