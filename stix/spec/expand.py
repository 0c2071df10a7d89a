"""Stages with a matrix to points, in the order in which they may run."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from stix.errors import StixError
from stix.spec.models import PipelineSpec
from stix.spec.values import Scalar

MAX_POINTS = 10_000
# Everything but what would end a part of a key: , = [ ] % and controls are quoted.
_PLAIN = " !\"#$&'()*+-./:;<>?@^_`{|}~\\"


@dataclass(frozen=True)
class Point:
    """One stage run.

    Attributes:
        key: ``train``, or ``train[model=svm,seed=1]`` with matrix keys in the order of the file.
        stage: Name of its stage.
        params: Matrix values as text, as the stage's environment gets them.
        needs: Keys that must end before.
        index: Its number among the points of its stage, from 0.
        values: Matrix values with their types, for expressions.
    """

    key: str
    stage: str
    params: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    index: int = 0
    values: dict[str, Scalar] = field(default_factory=dict)


def point_key(stage: str, params: Mapping[str, str]) -> str:
    """The key of a point; commas, brackets and the like in values are percent-quoted."""
    if not params:
        return stage
    inner = ",".join(f"{k}={quote(v, safe=_PLAIN)}" for k, v in params.items())
    return f"{stage}[{inner}]"


def order(pipeline: PipelineSpec) -> list[str]:
    """Names of stages such that each comes after those it needs; else in the order of the file.

    Raises:
        StixError: there is a cycle.
    """
    done: dict[str, None] = {}
    left = {
        n: {u for u in s.upstream() if u in pipeline.stages} for n, s in pipeline.stages.items()
    }
    while left:
        ready = [name for name, needs in left.items() if needs <= done.keys()]
        if not ready:
            names = ", ".join(left)
            raise StixError(f"these stages wait for each other: {names}", fix="break the cycle")
        for name in ready:
            done[name] = None
            del left[name]
    return list(done)


def count(pipeline: PipelineSpec) -> int:
    """How many points the pipeline has."""
    total = 0
    for stage in pipeline.stages.values():
        points = 1
        for entries in stage.matrix.values():
            points *= len(entries)
        total += points
    return total


def points(pipeline: PipelineSpec) -> list[Point]:
    """Every point in topological order.

    A stage waits for all points of the stages it needs.

    Raises:
        StixError: there are more than 10,000, or there is a cycle.
    """
    pipeline = pipeline.resolved()
    total = count(pipeline)
    if total > MAX_POINTS:
        fix = "make the matrix smaller, or split the pipeline"
        raise StixError(f"the pipeline has {total} points; at most {MAX_POINTS} run", fix=fix)
    out: list[Point] = []
    keys: dict[str, tuple[str, ...]] = {}
    for name in order(pipeline):
        stage = pipeline.stages[name]
        needs = tuple(key for up in stage.upstream() for key in keys.get(up, ()))
        mine = []
        for index, combination in enumerate(itertools.product(*stage.matrix.values())):
            chosen = dict(zip(stage.matrix, combination, strict=True))
            params = {k: str(v) for k, v in chosen.items()}
            mine.append(Point(point_key(name, params), name, params, needs, index, chosen))
        keys[name] = tuple(p.key for p in mine)
        out += mine
    return out
