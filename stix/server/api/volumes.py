"""Volumes: what there is, one more, one less."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError

from stix.server.api.encode import all_plain, plain
from stix.server.api.system import Here
from stix.server.volumes import VolumeBook
from stix.spec.messages import explain
from stix.spec.problems import SpecErrors
from stix.spec.volumefile import VolumeFile

router = APIRouter()


@router.get("/volumes")
async def volumes(context: Here, refresh: bool = False) -> list[Any]:
    """All volumes, each with who uses it; ``refresh`` asks the clouds whether they have them."""
    rows = await context.ledger.volumes()
    gone = await VolumeBook(context).missing(rows) if refresh else set()
    shown = all_plain(rows)
    return [{**row, "missing": row["name"] in gone} for row in shown] if refresh else shown


@router.post("/volumes")
async def apply(context: Here, body: dict[str, Any]) -> Any:
    """Have a volume as its file describes it."""
    try:
        file = VolumeFile.model_validate(body)
    except ValidationError as refusal:
        raise SpecErrors(explain(refusal, body, VolumeFile, ())) from None
    return plain(await VolumeBook(context).apply(file))


@router.delete("/volumes/{name}")
async def delete(context: Here, name: str, purge: bool = False) -> dict[str, str]:
    """Remove a volume with what it holds."""
    await VolumeBook(context).delete(name, purge=purge)
    return {"name": name}
