"""Where volumes lie: a stage with one runs there and nowhere else; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stix.plan.offers import Offer
from stix.spec.stage import StageSpec


@dataclass(frozen=True)
class Where:
    """The place of a volume: nodes have to be there.

    Attributes:
        name: Of the volume.
        region: ``-`` where any will do.
        zone: None where any will do.
    """

    name: str
    cloud: str
    region: str = "-"
    zone: str | None = None

    @property
    def infra(self) -> str:
        """``cloud/region/zone`` without what does not matter."""
        return "/".join(
            part for part in (self.cloud, self.region, self.zone) if part not in ("-", None)
        )

    def apart(self, cloud: str | None, region: str | None, zone: str | None) -> bool:
        """Whether a place is elsewhere; None is anywhere."""
        return (
            cloud not in (None, self.cloud)
            or (self.region != "-" and region not in (None, self.region))
            or (self.zone is not None and zone not in (None, self.zone))
        )

    def off(self, offer: Offer) -> bool:
        """Whether an offer is elsewhere."""
        region = None if offer.region in ("-", "*") else offer.region
        return self.apart(offer.cloud, region, offer.zone)


def wheres_of(stage: StageSpec, known: Mapping[str, Where]) -> tuple[Where, ...]:
    """Of the volumes that a stage names those that are known, each once."""
    names = dict.fromkeys(volume.name for volume in stage.volumes.values() if volume.name)
    return tuple(known[name] for name in names if name in known)


def brings_new(stage: StageSpec) -> bool:
    """Whether its nodes get new volumes of their own."""
    return any("size" in volume.model_fields_set for volume in stage.volumes.values())
