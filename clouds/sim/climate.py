"""What holds in a simulated world at a moment: pure functions of the scenario and the time.

Chance is drawn by name: each question hashes the seed with what it is about. So an answer does not
depend on what was asked before, and two processes that know the time know the same world.
"""

from __future__ import annotations

import bisect
import hashlib
import math
from statistics import NormalDist

from stix.clouds.errors import CloudError
from stix.clouds.sim.scenario import Scenario, Stock, Trace, covers
from stix.plan.blocklist import OWN, OWN_BOOT_S
from stix.plan.offers import Offer

HOUR_S = 3600.0
_NORMAL = NormalDist()


def chance(*name: object) -> float:
    """A number between 0 and 1, both excluded, that belongs to a name."""
    text = "\0".join(map(str, name)).encode()
    drawn = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return (drawn + 0.5) / 2**64


def pool_of(offer: Offer) -> str:
    """The name of what an offer is taken from: machines of one kind, in one zone and market."""
    market = "spot" if offer.spot else "on-demand"
    return f"{offer.cloud}/{offer.region}/{offer.zone or '-'}/{offer.instance_type}/{market}"


class Climate:
    """What a scenario says of each place and moment. Times are virtual seconds from the start."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._stocks: dict[str, Stock] = {}
        self._traces: dict[str, Trace | None] = {}

    def refusal(self, offer: Offer, at: float) -> CloudError | None:
        """What the provider says instead of giving a machine; None where nothing is wrong."""
        for fault in self.scenario.faults:
            if fault.hits(offer, at):
                return fault.error(offer)
        return None

    def level(self, offer: Offer, at: float) -> int | None:
        """How many machines there are, those in use included; None where there is no limit."""
        if self._taken_at(offer, at):
            return 0
        stock = self._stock(offer)
        if stock.most is None or stock.least is None or not stock.varies:
            return stock.most
        step = math.floor(at / stock.every_s)
        drawn = chance(self.scenario.seed, "stock", pool_of(offer), step)
        return stock.least + math.floor(drawn * (stock.most - stock.least + 1))

    def next_level(self, offer: Offer, at: float) -> float:
        """When the stock may be another; infinity where it stays."""
        stock = self._stock(offer)
        if not stock.varies:
            return math.inf
        return (math.floor(at / stock.every_s) + 1) * stock.every_s

    def price(self, offer: Offer, at: float) -> float:
        """USD per node and hour of what is rented now."""
        scenario = self.scenario
        if not (offer.spot and scenario.price_swing):
            return offer.price
        step = math.floor(at / scenario.price_every_s)
        drawn = chance(scenario.seed, "price", pool_of(offer), step)
        return offer.price * (1 + scenario.price_swing * (2 * drawn - 1))

    def boot(self, offer: Offer, name: str) -> float:
        """Seconds until the node of this name can be used."""
        scenario = self.scenario
        median = min(OWN_BOOT_S, scenario.boot_s) if offer.cloud in OWN else scenario.boot_s
        if not scenario.boot_spread:
            return median
        drawn = chance(scenario.seed, "boot", name)
        return median * math.exp(scenario.boot_spread * _NORMAL.inv_cdf(drawn))

    def lifetime(self, offer: Offer, name: str, at: float) -> float:
        """Seconds until the node of this name is taken away; infinity where it never is.

        By the rate of its place; where there is a trace of it, by the trace alone.
        """
        if not offer.spot:
            return math.inf
        trace = self._trace(offer)
        if trace is not None:
            later = bisect.bisect_right(trace.gone, at, key=lambda gone: gone[0])
            return trace.gone[later][0] - at if later < len(trace.gone) else math.inf
        rate = self._rate(offer)
        if rate <= 0:
            return math.inf
        drawn = chance(self.scenario.seed, "life", name)
        return -math.log(drawn) * HOUR_S / rate

    def _rate(self, offer: Offer) -> float:
        rate = self.scenario.preempt_rate
        for place, other in self.scenario.rates.items():
            if covers(place, offer):
                rate = other
        return rate

    def _stock(self, offer: Offer) -> Stock:
        pool = pool_of(offer)
        if pool not in self._stocks:
            held = [stock for stock in self.scenario.stock if stock.holds(offer)]
            self._stocks[pool] = held[-1] if held else Stock()
        return self._stocks[pool]

    def _trace(self, offer: Offer) -> Trace | None:
        pool = pool_of(offer)
        if pool not in self._traces:
            held = [trace for trace in self.scenario.traces if covers(trace.place, offer)]
            self._traces[pool] = held[-1] if held else None
        return self._traces[pool]

    def _taken_at(self, offer: Offer, at: float) -> bool:
        trace = self._trace(offer) if offer.spot else None
        if trace is None:
            return False
        before = bisect.bisect_right(trace.gone, at, key=lambda gone: gone[0]) - 1
        return before >= 0 and at < trace.gone[before][1]
