"""What becomes of a stage when those it needs have ended, and of the run at its end; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from stix.spec.expand import Point
from stix.spec.expressions import evaluate
from stix.spec.stage import StageSpec
from stix.spec.states import StageState


class Row(Protocol):
    """What is known of a stage run."""

    @property
    def key(self) -> str: ...
    @property
    def state(self) -> StageState: ...
    @property
    def result(self) -> Any: ...


class Verdicts:
    """The rules of one run.

    Args:
        specs: Stage to its spec.
        points: Key of a stage run to its point.
        rows: Key of a stage run to what is known of it now; it is read anew each time.
    """

    def __init__(
        self,
        specs: Mapping[str, StageSpec],
        points: Mapping[str, Point],
        rows: Mapping[str, Row],
    ) -> None:
        self._specs, self._live = specs, rows
        self._keys: dict[str, list[str]] = {}
        for key, point in points.items():
            self._keys.setdefault(point.stage, []).append(key)

    def of(self, point: Point) -> StageState | None:
        """What is to become of a stage whose needs have all ended; None: run it.

        Raises:
            ExpressionError: its condition cannot be evaluated.
        """
        if self.bad_needs(point):
            return StageState.UPSTREAM_FAILED
        if self.skipped_inputs(point):
            return StageState.SKIPPED
        condition = self._specs[point.stage].when
        if condition is not None and not evaluate(condition, self._names(point)):
            return StageState.SKIPPED
        return None

    def bad_needs(self, point: Point) -> list[str]:
        """Stages that ``point`` needs and cannot do without.

        A stage with a matrix may lose as many points as ``allowed_failures`` says. A skipped stage
        is no hindrance to one that only waits for it, but has no outputs to give.
        """
        spec = self._specs[point.stage]
        sources = {entry.stage for entry in spec.inputs.values()}
        bad: list[str] = []
        for name in spec.upstream():
            rows = self._rows(name)
            failed = [row for row in rows if not (row.state.good or _skipped(row))]
            if len(failed) > self._specs[name].failures_allowed(len(rows)):
                bad += [row.key for row in failed]
            elif (
                name in sources
                and not all(_skipped(row) for row in rows)
                and not any(row.state.good for row in rows)
            ):
                bad.append(name)
        return bad

    def skipped_inputs(self, point: Point) -> list[str]:
        """Stages that were skipped and so have no outputs to give."""
        sources = {entry.stage for entry in self._specs[point.stage].inputs.values()}
        return [name for name in sources if all(_skipped(row) for row in self._rows(name))]

    def failed_stages(self) -> list[str]:
        """Stages with more failed points than they may have, for the end of the run."""
        found: list[str] = []
        for name, spec in self._specs.items():
            rows = self._rows(name)
            failed = [row.key for row in rows if row.state is StageState.FAILED]
            if len(failed) > spec.failures_allowed(len(rows)):
                found += failed
        return found

    def _rows(self, name: str) -> list[Row]:
        return [self._live[key] for key in self._keys.get(name, ())]

    def _names(self, point: Point) -> Mapping[str, Any]:
        """What a ``when`` expression of this point may speak of."""
        spec = self._specs[point.stage]
        stages = {}
        for name in spec.upstream():
            rows = self._rows(name)
            good = [row for row in rows if row.state.good]
            results = [row.result or {} for row in good]
            status = str(rows[0].state) if len(rows) == 1 else ("succeeded" if good else "failed")
            stages[name] = {
                "status": status,
                "result": results[0] if len(rows) == 1 and results else {},
                "results": results,
            }
        inputs = {
            name: any(row.state.good for row in self._rows(entry.stage))
            for name, entry in spec.inputs.items()
        }
        return {
            "stages": stages,
            "matrix": dict(point.values),
            "inputs": inputs,
            "envs": {k: v for k, v in spec.envs.items() if v is not None},
        }


def _skipped(row: Row) -> bool:
    return row.state is StageState.SKIPPED
