"""What can be rented in a rehearsal: made-up clouds, or the catalog's machines and prices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stix.plan.blocklist import OWN
from stix.plan.joint import place_together
from stix.plan.offers import Offer
from stix.plan.place import PlanError, need_of
from stix.plan.placement import Plan
from stix.spec.models import PipelineSpec

CLOUDS = {"sim-a": 1.0, "sim-b": 1.06, "sim-c": 1.15}
"""Made-up clouds, and how dear they are."""
REGIONS = {"north": 1.0, "south": 1.03}
ZONES = ("1", "2")
SPOT = 0.35
"""What spot costs, as a share of the price on demand."""
_MACHINES: tuple[tuple[str, float, float, str, float, float], ...] = (
    ("cpu-2", 2, 8, "", 0, 0.096),
    ("cpu-4", 4, 16, "", 0, 0.192),
    ("cpu-8", 8, 32, "", 0, 0.384),
    ("cpu-16", 16, 64, "", 0, 0.768),
    ("cpu-32", 32, 128, "", 0, 1.536),
    ("cpu-64", 64, 256, "", 0, 3.072),
    ("mem-8", 8, 64, "", 0, 0.504),
    ("mem-32", 32, 256, "", 0, 2.016),
    ("mem-96", 96, 768, "", 0, 6.048),
    ("t4-1", 4, 16, "T4", 1, 0.53),
    ("t4-4", 48, 192, "T4", 4, 3.91),
    ("l4-1", 8, 32, "L4", 1, 0.81),
    ("l4-4", 48, 192, "L4", 4, 4.6),
    ("a10g-1", 8, 32, "A10G", 1, 1.21),
    ("a10g-8", 192, 768, "A10G", 8, 16.29),
    ("v100-1", 8, 61, "V100", 1, 3.06),
    ("v100-8", 64, 488, "V100", 8, 24.48),
    ("a100-1", 12, 85, "A100", 1, 3.67),
    ("a100-8", 96, 1152, "A100", 8, 27.44),
    ("a100-80gb-1", 12, 170, "A100-80GB", 1, 5.07),
    ("a100-80gb-8", 96, 1152, "A100-80GB", 8, 40.97),
    ("h100-1", 26, 234, "H100", 1, 6.98),
    ("h100-8", 192, 2048, "H100", 8, 55.04),
    ("h200-8", 192, 2048, "H200", 8, 63.3),
)
"""Name, CPUs, GiB, accelerator, count, USD per hour: near what large clouds took in 2025."""
_OWN_CPUS, _OWN_GIB = 64.0, 512.0


@dataclass(frozen=True)
class Market:
    """What a pipeline is rehearsed on.

    Attributes:
        offers: What can be rented.
        plan: What each stage takes first, and what then.
        source: ``simulated`` or ``catalog``.
        notes: What people should know of it.
    """

    offers: tuple[Offer, ...]
    plan: Plan
    source: str
    notes: tuple[str, ...] = ()


def market_of(pipeline: PipelineSpec, *, catalog: bool = False) -> Market:
    """A market that serves the pipeline, and its plan by the real planner.

    Made-up clouds do where they serve every stage; else, or where it is asked for, the catalog.

    Raises:
        PlanError: neither serves some stage.
        JointError: stages that belong together have no place in common.
    """
    own = _own(pipeline)
    if not catalog:
        try:
            return _placed(pipeline, (*simulated(), *own), "simulated")
        except PlanError as error:
            names = ", ".join(stage.stage for stage in error.unplaced)
    else:
        names = ""
    note = (f"no simulated machine serves {names}: the catalog does",) if names else ()
    return _placed(pipeline, (*_listed(pipeline), *own), "catalog", note)


def _placed(
    pipeline: PipelineSpec, offers: tuple[Offer, ...], source: str, notes: Iterable[str] = ()
) -> Market:
    plan = place_together(pipeline, offers).plan()
    return Market(offers, plan, source, tuple(notes))


def simulated() -> tuple[Offer, ...]:
    """The machines of the made-up clouds, on demand and as spot, in each zone."""
    return tuple(
        Offer(
            cloud,
            region,
            f"{region}-{zone}",
            name,
            cpus,
            memory,
            {accelerator: count} if accelerator else {},
            round(usd * dear * more * (SPOT if spot else 1.0), 6),
            spot=spot,
            arch="x86_64",
        )
        for cloud, dear in CLOUDS.items()
        for region, more in REGIONS.items()
        for zone in ZONES
        for name, cpus, memory, accelerator, count, usd in _MACHINES
        for spot in (False, True)
    )


def _listed(pipeline: PipelineSpec) -> tuple[Offer, ...]:
    """Of the catalog what a plan may need."""
    from stix.clouds.catalog.catalog import Catalog
    from stix.clouds.catalog.market import Own, market

    return tuple(market(pipeline, Own(), Catalog.load()).offers)


def _own(pipeline: PipelineSpec) -> tuple[Offer, ...]:
    """A machine of the user's own for each place of that kind that a stage names."""
    found: dict[tuple[str, str, str | None], Offer] = {}
    for stage in pipeline.resolved().stages.values():
        for resources in stage.resources.alternatives():
            need = need_of(resources, stage.num_nodes)
            if need.cloud not in OWN:
                continue
            place = need.cloud, need.region or "-", need.zone
            before = found[place].accelerators if place in found else {}
            found[place] = Offer(
                *place,
                need.instance_type or "own",
                max(_OWN_CPUS, need.cpus),
                max(_OWN_GIB, need.memory_gib),
                {**before, **need.accelerators},
                shared=True,
            )
    return tuple(found.values())
