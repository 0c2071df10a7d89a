"""Plans over the catalog: where a pipeline could run, and for how much, were all clouds enabled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stix.clouds.catalog.catalog import Catalog
from stix.clouds.catalog.shortlist import every_offer, shortlist
from stix.plan.answer import Asked, Market, answer
from stix.plan.candidates import matching
from stix.plan.offers import Offer
from stix.plan.place import PlanError, wish_of
from stix.plan.shelf import Shelf
from stix.spec.models import PipelineSpec

NO_ADAPTER = "STIX has no adapter for it here"


@dataclass(frozen=True)
class Own:
    """The clouds that are in use here.

    Attributes:
        offers: Of those that are enabled: their own word counts, not the catalog's.
        enabled: Their names.
        why: Cloud to why it is not enabled; `NO_ADAPTER` for those that are not named.
        perhaps: Clouds that may be enabled and were not asked.
    """

    offers: Sequence[Offer] = ()
    enabled: Collection[str] = ()
    why: Mapping[str, str] = field(default_factory=dict)
    perhaps: Collection[str] = ()


def anywhere(
    pipeline: PipelineSpec, asked: Asked, own: Own | None = None, catalog: Catalog | None = None
) -> dict[str, Any]:
    """The best plan over what is offered here and what the catalog has of all other clouds.

    Raises:
        PlanError, JointError, Unmet: as in `answer`.
    """
    own, history = own or Own(), asked.given.history
    catalog = catalog or Catalog.load()
    try:
        return answer(pipeline, market(pipeline, own, catalog, paced=bool(history.runs)), asked)
    except PlanError:  # say what is near among all there is
        offers = [*own.offers, *every_offer(catalog, own.enabled)]
        return answer(pipeline, Market(offers), asked)


def market(pipeline: PipelineSpec, own: Own, catalog: Catalog, *, paced: bool = False) -> Market:
    """What each stage may need of all that is offered.

    Args:
        paced: Whether it is known that the time of a stage depends on the machine.
    """
    stages = pipeline.resolved().stages
    wishes = [wish_of(name, stage) for name, stage in stages.items()]
    paced |= any(stage.estimate and stage.estimate.accelerators for stage in stages.values())
    found = shortlist(catalog, wishes, paced=paced, without=own.enabled)
    excluded = {name: Counter(codes) for name, codes in found.excluded.items()}
    if own.offers:
        shelf = Shelf(own.offers)
        for wish in wishes:
            excluded[wish.stage] += matching(wish, shelf).refused
    elsewhere = {
        cloud: own.why.get(cloud, NO_ADAPTER)
        for cloud in catalog.clouds
        if cloud not in own.enabled and cloud not in own.perhaps
    }
    return Market([*own.offers, *found.offers], elsewhere, excluded, found.beaten)
