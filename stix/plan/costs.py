"""What a stage costs on an offer and how long it takes there, part by part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from stix.plan.amount import Amount, dependent
from stix.plan.blocklist import Blocklist
from stix.plan.egress import Egress
from stix.plan.estimates import Estimate, Estimator, Stage
from stix.plan.history import History
from stix.plan.offers import Offer
from stix.plan.regions import Place
from stix.plan.spot import Checkpoints, expected

SPOT_RATE, SPOT_HOURS = 0.05, 10.0
"""Preemptions per node and hour before anything is seen, which counts as so many hours; assumed."""
SPOT_WAIT_S = 60.0
"""Until another machine is found after a preemption; assumed."""
CHECKPOINT_S = 15.0
"""What a checkpoint takes; assumed."""
FAILOVER_S = 90.0
"""What it takes to learn of a shortage and ask elsewhere; assumed."""
ESTIMATED = {False: (0.8, 1.25), True: (0.62, 2.26)}
"""Price that is an estimate to what it was, on demand (assumed) and spot (5 % and 95 % of 162
pairs of AWS: observed against derived from the Spot Advisor)."""
HOURS_PER_MONTH = 730.0
NUDGE = 1e-6
"""USD per second of waiting for stock: of offers that cost the same the surer one is taken."""
_FAR = 100.0


class Source(NamedTuple):
    """Data that a stage reads, from the nearest of the places where it lies."""

    name: str
    places: tuple[Place, ...]
    gb: Estimate


@dataclass(frozen=True)
class Work:
    """A stage as work to be done somewhere.

    Attributes:
        stage: For its estimates.
        points: Points of its matrix.
        waves: How many of them run one after the other.
        reads: What each point reads that lies somewhere already.
        kept_gb, kept_hours: What all points leave behind, and until the end of the run.
        checkpoints: Whether it goes on after an interruption.
    """

    stage: Stage
    points: int = 1
    waves: int = 1
    reads: tuple[Source, ...] = ()
    kept_gb: float = 0.0
    kept_hours: float = 0.0
    checkpoints: Checkpoints | None = None


class Quote(NamedTuple):
    """What a stage costs on one offer. Money in USD for all points and nodes, time in s.

    Attributes:
        usd, seconds: All of it, but for what comes from other stages of the plan.
        compute_usd: The command, uninterrupted.
        boot_usd: The first boot and setup.
        preemption_usd: What is done over after preemptions, and checkpoints.
        data_usd: Reading what lies somewhere already.
        storage_usd: Keeping its outputs until the end of the run.
        boot_s, setup_s, run_s, preemption_s, data_s, wait_s: Where the time goes; ``wait_s`` is
            what shortages are expected to cost.
        preemptions: Expected ones of one point.
        shortage: How likely the offer is out of stock.
    """

    usd: float
    seconds: float
    compute_usd: float
    boot_usd: float
    preemption_usd: float
    data_usd: float
    storage_usd: float
    boot_s: float
    setup_s: float
    run_s: float
    preemption_s: float
    data_s: float
    wait_s: float
    preemptions: float
    shortage: float


@dataclass(frozen=True)
class StageCost:
    """A quote with its error bars.

    Attributes:
        usd, seconds: With bars.
        parts: The quote.
        basis: Where the time is from (see ``Estimate``), and of how many runs.
        boots: How many boots the boot time is made of.
    """

    usd: Amount
    seconds: Amount
    parts: Quote
    basis: str
    runs: int
    boots: int

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "usd": self.usd.to_dict(), "seconds": self.seconds.to_dict()} | {
            "parts": self.parts._asdict()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StageCost:
        amounts = {name: Amount.from_dict(data[name]) for name in ("usd", "seconds")}
        return cls(**{**data, **amounts, "parts": Quote(**data["parts"])})


class _Case(NamedTuple):
    """Values for what is not known: the thought ones, or one end of the bars."""

    run: float
    setup: float
    boot: float
    rate: float
    price: float
    data_usd: float
    data_s: float


@dataclass(frozen=True)
class Pricing:
    """All that prices hang on.

    Attributes:
        estimator: Times and sizes.
        history: Preemptions that were seen.
        zones: Shortages and boots that were seen.
        now: Seconds since the epoch, for what is forgotten with time.
        egress: Prices of movement.
        volume: GB that the run moves at most: they share the allowances.
        used: Cloud to the GB it sent elsewhere this month, before.
    """

    estimator: Estimator
    history: History = field(default_factory=History)
    zones: Blocklist = field(default_factory=Blocklist)
    now: float = 0.0
    egress: Egress = field(default_factory=Egress.bundled)
    volume: float = 0.0
    used: Mapping[str, float] = field(default_factory=dict)

    def quote(self, work: Work, offer: Offer) -> Quote:
        """What is expected."""
        return self._quote(work, offer, self._expected(work, offer))

    def detail(self, work: Work, offer: Offer) -> StageCost:
        """The same, with bars."""
        middle = self._expected(work, offer)
        thought = self._quote(work, offer, middle)
        time = self.estimator.time(work.stage, offer)
        setup = self.estimator.setup(work.stage).amount
        boot, boots = self.zones.boot(offer)
        rates, prices = self.preemptions(offer), _price(offer)
        data = self.data(work, offer)
        ends = []
        for end in (1, 2):  # the low ends together, then the high ones
            parts = (time.amount, setup, boot, rates, prices, *data)
            ends.append(self._quote(work, offer, _Case(*(part[end] for part in parts))))
        low, high = ends
        return StageCost(
            _bar(low.usd, thought.usd, high.usd),
            _bar(low.seconds, thought.seconds, high.seconds),
            thought,
            time.basis,
            time.runs,
            boots,
        )

    def _expected(self, work: Work, offer: Offer) -> _Case:
        return _Case(
            self.estimator.time(work.stage, offer).amount.value,
            self.estimator.setup(work.stage).amount.value,
            self.zones.boot(offer)[0].value,
            self.preemptions(offer).value if offer.spot else 0.0,
            offer.price,
            *(part.value for part in self.data(work, offer)),
        )

    def preemptions(self, offer: Offer) -> Amount:
        """Preemptions per node and hour."""
        if not offer.spot:
            return Amount.exact(0.0)
        hours, times = self.history.preempted(offer)
        weight = SPOT_HOURS + hours
        rate = (SPOT_RATE * SPOT_HOURS + times) / weight
        reach = 2 * (rate / weight) ** 0.5
        return Amount(rate, max(0.0, rate - reach), rate + reach)

    def data(self, work: Work, offer: Offer) -> tuple[Amount, Amount]:
        """USD and seconds of one point to read what lies somewhere."""
        usd, seconds = [], []
        here = Place.of(offer)
        for source in work.reads:
            size = source.gb.amount
            if size.value <= 0:
                continue
            nearest = min(source.places, key=lambda there: self._per_gb(there, here))
            speed = self.egress.speed(nearest, here)
            price = self._per_gb(nearest, here)
            facts = self.egress.facts(nearest, here)
            bounds = [fact.bounds(price, 1.0) for fact in facts]
            low = min(price, sum(bound[0] for bound in bounds)) * size.low
            high = max(price, sum(bound[1] for bound in bounds)) * size.high
            usd.append(Amount(price * size.value, low, high))
            times = size.value / speed.gb_s, size.low / speed.high, size.high / speed.low
            seconds.append(Amount(*times))
        return dependent(usd), dependent(seconds)

    def _per_gb(self, src: Place, dst: Place) -> float:
        return self.egress.way(src, dst, self.volume, self.used.get(src.cloud, 0.0)).usd_per_gb

    def _quote(self, work: Work, offer: Offer, case: _Case) -> Quote:
        nodes, points = work.stage.nodes, work.points
        usd_s = case.price * nodes / 3600.0
        restart = case.boot + case.setup
        rate = case.rate * nodes / 3600.0
        checkpoints = work.checkpoints if rate else None
        found = expected(case.run + case.data_s, rate, restart, SPOT_WAIT_S, checkpoints)
        plain = restart + case.run + case.data_s
        shortage = self.zones.shortage(offer, self.now)
        wait = FAILOVER_S * shortage / (1 - shortage)
        storage = self.egress.storage(offer.cloud).peak * work.kept_gb
        storage *= work.kept_hours / HOURS_PER_MONTH
        compute = (case.run + case.data_s) * usd_s * points
        boot = restart * usd_s * points
        again = max(0.0, found.paid - plain) * usd_s * points
        data = case.data_usd * points
        return Quote(
            usd=compute + boot + again + data + storage,
            seconds=found.seconds * work.waves + wait,
            compute_usd=compute,
            boot_usd=boot,
            preemption_usd=again,
            data_usd=data,
            storage_usd=storage,
            boot_s=case.boot,
            setup_s=case.setup,
            run_s=case.run,
            preemption_s=max(0.0, found.seconds - plain),
            data_s=case.data_s,
            wait_s=wait,
            preemptions=found.preemptions,
            shortage=shortage,
        )


def _bar(low: float, value: float, high: float) -> Amount:
    """At its high end a stage may never end between preemptions; then the bar ends far out."""
    return Amount(value, min(low, value), high if math.isfinite(high) else value * _FAR)


def _price(offer: Offer) -> Amount:
    if not offer.price_is_estimate:
        return Amount.exact(offer.price)
    low, high = ESTIMATED[offer.spot]
    return Amount(offer.price, offer.price * low, offer.price * high)
