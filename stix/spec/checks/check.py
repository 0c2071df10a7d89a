"""What a valid file can still get wrong: cycles, unknown names, missing paths, unused outputs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path as FilePath
from urllib.parse import quote

from stix.spec.checks import mounts as mountcheck
from stix.spec.checks import paths
from stix.spec.checks.hints import hints
from stix.spec.expand import MAX_POINTS, count, point_key
from stix.spec.expressions import ExpressionError, references
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import MOST, Path, Problem, choose, error, warning
from stix.spec.words import docker

OWN_VARIABLES = frozenset(
    f"STIX_{name}" for name in ("RUN_ID", "STAGE", "ATTEMPT", "NODE_ID", "RESULT")
)
OWN_PREFIXES = ("STIX_INPUT_", "STIX_OUTPUT_", "STIX_MATRIX_")
MAX_KEY = 240
"""A point's key names files, where 255 bytes are the limit."""
STAGE_FIELDS = ("status", "result", "results")
"""What ``when`` may ask of a stage: its state, its results, and those of each of its points."""


def check(
    pipeline: PipelineSpec, base: FilePath | None = None, *, idle: bool = False
) -> list[Problem]:
    """Every problem of a pipeline, with paths and without places.

    Args:
        pipeline: Merged with its defaults or not.
        base: Folder against which local paths are checked; None checks none.
        idle: Whether a stage may have nothing to run, as a task of SkyPilot may.
    """
    pipeline = pipeline.resolved()
    problems: list[Problem] = []
    if not pipeline.stages:
        problems.append(error((), "the pipeline has no stages", "add a stage"))
    buckets = mountcheck.made(pipeline)
    for name, stage in pipeline.stages.items():
        if len(problems) > MOST and sum(p.severity == "error" for p in problems) > MOST:
            break  # whoever corrects these sees the rest the next time
        at: Path = ("stages", name)
        problems += islice(_edges(pipeline, name, stage), MOST)
        problems += _idle(at, stage, idle)
        problems += _contents(at, stage)
        problems += mountcheck.mounts(at, stage, buckets)
        problems += paths.workdir(at, stage, base)
        problems += paths.sources(at, stage, base) if base is not None else ()
    problems += _cycles(pipeline)
    problems += _unused(pipeline)
    total = count(pipeline)
    if total > MAX_POINTS:
        said = f"the pipeline has {total} points; at most {MAX_POINTS} run"
        problems.append(error(("stages",), said, "make the matrix smaller, or split the pipeline"))
    return problems


def _edges(pipeline: PipelineSpec, name: str, stage: StageSpec) -> Iterator[Problem]:
    def near(wanted: str) -> str:
        return choose(wanted, [other for other in pipeline.stages if other != name])

    for i, need in enumerate(stage.needs):
        at: Path = ("stages", name, "needs", i)
        if need == name:
            yield error(at, "a stage cannot need itself", "remove it")
        elif need not in pipeline.stages:
            yield error(at, f"there is no stage {need!r}", near(need))
    for key, given in stage.inputs.items():
        at = ("stages", name, "inputs", key)
        if given.stage == name:
            yield error(at, "a stage cannot take its own output", "name another stage")
        elif given.stage not in pipeline.stages:
            yield error(at, f"there is no stage {given.stage!r}", near(given.stage))
        elif given.output not in (has := pipeline.stages[given.stage].outputs):
            said = f"the stage {given.stage} has no output {given.output!r}"
            fix = choose(given.output, list(has))
            if not has:
                fix = f"declare outputs: {{{given.output}: PATH}} in the stage {given.stage}"
            yield error(at, said, fix)


def _cache(at: Path, stage: StageSpec) -> Iterator[Problem]:
    """A wish for outputs of earlier runs that is in vain, or leaves something undone."""
    if stage.cache is None or not stage.cache.enabled:
        return
    if not stage.outputs:
        said = "the stage declares no outputs, so that it always runs"
        yield warning((*at, "cache"), said, "declare its outputs, or remove cache")
    elif stage.written:
        said = f"a stage that is skipped writes nothing to {', '.join(stage.written)}"
        fix = "remove cache, unless the stage only reads there"
        yield warning((*at, "cache"), said, fix)


def _idle(at: Path, stage: StageSpec, allowed: bool) -> Iterator[Problem]:
    if stage.run is None and stage.setup is None and not _served(stage):
        if allowed:
            yield warning(at, "there is nothing to run: the stage ends at once", "add run: COMMAND")
        else:
            yield error(at, "the stage has no run", "add run: COMMAND", on_key=True)


def _contents(at: Path, stage: StageSpec) -> Iterator[Problem]:
    yield from _when(at, stage)
    for key in stage.matrix:
        for word, names in (("envs", stage.envs), ("secrets", stage.secrets)):
            if key in names:
                said = f"the matrix key {key} is also in {word}"
                yield error((*at, "matrix", key), said, "rename one of the two", on_key=True)
    for key in stage.envs.keys() & stage.secrets.keys():
        said = f"{key} is both a variable and a secret"
        yield error((*at, "secrets", key), said, "remove it from envs", on_key=True)
    if stage.recovery is not None and stage.resources.job_recovery is not None:
        said = "recovery and resources.job_recovery are both given"
        yield error((*at, "recovery"), said, "keep recovery", on_key=True)
    yield from _reserved(at, stage)
    yield from _cache(at, stage)
    for key in stage.estimate.outputs if stage.estimate else ():
        if key not in stage.outputs:  # defaults may name outputs that only some stages have
            fix = choose(key, list(stage.outputs))
            said = f"the stage has no output {key!r}, so that its size says nothing"
            yield warning((*at, "estimate", "outputs", key), said, fix)
    policies = {str(r.job_recovery) for r in stage.resources.alternatives()}
    if len(policies) > 1:
        said = "job_recovery differs between the alternatives"
        yield error((*at, "resources"), said, "write it once, beside any_of or ordered")
    yield from paths.targets(at, stage)
    yield from mountcheck.volumes(at, stage)
    yield from mountcheck.hidden(at, stage)
    yield from docker.login_problems(stage, at)
    yield from hints(stage.resources, (*at, "resources"))
    yield from _places(at, stage)


