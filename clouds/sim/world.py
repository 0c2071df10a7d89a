"""A world of clouds in virtual time: machines are rented, billed and taken away; pure and seeded.

Events are ordered by their time, and at one time by when they were planned, so that the same calls
give the same course. Nothing waits: time jumps from one event to the next.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from stix.clouds.errors import CapacityError
from stix.clouds.sim.climate import HOUR_S, Climate, pool_of
from stix.clouds.sim.scenario import Scenario
from stix.plan.offers import Offer

Act = Callable[[], None]


class Timer:
    """Something planned. ``cancel`` takes it back."""

    __slots__ = ("act", "at")

    def __init__(self, at: float, act: Act) -> None:
        self.at = at
        self.act: Act | None = act

    def cancel(self) -> None:
        self.act = None


@dataclass(frozen=True)
class Entry:
    """One line of a world's log: when (virtual seconds), what, and about whom."""

    at: float
    what: str
    about: str


@dataclass(eq=False)
class Lease:
    """Nodes that were rented together.

    Attributes:
        offer, count: What was rented.
        token: Names the wish.
        since: When they were ordered; from then on they are paid.
        ready: When the last of them can be used.
        rate: USD per node and hour, as it was then.
        until: When they were given back or taken away; None while they are held.
        lost: They were taken away.
    """

    offer: Offer
    count: int
    token: str
    since: float
    ready: float
    rate: float
    on_lost: Callable[[Lease], None]
    until: float | None = None
    lost: bool = False
    timers: list[Timer] = field(default_factory=list, repr=False)

    def billed(self, now: float) -> float:
        """Node seconds that are paid, as of ``now``."""
        end = now if self.until is None else self.until
        return max(0.0, end - self.since) * self.count

    def usd(self, now: float) -> float:
        """What they cost so far."""
        return self.billed(now) * self.rate / HOUR_S


class World:
    """The clouds of a scenario.

    Args:
        pace: Called with the time of the next event before it happens; may sleep.
        keep: How many entries of the log are kept; all count for the digest.

    Attributes:
        now: Virtual seconds since the start.
        log: The first entries.
        preemptions: Leases that were taken away.
    """

    def __init__(
        self, scenario: Scenario, *, pace: Callable[[float], None] | None = None, keep: int = 10_000
    ) -> None:
        self.climate = Climate(scenario)
        self.now = 0.0
        self.log: list[Entry] = []
        self.preemptions = 0
        self._pace, self._keep = pace, keep
        self._planned: list[tuple[float, int, Timer]] = []
        self._number = 0
        self._leases: dict[str, Lease] = {}
        self._held: dict[str, list[Lease]] = {}
        self._watched: dict[str, Timer] = {}
        self._digest = hashlib.sha256(repr(scenario).encode())

    # -- time ------------------------------------------------------------------------------------

    def after(self, seconds: float, act: Act) -> Timer:
        """Plan ``act`` for later; what is planned for infinity never happens."""
        timer = Timer(self.now + max(0.0, seconds), act)
        if math.isfinite(timer.at):
            self._number += 1
            heapq.heappush(self._planned, (timer.at, self._number, timer))
        return timer

    def run(self, until: float = math.inf, over: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until then, or ``over``, or for ever until nothing is planned."""
        while self._planned and not over():
            at, _, timer = self._planned[0]
            if at > until:
                break
            heapq.heappop(self._planned)
            if timer.act is None:
                continue
            if self._pace is not None:
                self._pace(at)
            self.now = at
            timer.act()
        if math.isfinite(until) and not over():
            self.now = max(self.now, until)

    def note(self, what: str, about: str = "") -> None:
        """Write to the log."""
        self._digest.update(f"{self.now:.6f}\t{what}\t{about}\n".encode())
        if len(self.log) < self._keep:
            self.log.append(Entry(self.now, what, about))

    def digest(self) -> str:
        """Names the course of events so far."""
        return self._digest.hexdigest()[:16]

    # -- machines --------------------------------------------------------------------------------

    def used(self, offer: Offer) -> int:
        """Machines of an offer that are held."""
        return sum(lease.count for lease in self._held.get(pool_of(offer), ()))

    def free(self, offer: Offer) -> int | None:
        """Machines that can be rented now, never below 0; None where there is no limit."""
        level = self.climate.level(offer, self.now)
        return None if level is None else max(0, level - self.used(offer))

    def rent(self, offer: Offer, count: int, token: str, on_lost: Callable[[Lease], None]) -> Lease:
        """Order ``count`` nodes, all or none; the same for the same token while they are held.

        Raises:
            CapacityError: there are not so many.
            CloudError: what a fault of the scenario says.
        """
        known = self._leases.get(token)
        if known is not None:
            return known
        refusal = self.climate.refusal(offer, self.now)
        if refusal is None and (free := self.free(offer)) is not None and free < count:
            said = f"{offer.infra} has {free} {offer.instance_type} left, wanted {count}"
            refusal = CapacityError(said, scope="zone")
        if refusal is not None:
            self.note(type(refusal).__name__, f"{token} {pool_of(offer)}")
            raise refusal
        return self._give(offer, count, token, on_lost)

    def _give(
        self, offer: Offer, count: int, token: str, on_lost: Callable[[Lease], None]
    ) -> Lease:
        names = [f"{token}#{rank}" for rank in range(count)]
        boot = max(self.climate.boot(offer, name) for name in names)
        rate = self.climate.price(offer, self.now)
        lease = Lease(offer, count, token, self.now, self.now + boot, rate, on_lost)
        life = min(self.climate.lifetime(offer, name, self.now) for name in names)
        lease.timers.append(self.after(life, lambda: self._take(lease)))
        pool = pool_of(offer)
        self._leases[token] = lease
        self._held.setdefault(pool, []).append(lease)
        if offer.spot and pool not in self._watched:
            self._watch(pool, offer)
        self.note("rent", f"{token} {count} x {pool} at {rate:.6f}")
        return lease

    def release(self, lease: Lease) -> None:
        """Give nodes back. Silent where they are gone."""
        if lease.until is None:
            self._close(lease)
            self.note("release", lease.token)

    def _take(self, lease: Lease) -> None:
        if lease.until is None:
            lease.lost = True
            self._close(lease)
            self.preemptions += 1
            self.note("preempt", lease.token)
            lease.on_lost(lease)

    def _close(self, lease: Lease) -> None:
        lease.until = self.now
        del self._leases[lease.token]
        self._held[pool_of(lease.offer)].remove(lease)
        for timer in lease.timers:
            timer.cancel()
        lease.timers.clear()

    def _watch(self, pool: str, offer: Offer) -> None:
        """Where the stock of a spot market sinks below what is held, the newest go first."""
        wait = self.climate.next_level(offer, self.now) - self.now
        self._watched[pool] = self.after(wait, lambda: self._sink(pool, offer))

    def _sink(self, pool: str, offer: Offer) -> None:
        del self._watched[pool]
        level = self.climate.level(offer, self.now)
        while level is not None and self.used(offer) > level:
            self._take(self._held[pool][-1])
        if self._held[pool]:
            self._watch(pool, offer)
