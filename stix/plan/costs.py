"""What a stage costs on an offer and how long it takes there, part by part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

from stix.plan.amount import Amount, dependent
from stix.plan.blocklist import Blocklist
from stix.plan.egress import Egress
from stix.plan.estimates import Estimate, Estimator, Stage
from stix.plan.history import History
from stix.plan.landing import Landing
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
        written: GB of outputs of one point.
        checkpoints: Whether it goes on after an interruption.
    """

    stage: Stage
    points: int = 1
    waves: int = 1
    reads: tuple[Source, ...] = ()
    kept_gb: float = 0.0
    kept_hours: float = 0.0
    checkpoints: Checkpoints | None = None
    written: Amount = field(default_factory=partial(Amount.exact, 0.0))


class Quote(NamedTuple):
    """What a stage costs on one offer. Money in USD for all points and nodes, time in s.

    Attributes:
        usd, seconds: All of it, but for what comes from other stages of the plan.
        compute_usd: The command, uninterrupted.
        boot_usd: The first boot and setup.
        preemption_usd: What is done over after preemptions, and checkpoints.
        data_usd: Reading what lies somewhere already, and bringing outputs to their store.
        storage_usd: Keeping its outputs until the end of the run.
        boot_s, setup_s, run_s, preemption_s, data_s, wait_s: Where the time goes; ``wait_s`` is
            what shortages are expected to cost.
        preemptions: Expected ones of one point.
        shortage: How likely the offer is out of stock.
        written_usd: The part of ``data_usd`` that outputs take.
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
    written_usd: float = 0.0


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
        stores: Where the stores of artifacts lie that outputs go to.
    """

    estimator: Estimator
    history: History = field(default_factory=History)
    zones: Blocklist = field(default_factory=Blocklist)
    now: float = 0.0
    egress: Egress = field(default_factory=Egress.bundled)
    volume: float = 0.0
    used: Mapping[str, float] = field(default_factory=dict)
    stores: tuple[Place, ...] = ()

    @property
    def landing(self) -> Landing:
        return Landing(self.stores, self.egress)

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
        """USD and seconds of one point to read what lies somewhere, and to store what it makes."""
        here = Place.of(offer)
        moves = [
            (self.nearest(source.places, here), here, source.gb.amount)
            for source in work.reads
            if source.gb.amount.value > 0
        ]
        if self._stored(work):
            moves.append((here, self.landing.of(here), work.written))
        found = [self._move(*move) for move in moves]
        return dependent(usd for usd, _ in found), dependent(seconds for _, seconds in found)

    def nearest(self, places: Sequence[Place], here: Place) -> Place:
        """Where to read from: what costs least, then what is fastest."""
        speed = self.egress.speed
        return min(places, key=lambda p: (self._per_gb(p, here), 1.0 / speed(p, here).gb_s))

    def _stored(self, work: Work) -> bool:
        return bool(self.stores) and work.written.value > 0

    def _move(self, src: Place, dst: Place, size: Amount) -> tuple[Amount, Amount]:
        """USD and seconds of one movement."""
        speed = self.egress.speed(src, dst)
        price = self._per_gb(src, dst)
        bounds = [fact.bounds(price, 1.0) for fact in self.egress.facts(src, dst)]
        low = min(price, sum(bound[0] for bound in bounds)) * size.low
        high = max(price, sum(bound[1] for bound in bounds)) * size.high
        times = size.value / speed.gb_s, size.low / speed.high, size.high / speed.low
        return Amount(price * size.value, low, high), Amount(*times)

    def written_usd(self, work: Work, offer: Offer) -> float:
        """What it costs to bring the outputs of all points to their store."""
        if not self._stored(work):
            return 0.0
        here = Place.of(offer)
        return self._per_gb(here, self.landing.of(here)) * work.written.value * work.points

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
            written_usd=self.written_usd(work, offer),
        )


def _bar(low: float, value: float, high: float) -> Amount:
    """At its high end a stage may never end between preemptions; then the bar ends far out."""
    return Amount(value, min(low, value), high if math.isfinite(high) else value * _FAR)


def _price(offer: Offer) -> Amount:
    if not offer.price_is_estimate:
        return Amount.exact(offer.price)
    low, high = ESTIMATED[offer.spot]
    return Amount(offer.price, offer.price * low, offer.price * high)
