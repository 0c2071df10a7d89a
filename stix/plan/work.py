"""From the stages of a pipeline to work and the data that goes between."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stix.plan.amount import Amount, dependent
from stix.plan.costs import CHECKPOINT_S, HOURS_PER_MONTH, Source, Work
from stix.plan.egress import Load
from stix.plan.estimates import SAID, Estimate, Estimator, Stage
from stix.plan.regions import Place
from stix.plan.spot import Checkpoints
from stix.spec.estimate import EstimateSpec
from stix.spec.models import PipelineSpec, StageSpec

_SCHEMES = {
    "s3": "aws",
    "gs": "gcp",
    "gcs": "gcp",
    "azure": "azure",
    "az": "azure",
    "abfs": "azure",
    "oci": "oci",
    "cos": "ibm",
    "r2": "cloudflare",
    "nebius": "nebius",
    "hf": "huggingface",
}


@dataclass(frozen=True)
class Edge:
    """One stage waits for another; what goes along.

    Attributes:
        source, target: Names of the stages.
        each: GB that one point of the target reads.
        points: Points of the target.
        waves: How many of them run one after the other.
    """

    source: str
    target: str
    each: Estimate
    points: int = 1
    waves: int = 1

    @property
    def load(self) -> Load:
        gb = self.each.amount.value
        return Load.of(gb * self.points, gb * self.waves)


@dataclass
class Works:
    """A pipeline as the planner sees it.

    Attributes:
        works: Name to work, for stages that are still to be placed.
        edges: Between these.
        earliest: Name to the seconds from now before which it will hardly begin.
        unknown: Outputs that other stages read and whose size nobody knows.
    """

    works: dict[str, Work] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    earliest: dict[str, float] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    @property
    def volume(self) -> float:
        """GB that may move at most."""
        reads = sum(s.gb.amount.value * w.points for w in self.works.values() for s in w.reads)
        return reads + sum(self.edges_gb())

    @property
    def written(self) -> float:
        """GB of all outputs."""
        return sum(work.written.value * work.points for work in self.works.values())

    def edges_gb(self) -> Iterable[float]:
        return (float(edge.load) for edge in self.edges)


def located(url: str, known: Mapping[str, Place]) -> Place:
    """Where a URL lies: as given for its longest known beginning, else by its scheme."""
    fits = [prefix for prefix in known if url.startswith(prefix)]
    if fits:
        return known[max(fits, key=len)]
    scheme, _, rest = url.partition("://")
    if scheme == "cos":
        return Place("ibm", rest.partition("/")[0] or None)
    if scheme == "https" and ".blob.core.windows.net" in rest:
        return Place("azure")
    return Place(_SCHEMES.get(scheme, scheme or "local"))


class Reader:
    """Makes the works of a pipeline.

    Args:
        estimator: Times and sizes.
        data: URL, or how it begins, to the place where it lies.
        done: Stages that have ended, with the places of their outputs.
        sizes: ``stage.output`` to its GB, where it is there already.
    """

    def __init__(
        self,
        estimator: Estimator,
        data: Mapping[str, Place],
        done: Mapping[str, Sequence[Place]],
        sizes: Mapping[str, float],
    ) -> None:
        self._estimator, self._data = estimator, data
        self._done, self._sizes = done, sizes

    def read(self, pipeline: PipelineSpec) -> Works:
        """All stages that have not ended, in the order of the pipeline."""
        out = Works()
        specs = {name: self._stage(name, spec) for name, spec in pipeline.stages.items()}
        seconds = self._time_of(specs)
        left = _hours_after(pipeline, seconds)
        above = {name: spec.upstream() for name, spec in pipeline.stages.items()}
        out.earliest = _farthest(above, seconds)
        for name, spec in pipeline.stages.items():
            if name in self._done:
                continue
            stage = specs[name]
            points, waves = _points(spec)
            edges = [
                Edge(source, name, gb, points, waves)
                for source in spec.upstream()
                for gb in [self._between(pipeline, specs, source, spec, out)]
            ]
            written = dependent(self._estimator.output(stage, o).amount for o in spec.outputs)
            out.works[name] = Work(
                stage,
                points,
                waves,
                (*self._urls(stage, spec), *self._ended(edges)),
                written.value * points,
                _about(left[name]) if written.value else 0.0,
                _checkpoints(stage.said),
                written,
            )
            out.edges += [edge for edge in edges if edge.source not in self._done]
        return out

    def _stage(self, name: str, spec: StageSpec) -> Stage:
        said = spec.estimate or EstimateSpec()
        if spec.egress_inputs:
            inputs = {**spec.egress_inputs, **said.inputs}
            said = said.model_copy(update={"inputs": inputs})
        return Stage(name, spec.num_nodes, said, bool(spec.setup))

    def _time_of(self, specs: Mapping[str, Stage]) -> Callable[[str], float]:
        def seconds(name: str) -> float:
            if name in self._done:
                return 0.0
            runs = self._estimator.runs(name)
            seen = [run.seconds for found in runs.values() for run in found]
            return sum(seen) / len(seen) if seen else specs[name].said.time or 3600.0

        return seconds

    def _between(
        self,
        pipeline: PipelineSpec,
        specs: Mapping[str, Stage],
        source: str,
        target: StageSpec,
        out: Works,
    ) -> Estimate:
        """GB that one point of ``target`` reads from ``source``: the outputs of all its points."""
        above = pipeline.stages[source]
        points, _ = _points(above)
        taken = {i.output for i in target.inputs.values() if i.stage == source}
        if not taken:  # SkyPilot's size of what a stage hands on
            gb = sum(above.egress_outputs.values())
            return Estimate(Amount.exact(gb * points), SAID)
        sizes = [self._output(specs[source], output, out) for output in sorted(taken)]
        basis = min((size.basis for size in sizes), default=SAID)
        runs = min(size.runs for size in sizes)
        whole = dependent(size.amount for size in sizes).times(points)
        return Estimate(whole, basis, runs)

    def _output(self, stage: Stage, output: str, out: Works) -> Estimate:
        name = f"{stage.name}.{output}"
        if name in self._sizes:
            return Estimate(Amount.exact(self._sizes[name]), "measured", 1)
        found = self._estimator.output(stage, output)
        if not found.runs and output not in stage.said.outputs and name not in out.unknown:
            out.unknown.append(name)
        return found

    def _urls(self, stage: Stage, spec: StageSpec) -> Iterable[Source]:
        urls = dict.fromkeys(stage.said.inputs)
        for mount in spec.file_mounts.values():
            sources = mount.source if isinstance(mount.source, list) else [mount.source]
            urls |= dict.fromkeys(s for s in sources if s and "://" in s)
        for url in urls:
            found = self._estimator.input(stage, url)
            if found.amount.value > 0:
                yield Source(url, (located(url, self._data),), found)

    def _ended(self, edges: Iterable[Edge]) -> Iterable[Source]:
        for edge in edges:
            places = tuple(self._done.get(edge.source, ()))
            if places and edge.each.amount.value > 0:
                yield Source(edge.source, places, edge.each)


def _points(spec: StageSpec) -> tuple[int, int]:
    """How many points the matrix has, and how many of them run one after the other."""
    points = math.prod(len(values) for values in spec.matrix.values())
    return points, math.ceil(points / min(spec.max_parallel or points, points))


def _checkpoints(said: EstimateSpec) -> Checkpoints | None:
    return Checkpoints(said.checkpoint, CHECKPOINT_S) if said.checkpoint else None


def _about(hours: float) -> float:
    """Right to 5 %, so that the stages of long pipelines stay alike; storage costs little."""
    return math.exp(round(math.log(hours) * 10) / 10) if hours > 0 else 0.0


def _hours_after(pipeline: PipelineSpec, seconds: Callable[[str], float]) -> dict[str, float]:
    """Hours from the end of each stage to the end of the run, at the least."""
    above = {name: spec.upstream() for name, spec in pipeline.stages.items()}
    after = _farthest(_reversed(above), seconds)
    return {name: min(time / 3600.0, HOURS_PER_MONTH) for name, time in after.items()}


def _reversed(above: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    below: dict[str, list[str]] = {name: [] for name in above}
    for name, sources in above.items():
        for source in sources:
            below[source].append(name)
    return below


def _farthest(
    behind: Mapping[str, Sequence[str]], seconds: Callable[[str], float]
) -> dict[str, float]:
    """For each stage the longest time of a way through those behind it, without its own."""
    waiting = {name: len(others) for name, others in behind.items()}
    ahead = _reversed(behind)
    found = dict.fromkeys(behind, 0.0)
    ready = [name for name, count in waiting.items() if count == 0]
    for name in ready:
        through = found[name] + seconds(name)
        for other in ahead[name]:
            found[other] = max(found[other], through)
            waiting[other] -= 1
            if waiting[other] == 0:
                ready.append(other)
    return found
