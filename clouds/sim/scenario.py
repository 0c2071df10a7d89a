"""What a simulated world is like: stock, prices, boots, preemptions and faults, as data.

Nothing here happens by itself: ``climate`` says what holds at a moment, ``world`` lets time pass.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    QuotaError,
    Throttled,
    TransientError,
)
from stix.plan.blocklist import BOOT_S
from stix.plan.costs import SPOT_RATE
from stix.plan.offers import Offer

FaultKind = Literal["stockout", "quota", "auth", "throttle", "down", "invalid"]
FAULTS: tuple[str, ...] = get_args(FaultKind)
HOUR_S = 3600.0


def covers(place: str, offer: Offer) -> bool:
    """Whether an offer lies in a place: ``cloud``, ``region``, ``zone``, or some of them joined by
    slashes, such as ``cloud/region`` and ``region/zone``; empty means everywhere."""
    if not place:
        return True
    parts = (offer.cloud, offer.region, offer.zone or "")
    wanted = tuple(place.split("/"))
    size = len(wanted)
    return any(parts[first : first + size] == wanted for first in range(len(parts) - size + 1))


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong in a place for a while.

    Attributes:
        kind: ``stockout`` (no room in the zone), ``quota`` (the account may have no more in the
            region), ``auth`` (the login is refused), ``throttle`` (too many calls), ``down`` (the
            API does not answer), ``invalid`` (the request is refused).
        place: Where, see ``covers``.
        start, end: When, virtual seconds.
    """

    kind: FaultKind
    place: str = ""
    start: float = 0.0
    end: float = math.inf

    def hits(self, offer: Offer, at: float) -> bool:
        return self.start <= at < self.end and covers(self.place, offer)

    def error(self, offer: Offer) -> CloudError:
        """What the provider answers."""
        where = offer.infra
        if self.kind == "stockout":
            return CapacityError(f"{where} has no {offer.instance_type} left", scope="zone")
        if self.kind == "quota":
            said = f"the account may have no more machines in {offer.cloud}/{offer.region}"
            return QuotaError(said, scope="region", fix="ask the provider for a higher limit")
        if self.kind == "auth":
            fix = f"give {offer.cloud} valid credentials"
            return AuthError(f"{offer.cloud} refuses the login", fix=fix)
        if self.kind == "throttle":
            return Throttled(f"{offer.cloud} says that there are too many calls", retry_after=2.0)
        if self.kind == "down":
            return TransientError(f"the API of {offer.cloud} does not answer")
        return InvalidRequest(f"{where} refuses the request for a {offer.instance_type}")


@dataclass(frozen=True)
class Stock:
    """How many machines there are at most, ours included.

    Attributes:
        most: None where there is no limit.
        least: Where it is less, the stock changes at random between the two.
        every_s: Seconds between two changes.
        place, instance_type, spot: What it holds for; empty or None for all. Of several that hold
            the last counts.
    """

    most: int | None = None
    least: int | None = None
    every_s: float = HOUR_S
    place: str = ""
    instance_type: str = ""
    spot: bool | None = None

    def holds(self, offer: Offer) -> bool:
        kind = not self.instance_type or self.instance_type == offer.instance_type
        return kind and self.spot in (None, offer.spot) and covers(self.place, offer)

    @property
    def varies(self) -> bool:
        return self.most is not None and self.least is not None and self.least < self.most


@dataclass(frozen=True)
class Trace:
    """When a place took its spot machines back, as it was recorded.

    Attributes:
        gone: Intervals in which there are none, in virtual seconds, in order and apart; one
            without a length takes all machines back and lets new ones be rented at once.
    """

    place: str
    gone: tuple[tuple[float, float], ...]

    @classmethod
    def load(cls, place: str, path: Path) -> Trace:
        """From JSON: ``{"preemptions_s": [...]}``, or a series of 0 (there) and 1 (taken away) as
        ``{"gap_seconds": 600, "data": [0, 1, ...]}``, where ``gap_seconds`` may stand below
        ``metadata``.

        Raises:
            InvalidRequest: the file cannot be read or is no trace.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"the trace {path} cannot be read: {error}") from None
        try:
            gone = tuple(_intervals(data))
        except (AttributeError, KeyError, TypeError, ValueError):
            fix = 'write {"preemptions_s": [60, 7200]} or {"gap_seconds": 600, "data": [0, 1]}'
            raise InvalidRequest(f"{path} is no trace of preemptions", fix=fix) from None
        return cls(place, gone)


def _intervals(data: Mapping[str, Any]) -> list[tuple[float, float]]:
    if "preemptions_s" in data:
        times = sorted({float(time) for time in data["preemptions_s"]})
        if times and not (times[0] >= 0 and math.isfinite(times[-1])):
            raise ValueError(times)
        return [(time, time) for time in times]
    gap = float(data.get("metadata", data)["gap_seconds"])
    if not (gap > 0 and math.isfinite(gap)):
        raise ValueError(gap)
    found: list[tuple[float, float]] = []
    for number, taken in enumerate(data["data"]):
        if int(taken) and found and found[-1][1] == number * gap:
            found[-1] = found[-1][0], (number + 1) * gap
        elif int(taken):
            found.append((number * gap, (number + 1) * gap))
    return found


@dataclass(frozen=True)
class Scenario:
    """A world as it is described; the same scenario and seed give the same course of events.

    Attributes:
        seed: Of all that happens at random.
        preempt_rate: Preemptions per spot node and hour.
        rates: Place to another such rate; of several that hold the last counts.
        boot_s, boot_spread: Median of the time until a machine can be used, and the deviation of
            its logarithm.
        stock: What there is; without an entry there is no limit.
        price_swing: Spot prices move at random by so much of themselves, up and down; 0 to 1.
        price_every_s: Seconds between two changes of a spot price.
        answer_s: What a refusal takes.
    """

    seed: int = 0
    preempt_rate: float = SPOT_RATE
    rates: Mapping[str, float] = field(default_factory=dict)
    boot_s: float = BOOT_S
    boot_spread: float = 0.25
    stock: tuple[Stock, ...] = ()
    price_swing: float = 0.0
    price_every_s: float = HOUR_S
    answer_s: float = 10.0
    traces: tuple[Trace, ...] = ()
    faults: tuple[Fault, ...] = ()
