"""Where outputs lie between the stage that makes them and those that read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stix.plan.egress import Egress, Way
from stix.plan.regions import Place


def dearness(egress: Egress, src: Place, dst: Place) -> tuple[float, float]:
    """By what ways are chosen: USD per GB at the list's dearest step, then seconds per GB."""
    usd = sum(fact.peak for fact in egress.facts(src, dst))
    return usd, 1.0 / egress.speed(src, dst).gb_s


@dataclass(frozen=True)
class Landing:
    """Outputs go to the nearest store of artifacts, and are read from there.

    Attributes:
        stores: Where the stores lie, the main one first; without any, data goes straight from
            stage to stage.
        egress: Prices of movement.
    """

    stores: tuple[Place, ...]
    egress: Egress

    def of(self, place: Place) -> Place:
        """Where outputs land that are made at ``place``."""
        if not self.stores:
            return place
        return min(self.stores, key=lambda store: dearness(self.egress, place, store))

    def ways(
        self, places: Sequence[Place], volume: float, used: Mapping[str, float] | None = None
    ) -> tuple[list[Way], list[list[int]]]:
        """As `Egress.ways`, but each way begins where outputs of its source lie."""
        if not self.stores:
            return self.egress.ways(places, volume, used)
        count = len(self.stores)
        rates, table = self.egress.ways([*self.stores, *places], volume, used)
        rows = {store: table[number][count:] for number, store in enumerate(self.stores)}
        return rates, [list(rows[self.of(place)]) for place in places]
