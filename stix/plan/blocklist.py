"""What was seen where nodes were asked for: places to pass over for a while, and how places fare.

A shortage blocks what it speaks of (this machine in this zone, the zone, the region or the cloud),
for its own market alone, and for longer each time; a node that came lifts it. Beside that each
sighting moves an estimate, ever less the older it is: how likely a place is out of stock, and how
long a node takes to boot there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from stix.plan.amount import Amount
from stix.plan.estimates import predicted
from stix.plan.offers import Offer
from stix.plan.placement import Block

SCOPES = ("type", "zone", "region", "cloud")
BLOCKED_S = {"type": 600.0, "zone": 900.0, "region": 1800.0, "cloud": 3600.0}
"""For how long a first shortage rules things out; assumed."""
LONGEST_S = 6 * 3600.0
HALF_LIFE_S = 2 * 3600.0
"""After this a sighting counts half."""
PRIOR = {False: 0.05, True: 0.2}
"""How likely a place is thought to be out of stock, on demand and spot; assumed."""
PRIOR_WEIGHT = 2.0
OTHER_TYPE = 0.25
"""What a sighting of another machine in the same place counts for."""
BOOT_S = 120.0
OWN_BOOT_S = 10.0
OWN = frozenset({"local", "ssh", "docker", "kubernetes", "slurm"})
"""Machines that are on already."""
BOOTS_KEPT = 20


@dataclass(frozen=True)
class Sighting:
    """What came of asking for nodes.

    Attributes:
        cloud, region, zone, instance_type, spot: Of the offer that was asked for.
        at: When, seconds since the epoch.
        scope: What the shortage speaks of (``type``, ``zone``, ``region``, ``cloud``); empty where
            the nodes came.
        boot_seconds: Until they could be used; None where they did not come, or it is not known.
    """

    cloud: str
    region: str
    zone: str | None
    instance_type: str
    spot: bool
    at: float
    scope: str = ""
    boot_seconds: float | None = None

    @classmethod
    def of(
        cls, offer: Offer, at: float, *, scope: str = "", boot_seconds: float | None = None
    ) -> Sighting:
        place = offer.cloud, offer.region, offer.zone, offer.instance_type, offer.spot
        return cls(*place, at, scope, boot_seconds)

    @property
    def block(self) -> Block:
        exact = Block(self.cloud, self.region, self.zone, self.instance_type, self.spot)
        if self.scope == "cloud":
            return Block(self.cloud, spot=self.spot)
        if self.scope == "region":
            return Block(self.cloud, self.region, spot=self.spot)
        return replace(exact, instance_type=None) if self.scope == "zone" else exact


@dataclass(frozen=True)
class Blocklist:
    """Sightings, the oldest first."""

    sightings: tuple[Sighting, ...] = ()

    def with_shortage(self, offer: Offer, scope: str, at: float) -> Blocklist:
        """With a shortage. An unknown scope stands for ``type``."""
        scope = scope if scope in SCOPES else "type"
        return Blocklist((*self.sightings, Sighting.of(offer, at, scope=scope)))

    def with_nodes(self, offer: Offer, at: float, boot_seconds: float | None = None) -> Blocklist:
        """With nodes that came."""
        return Blocklist((*self.sightings, Sighting.of(offer, at, boot_seconds=boot_seconds)))

    def blocks(self, now: float) -> list[Block]:
        """What to pass over at this time."""
        until: dict[Block, tuple[float, float]] = {}  # block -> (until, for how long)
        for seen in self.sightings:
            if not seen.scope:
                for block in [b for b in until if _lifts(seen, b)]:
                    del until[block]
                continue
            first = BLOCKED_S[seen.scope]
            end, length = until.get(seen.block, (0.0, 0.0))
            # A shortage long after the last block was over is a new one.
            again = length and seen.at < end + length
            length = min(LONGEST_S, max(length * 2, first)) if again else first
            until[seen.block] = seen.at + length, length
        return [block for block, (end, _) in until.items() if now < end]

    def knows(self, cloud: str) -> bool:
        """Whether anything was seen in a cloud."""
        return cloud in self._by_cloud

    @cached_property
    def _by_cloud(self) -> dict[str, list[Sighting]]:
        found: dict[str, list[Sighting]] = defaultdict(list)
        for seen in self.sightings:
            found[seen.cloud].append(seen)
        return dict(found)

    def shortage(self, offer: Offer, now: float) -> float:
        """How likely an offer is out of stock."""
        if offer.cloud in OWN:
            return 0.0
        prior = PRIOR[offer.spot]
        short, all_ = PRIOR_WEIGHT * prior, PRIOR_WEIGHT
        for seen in self._by_cloud.get(offer.cloud, ()):
            weight = _weight(seen, offer, now)
            all_ += weight
            short += weight if seen.scope else 0.0
        return short / all_

    def boot(self, offer: Offer) -> tuple[Amount, int]:
        """Seconds until a node can be used, and how many boots it is made of.

        The boots of its zone count; where there were none those of its region, then of its cloud.
        """
        seen = [s for s in self._by_cloud.get(offer.cloud, ()) if s.boot_seconds]
        region = [s for s in seen if s.region == offer.region]
        zone = [s for s in region if s.zone == offer.zone]
        times = [s.boot_seconds for s in (zone or region or seen)[-BOOTS_KEPT:] if s.boot_seconds]
        if times:
            return predicted(times), len(times)
        assumed = OWN_BOOT_S if offer.cloud in OWN else BOOT_S
        return Amount.within(assumed, 3.0), 0

    def to_dict(self) -> dict[str, Any]:
        return {"sightings": [asdict(seen) for seen in self.sightings]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Blocklist:
        return cls(tuple(Sighting(**seen) for seen in data["sightings"]))


def _lifts(seen: Sighting, block: Block) -> bool:
    """Whether nodes that came show that a block no longer holds."""
    return all(
        wanted is None or wanted == getattr(seen, name) for name, wanted in block.__dict__.items()
    )


def _weight(seen: Sighting, offer: Offer, now: float) -> float:
    """How much a sighting says about an offer now."""
    if seen.spot != offer.spot:
        return 0.0
    age = max(0.0, now - seen.at)
    fresh = math.pow(0.5, age / HALF_LIFE_S)
    if seen.scope == "cloud":
        return fresh
    if seen.region != offer.region:
        return 0.0
    if seen.scope == "region":
        return fresh
    if seen.zone is not None and offer.zone is not None and seen.zone != offer.zone:
        return 0.0
    alike = seen.instance_type == offer.instance_type or seen.scope == "zone"
    return fresh if alike else fresh * OTHER_TYPE
