"""From a pipeline and what can be rented to a plan; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from stix.errors import StixError
from stix.plan.choose import Tier, Unplaced, Wish, choose
from stix.plan.extras import Extras, extras, wants
from stix.plan.match import Need, matches
from stix.plan.offers import Demand, Offer
from stix.plan.placement import Block, Placement, Plan
from stix.plan.where import Where, brings_new, wheres_of
from stix.spec.models import PipelineSpec, Resources, StageSpec


class PlanError(StixError):
    """Stages that no offer serves, each with the offers nearest to it and a fix.

    Attributes:
        unplaced: One entry for each such stage, in the order of the pipeline.
        silent: Clouds that could not say what they offer, and why.
    """

    def __init__(
        self, unplaced: Sequence[Unplaced], silent: Mapping[str, StixError] | None = None
    ) -> None:
        self.unplaced = tuple(unplaced)
        silent = silent or {}
        lines = [f"    {cloud} offers nothing: {error.message}" for cloud, error in silent.items()]
        fixes = [error.fix for error in silent.values()] or [stage.fix for stage in unplaced]
        super().__init__(
            "\n".join([*map(_explain, unplaced), *lines]),
            fix="; ".join(dict.fromkeys(fix for fix in fixes if fix)),
        )


def place(
    pipeline: PipelineSpec,
    offers: Sequence[Offer],
    *,
    blocked: Sequence[Block] = (),
    silent: Mapping[str, StixError] | None = None,
) -> Plan:
    """The best offer for each stage, each by itself; all points of a matrix share theirs.

    Args:
        pipeline: Its ``defaults`` count; it may be resolved already.
        offers: What can be rented now.
        blocked: Offers to pass over (a shortage a short time ago).
        silent: Clouds that could not say what they offer, and why: told where nothing fits.

    Raises:
        PlanError: names every stage that cannot be placed.
    """
    placements: dict[str, Placement] = {}
    unplaced: list[Unplaced] = []
    seen: dict[str, Placement | Unplaced] = {}  # wide pipelines ask for the same thing often
    for name, stage in pipeline.resolved().stages.items():
        wish = wish_of(name, stage)
        asked = repr(replace(wish, stage=""))
        if asked not in seen:
            seen[asked] = choose(wish, offers, blocked)
        found = replace(seen[asked], stage=name)
        if isinstance(found, Placement):
            placements[name] = found
        else:
            unplaced.append(found)
    if unplaced:
        raise PlanError(unplaced, silent)
    return Plan(placements)


def wish_of(name: str, stage: StageSpec, volumes: Mapping[str, Where] | None = None) -> Wish:
    """What a stage asks for: one tier for ``any_of``, one per entry for ``ordered``.

    Args:
        volumes: Where the volumes are that it may name.
    """
    wheres = wheres_of(stage, volumes or {})
    plain = (need_of(r, stage.num_nodes) for r in stage.resources.alternatives())
    needs = tuple(_with_volumes(need, wheres, new=brings_new(stage)) for need in plain)
    tiers: tuple[Tier, ...] = tuple((need,) for need in needs)
    return Wish(name, tiers if stage.resources.ordered else (needs,), stage.num_nodes)


def _with_volumes(need: Need, wheres: Sequence[Where], *, new: bool) -> Need:
    """The need at the place of its volumes, as far as it names no other."""
    wants = (*need.wants, "new_volumes") if new else need.wants
    cloud, region, zone = need.cloud, need.region, need.zone
    for where in wheres:
        cloud = cloud or where.cloud
        region = region or (where.region if where.region != "-" else None)
        zone = zone or where.zone
    return replace(need, cloud=cloud, region=region, zone=zone, wants=wants, volumes=tuple(wheres))


def need_of(resources: Resources, num_nodes: int = 1) -> Need:
    """One alternative (``resources.alternatives()``) in numbers."""
    cpus, more_cpus = resources.cpus_at_least
    memory, more_memory = resources.memory_at_least
    disk, more_disk = _local_disk(resources.local_disk)
    return Need(
        cloud=resources.cloud,
        region=resources.region,
        zone=resources.zone,
        instance_type=resources.instance_type,
        cpus=cpus,
        cpus_exact=not more_cpus,
        memory_gib=memory,
        memory_exact=not more_memory,
        accelerators=dict(resources.accelerators),
        use_spot=bool(resources.use_spot),
        max_hourly_cost=resources.max_hourly_cost,
        num_nodes=num_nodes,
        local_disk_gib=disk,
        local_disk_exact=not more_disk,
        arch=_arch(resources),
        wants=wants(resources),
    )


def extras_on(resources: Resources, offer: Offer, num_nodes: int) -> Extras:
    """What the nodes of a stage get on ``offer``: of the first alternative that it serves."""
    serving = (
        each for each in resources.alternatives() if not matches(need_of(each, num_nodes), offer)
    )
    return extras(next(serving, resources), offer)


def _arch(resources: Resources) -> str:
    """What the stage asks for; else what most programs are built for.

    A machine or an accelerator that is named brings its own.
    """
    if resources.arch is not None:
        return "" if resources.arch == "any" else resources.arch
    return "" if resources.instance_type or resources.accelerators else "x86_64"


def _local_disk(text: str | None) -> tuple[float, bool]:
    """GiB of ``nvme:1000+``, which counts GB of 10^9 bytes, and whether more will do."""
    if text is None:
        return 0.0, True
    size = text.rpartition(":")[2]
    return float(size.removesuffix("+")) * 1e9 / 2**30, size.endswith("+")


def demand_of(resources: Resources) -> Demand:
    """What one node reserves: what is asked for, and nothing for what is not."""
    need = need_of(resources)
    return Demand(need.cpus, need.memory_gib, dict(need.accelerators))


def _explain(stage: Unplaced) -> str:
    lines = [f"the stage {stage.stage!r} cannot be placed: nothing serves {stage.wanted}"]
    for rejected in stage.nearest:
        offer = rejected.offer
        why = ", ".join(reason.message for reason in rejected.reasons)
        lines.append(f"    nearest: {offer.infra} {offer.instance_type}: {why}")
    return "\n".join(lines)
