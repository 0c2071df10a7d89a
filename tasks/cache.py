"""Whether an earlier run's outputs serve: the key of a stage run, part by part."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from stix.engine.runtime import RunContext
from stix.ledger import CacheHit
from stix.spec.expand import Point
from stix.spec.folders.sources import sources
from stix.spec.wire import stage_to_wire
from stix.storage.cache import cache_key, cache_parts


@dataclass(frozen=True)
class CachePlan:
    """The key of a stage run, what it is made of, and the earlier outputs that serve.

    Attributes:
        wanted: Whether the stage's outputs may be used by later runs.
        accepted: The user said that the earlier outputs serve, whatever changed since.
    """

    key: str | None
    parts: dict[str, str]
    wanted: bool
    hit: CacheHit | None = None
    accepted: bool = False


async def plan_cache(run: RunContext, point: Point, inputs: Mapping[str, str]) -> CachePlan:
    """Compute the key; look it up unless the run or the stage says not to."""
    spec = run.specs[point.stage]
    uploads = {source: run.uploads[source] for source in sources(spec)}
    parts = cache_parts(stage_to_wire(spec), point.params, inputs, uploads)
    key = cache_key(parts)
    refused = run.options.get("no_cache") or point.stage in run.options.get("force", ())
    if not spec.cached or refused:
        return CachePlan(key, parts, spec.cached)
    hit = await run.runtime.ledger.cache_get(key)
    if hit is not None and await asyncio.to_thread(_whole, run, hit):
        return CachePlan(key, parts, True, hit)
    old = await _accepted(run, point)
    return CachePlan(key, parts, True, old, accepted=old is not None)


async def _accepted(run: RunContext, point: Point) -> CacheHit | None:
    """The newest earlier outputs, where the user said that they serve and they are all there."""
    if point.stage not in run.options.get("accept", ()):
        return None
    ledger, params = run.runtime.ledger, dict(point.params)
    old = await ledger.last_outputs(run.name, point.stage, params, run.run_id)
    if old is None or old.outputs.keys() != run.specs[point.stage].outputs.keys():
        return None
    return old if await asyncio.to_thread(_whole, run, old) else None


def _whole(run: RunContext, hit: CacheHit) -> bool:
    """Whether the store holds every output of an earlier run, and will until we recorded it."""
    return all(run.runtime.store.keep(digest) for digest in hit.outputs.values())