def _when(at: Path, stage: StageSpec) -> Iterator[Problem]:
    """The names of a ``when`` are checked before anything runs."""
    if stage.when is None:
        return
    at = (*at, "when")
    try:
        found = references(stage.when)
    except ExpressionError as refusal:
        yield error(at, str(refusal.message), refusal.fix or "correct the expression")
        return
    known = {
        "stages": stage.upstream(),
        "matrix": list(stage.matrix),
        "inputs": list(stage.inputs),
        "envs": list(stage.envs),
    }
    for path, column in found:
        names = known[path[0]]
        shown = ".".join(path[:2])
        if path[1] not in names:
            fix = choose(path[1], names)
            if path[0] == "stages" and not fix.startswith("did you mean"):
                fix = f"add {path[1]} to needs: a stage knows only of those it waits for"
            yield error(at, f"column {column}: {shown} is not known here", fix)
        elif path[0] == "stages" and (len(path) < 3 or path[2] not in STAGE_FIELDS):
            fix = choose(path[2], STAGE_FIELDS) if len(path) > 2 else f"write {shown}.status"
            said = f"column {column}: {'.'.join(path[:3])} is not known"
            yield error(at, said, fix)


def _reserved(at: Path, stage: StageSpec) -> Iterator[Problem]:
    """Names that would hide STIX's own variables, or each other's."""
    for word in ("envs", "secrets", "matrix"):
        for name in getattr(stage, word):
            if name in OWN_VARIABLES or name.startswith(OWN_PREFIXES):
                said = f"the variable {name} is set by STIX"
                yield error((*at, word, name), said, "choose another name", on_key=True)
    for word in ("inputs", "outputs"):
        seen: dict[str, str] = {}
        for name in getattr(stage, word):
            first = seen.setdefault(name.upper().replace("-", "_"), name)
            if first != name:
                said = f"{first} and {name} would share one variable"
                yield error((*at, word, name), said, "rename one of the two", on_key=True)
    longest = {k: max(map(str, entries), key=len) for k, entries in stage.matrix.items()}
    if len(quote(point_key(str(at[-1]), longest), safe="")) > MAX_KEY:
        fix = "use shorter values, or fewer keys"
        said = "a point of this matrix would have too long a name for a file"
        yield error((*at, "matrix"), said, fix)


def _served(stage: StageSpec) -> bool:
    return stage.pool is not None or stage.service is not None


def _places(at: Path, stage: StageSpec) -> Iterator[Problem]:
    """Two inputs, or an input and an output, at one path."""
    seen: dict[str, str] = {}
    for key, given in stage.inputs.items():
        place = given.path or f"inputs/{key}"
        if place in seen:
            said = f"{place} is already the place of {seen[place]}"
            yield error((*at, "inputs", key), said, "give it another path")
        seen[place] = f"the input {key}"
    for key, output in stage.outputs.items():
        if output.path in seen:
            said = f"{output.path} is already the place of {seen[output.path]}"
            yield error((*at, "outputs", key), said, "give it another path")
        seen[output.path] = f"the output {key}"


def _cycles(pipeline: PipelineSpec) -> Iterator[Problem]:
    """One problem per group of stages that wait for each other, showing one way round."""
    edges = {
        name: [u for u in stage.upstream() if u in pipeline.stages and u != name]
        for name, stage in pipeline.stages.items()
    }
    settled: set[str] = set()
    for start in edges:
        trail: list[str] = []
        on_trail: set[str] = set()
        work = [(start, iter(edges[start]))] if start not in settled else []
        if work:
            trail.append(start)
            on_trail.add(start)
        while work:
            name, rest = work[-1]
            step = next(rest, None)
            if step is None:
                work.pop()
                settled.add(name)
                on_trail.discard(trail.pop())
            elif step in on_trail:
                ring = trail[trail.index(step) :]
                shown = " -> ".join([*ring, ring[0]])
                fix = f"remove one of these edges, such as {ring[0]} from the needs of {ring[-1]}"
                field = "needs" if ring[0] in pipeline.stages[ring[-1]].needs else "inputs"
                said = f"stages wait for each other: {shown}"
                yield error(("stages", ring[-1], field), said, fix)
                return
            elif step not in settled:
                work.append((step, iter(edges[step])))
                trail.append(step)
                on_trail.add(step)


def _unused(pipeline: PipelineSpec) -> Iterator[Problem]:
    used = {i.origin for s in pipeline.stages.values() for i in s.inputs.values()}
    waited = {up for stage in pipeline.stages.values() for up in stage.upstream()}
    for name, stage in pipeline.stages.items():
        for key in stage.outputs:
            if name in waited and f"{name}.{key}" not in used:
                fix = f"take it with inputs: {{{key}: {name}.{key}}}, or remove it"
                at: Path = ("stages", name, "outputs", key)
                yield warning(at, f"no stage uses the output {name}.{key}", fix)
