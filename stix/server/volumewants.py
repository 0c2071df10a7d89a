"""What stages ask of volumes, held against the volumes that there are; before anything starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from stix.engine.volumes import names_in, where_of
from stix.ledger import VolumeRow
from stix.plan.where import Where
from stix.server.context import Context
from stix.server.volumes import Known, known_kinds, options_of
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import Path, Problem, SpecErrors, choose, error, nearest
from stix.spec.volumes import VolumeMount, gib_of

USUAL_NEW = "k8s-pvc"


async def demand_volumes(context: Context, pipeline: PipelineSpec) -> dict[str, Where]:
    """Where the volumes are that the stages name.

    Raises:
        SpecErrors: all that is wrong with what they ask of volumes.
    """
    if not any(stage.volumes for stage in pipeline.resolved().stages.values()):
        return {}
    rows = {row.name: row for row in await context.ledger.volumes()}
    problems = list(refusals(pipeline, rows, known_kinds()))
    if problems:
        raise SpecErrors(problems)
    return {name: where_of(rows[name]) for name in names_in(pipeline)}


def refusals(
    pipeline: PipelineSpec, rows: Mapping[str, VolumeRow], kinds: Mapping[str, Known]
) -> Iterator[Problem]:
    """What cannot be, stage by stage."""
    for name, stage in pipeline.resolved().stages.items():
        at: Path = ("stages", name)
        named = {}
        for target, mount in stage.volumes.items():
            place = (*at, "volumes", target)
            if "size" in mount.model_fields_set:
                yield from _new(place, mount, kinds)
            elif mount.name:
                yield from _named(place, mount, rows)
                if mount.name in rows:
                    named[target] = rows[mount.name]
        yield from _together(at, stage, named, kinds)


def _new(at: Path, mount: VolumeMount, kinds: Mapping[str, Known]) -> Iterator[Problem]:
    word = (mount.type or USUAL_NEW).lower()
    known = kinds.get(word)
    if known is None or not known.kind.new:
        can = sorted(name for name, each in kinds.items() if each.kind.new)
        said = f"a new volume of a node cannot be of type {word!r}"
        fix = choose(word, can) if can else "make one by stix volumes apply, and name it"
        yield error((*at, "type"), said, fix)
        return
    if (size := gib_of(mount.size) or 0.0) < known.kind.least_gib:
        fix = f"write size: {known.kind.least_gib:g}"
        yield error((*at, "size"), f"{known.kind.what} of {size:g} GiB is too small", fix)
    yield from options_of((*at, "config"), mount.config or {}, known.kind)


def _named(at: Path, mount: VolumeMount, rows: Mapping[str, VolumeRow]) -> Iterator[Problem]:
    place = at if mount.written() is not None else (*at, "name")
    row = rows.get(mount.name or "")
    if row is None:
        close = nearest(mount.name or "", list(rows))
        fix = f"did you mean {close!r}? or " if close else ""
        fix += f"make it: stix volumes apply --name {mount.name} --type TYPE"
        yield error(place, f"there is no volume {mount.name!r}", fix)
    elif row.state != "ready":
        said = f"the volume {row.name} is not ready: it is {row.state}"
        fix = "apply it again" if row.state == "creating" else "name another volume"
        yield error(place, f"{said} ({row.reason})" if row.reason else said, fix)


def _together(
    at: Path, stage: StageSpec, named: Mapping[str, VolumeRow], kinds: Mapping[str, Known]
) -> Iterator[Problem]:
    """What volumes of one stage can have only in common, or only apart."""
    yield from _places(at, stage, named)
    counts = Counter(row.kind for row in named.values())
    for target, row in named.items():
        place = (*at, "volumes", target)
        if row.kind not in kinds:
            continue
        kind = kinds[row.kind].kind
        if stage.volumes[target].sub_path and not kind.sub_path:
            said = f"a folder inside of {kind.what} cannot be mounted alone"
            fix = "remove sub_path, and use the folder below the volume's path"
            yield error((*place, "sub_path"), said, fix)
        if kind.per_node is not None and counts[row.kind] > kind.per_node:
            fix = f"use {kind.per_node} in each stage"
            yield error(place, f"a node has {kind.per_node} of {kind.what} at most", fix)
        if stage.num_nodes > 1 and not kind.shares(row.config):
            said = f"one node at a time can have {row.name}, and num_nodes is {stage.num_nodes}"
            fix = "write num_nodes: 1"
            if kind.shared_by:
                fix += f", or make the volume with {kind.sharing()}"
            yield error((*at, "num_nodes"), said, fix)


def _places(at: Path, stage: StageSpec, named: Mapping[str, VolumeRow]) -> Iterator[Problem]:
    wheres = [where_of(row) for row in named.values()]
    for target, row in named.items():
        mine = where_of(row)
        far = next((w for w in wheres if w.apart(mine.cloud, _some(mine.region), mine.zone)), None)
        if far is not None:
            said = f"the volumes {row.name} ({mine.infra}) and {far.name} ({far.infra}) lie apart"
            yield error((*at, "volumes", target), said, "use volumes of one place")
            return
        asked = stage.resources.alternatives()
        if asked and all(mine.apart(each.cloud, each.region, each.zone) for each in asked):
            said = f"the volume {row.name} is in {mine.infra}, where this stage may not run"
            yield error((*at, "resources", "infra"), said, f"write infra: {mine.infra}")


def _some(region: str) -> str | None:
    return None if region == "-" else region
