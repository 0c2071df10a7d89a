"""Artifacts: which there are, what is in them, their content."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from stix.server.api.encode import all_plain
from stix.server.api.system import Here

router = APIRouter()


@router.get("/artifacts")
async def artifacts(context: Here, run: str | None = None) -> list[Any]:
    """Artifacts of one run, or of all."""
    run_id = await context.ledger.resolve(run) if run else None
    return all_plain(await context.ledger.artifacts(run_id=run_id))


@router.get("/artifacts/{digest}")
async def artifact(context: Here, digest: str) -> dict[str, Any]:
    """One artifact: its files, and where it came from."""
    manifest = await asyncio.to_thread(context.store.manifest, digest)
    return {
        "digest": digest,
        "kind": manifest.kind,
        "bytes": manifest.bytes,
        "url": context.store.url_of(digest),
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
    await asyncio.to_thread(context.store.manifest, digest)
    return StreamingResponse(context.store.tar(digest), media_type="application/x-tar")
