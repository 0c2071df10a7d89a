"""Where an artifact came from, and what was made of it: read from the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stix.spec.folders.sources import sources
from stix.spec.wire import from_wire, stage_to_wire
from stix.spec.workdir import workdir_key

if TYPE_CHECKING:
    from stix.ledger import Ledger, RunRow, StageRow
    from stix.spec.stage import StageSpec

MOST = 300
"""Stage runs that one lineage tells of."""


@dataclass(frozen=True)
class _Run:
    row: RunRow
    stages: dict[str, StageRow]
    specs: dict[str, StageSpec]

    def inputs(self, row: StageRow) -> Iterator[tuple[str, str]]:
        """Name and digest of what a stage run took from others."""
        for name, spec in self.specs[row.stage].inputs.items():
            for other in self.stages.values():
                digest = (other.outputs or {}).get(spec.output)
                if other.stage == spec.stage and digest:
                    yield name, str(digest)

    def code(self, stage: str) -> dict[str, Any]:
        """Commands as written, the digest of each source that was sent, and the workdir's commit.

        ``git`` holds ``commit``, ``dirty`` (of a folder: something in it was not committed), and
        ``url``, ``branch`` and ``tag`` where they are known; empty where nothing is.
        """
        spec = self.specs[stage]
        own = workdir_key(spec.workdir) if spec.workdir is not None else ""
        return {
            "run": stage_to_wire(spec).get("run"),
            "workdir": own or None,
            "digest": self.row.uploads.get(own),
            "git": self.row.source.get("code", {}).get(own, {}),
            "uploads": {s: self.row.uploads[s] for s in sources(spec) if s in self.row.uploads},
        }


@dataclass
class Lineage:
    """Collects the stage runs before and behind one artifact."""

    ledger: Ledger
    steps: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    cut: bool = False
    _runs: dict[str, _Run] = field(default_factory=dict)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    async def of(self, digest: str) -> dict[str, Any]:
        """``steps``, oldest first; each with run, stage, code, inputs and outputs.

        ``cut``: there are more than `MOST`.
        """
        await self._before([digest])
        await self._behind([digest])
        steps = sorted(self.steps.values(), key=lambda step: str(step["ended"] or "~"))
        return {"digest": digest, "steps": steps, "cut": self.cut}

    async def _before(self, wanted: list[str]) -> None:
        """Who made these, and what they took, back to the sources."""
        for digest in wanted:  # grows
            if self._is_done("before", digest):
                continue
            places = await self.ledger.stages_with(digest)
            for run_id, key in places[:1]:  # the first made it; later ones found it in the cache
                step = await self._add(run_id, key)
                wanted += [d for digests in step["inputs"].values() for d in digests]

    async def _behind(self, wanted: list[str]) -> None:
        """Who took these, and what they made of it."""
        for digest in wanted:  # grows
            if self._is_done("behind", digest):
                continue
            for run_id in dict.fromkeys(r for r, _ in await self.ledger.stages_with(digest)):
                run = await self._run(run_id)
                for row in run.stages.values():
                    made = row.outputs or {}
                    if row.state.good and digest in dict(run.inputs(row)).values():
                        await self._add(run_id, row.key)
                        wanted += [str(output) for output in made.values()]

    def _is_done(self, way: str, digest: str) -> bool:
        """Whether it was looked at, or there is no room for more."""
        if len(self.steps) >= MOST:
            self.cut = True
            return True
        done = (way, digest) in self._seen
        self._seen.add((way, digest))
        return done

    async def _add(self, run_id: str, key: str) -> dict[str, Any]:
        run = await self._run(run_id)
        row = run.stages[key]
        inputs: dict[str, list[str]] = {}
        for name, digest in run.inputs(row):
            inputs.setdefault(name, []).append(digest)
        step = {
            "run_id": run_id,
            "key": key,
            "state": row.state,
            "params": row.params,
            "ended": row.ended,
            "code": run.code(row.stage),
            "inputs": inputs,
            "outputs": row.outputs or {},
        }
        return self.steps.setdefault((run_id, key), step)

    async def _run(self, run_id: str) -> _Run:
        if run_id not in self._runs:
            row = await self.ledger.run(run_id)
            stages = {stage.key: stage for stage in await self.ledger.stages(run_id)}
            self._runs[run_id] = _Run(row, stages, from_wire(row.spec).resolved().stages)
        return self._runs[run_id]
