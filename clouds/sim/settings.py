"""The block ``sim:`` of ``config.yaml``: machines of the simulated cloud, and its weather."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from stix.clouds.errors import InvalidRequest
from stix.clouds.sim.scenario import FAULTS, Fault, Scenario, Stock, Trace
from stix.plan.offers import Offer
from stix.spec import values
from stix.spec.words import accelforms

CLOUD = "sim"
_KNOWN = (
    *("zones", "types", "seed", "speed", "stock", "stock_every", "preempt_rate", "rates"),
    *("boot", "boot_spread", "price_swing", "price_every", "traces", "faults"),
)
_TYPE = ("cpus", "memory", "accelerators", "price", "spot")
_SMALL = {"small": {"cpus": 1, "memory": 1, "price": 0.05, "spot": 0.02}}
_ZONES = ("north/a", "north/b", "south/a", "south/b")
_STOCK = 8


@dataclass(frozen=True)
class SimSettings:
    """What the simulated cloud is like.

    Attributes:
        offers: What can be rented, at its usual price.
        scenario: Its weather.
        speed: Virtual seconds that pass in a second.
    """

    offers: tuple[Offer, ...] = ()
    scenario: Scenario = field(default_factory=Scenario)
    speed: float = 1.0


def read_settings(block: Mapping[str, Any], cloud: str = CLOUD) -> SimSettings:
    """The settings of the block of ``cloud``; without one there is nothing to be rented.

    Raises:
        InvalidRequest: a field is unknown or makes no sense.
    """
    if not block:
        return SimSettings()
    _only(block, _KNOWN, "")
    zones = _zones(block.get("zones", _ZONES))
    types = _map(block, "types", _SMALL)
    offers = [
        replace(offer, cloud=cloud)
        for name, type_ in types.items()
        for offer in _offers(str(name), type_, zones)
    ]
    every = _seconds(block, "stock_every", 3600.0)
    scenario = Scenario(
        seed=int(_number(block, "seed", 0.0)),
        preempt_rate=_number(block, "preempt_rate", 0.05),
        rates={str(p): _number({"rates": r}, "rates") for p, r in _map(block, "rates").items()},
        boot_s=_seconds(block, "boot", 30.0),
        boot_spread=_number(block, "boot_spread", 0.25),
        stock=_stock(block.get("stock", _STOCK), every),
        price_swing=_number(block, "price_swing", 0.0, most=1.0),
        price_every_s=_seconds(block, "price_every", 3600.0),
        traces=tuple(Trace.load(p, Path(str(f))) for p, f in _map(block, "traces").items()),
        faults=tuple(_fault(fault) for fault in _list(block, "faults")),
    )
    speed = _number(block, "speed", 1.0)
    if speed <= 0:
        raise _wrong("speed", f"is {speed:g}", "write how many seconds pass in one, such as 60")
    return SimSettings(tuple(offers), scenario, speed)


def _offers(name: str, block: Any, zones: tuple[tuple[str, str], ...]) -> list[Offer]:
    """A type in each zone, on demand, and as spot where it has a price for that."""
    where = f"types.{name}"
    if not isinstance(block, Mapping):
        raise _wrong(where, f"is {block!r}", "write {cpus: 2, memory: 8, price: 0.1, spot: 0.03}")
    _only(block, _TYPE, f"{where}.")
    cpus = _number(block, "cpus", within=where, least=0.01)
    memory = _number(block, "memory", within=where, least=0.01)
    try:
        accelerators = accelforms.counts(block.get("accelerators") or {})
    except PydanticCustomError as error:
        raise _wrong(f"{where}.accelerators", error.message(), "write {A100: 1}") from None
    prices = {False: _number(block, "price", 0.0, within=where)}
    if block.get("spot") is not None:
        prices[True] = _number(block, "spot", within=where)
    return [
        Offer(CLOUD, region, zone, name, cpus, memory, dict(accelerators), price, spot=spot)
        for region, zone in zones
        for spot, price in prices.items()
    ]


def _zones(given: Any) -> tuple[tuple[str, str], ...]:
    fix = "write a list such as [north/a, north/b, south/a]"
    if not isinstance(given, list | tuple) or not given:
        raise _wrong("zones", f"is {given!r}", fix)
    found = []
    for entry in given:
        region, slash, zone = str(entry).partition("/")
        if not (region and slash and zone) or "/" in zone:
            raise _wrong("zones", f"has {entry!r}", fix)
        found.append((region, zone))
    if len(set(found)) != len(found):
        raise _wrong("zones", "lists a zone twice", fix)
    return tuple(found)


def _stock(given: Any, every: float) -> tuple[Stock, ...]:
    """``8``, or ``[2, 8]`` for what changes between the two; for each type, zone and market."""
    ends = list(given) if isinstance(given, list | tuple) else [given, given]
    whole = all(isinstance(end, int) and not isinstance(end, bool) and end >= 0 for end in ends)
    if len(ends) != 2 or not whole or ends[0] > ends[1]:
        raise _wrong("stock", f"is {given!r}", "write 8, or [2, 8] for a stock that changes")
    return (Stock(most=ends[1], least=ends[0], every_s=every),)


def _fault(given: Any) -> Fault:
    fix = "write {kind: stockout, place: north/a, from: 1h, to: 2h}"
    if not isinstance(given, Mapping):
        raise _wrong("faults", f"has {given!r}", fix)
    _only(given, ("kind", "place", "from", "to"), "faults.")
    kind = given.get("kind")
    if kind not in FAULTS:
        raise _wrong("faults.kind", f"is {kind!r}", f"write one of {', '.join(FAULTS)}")
    start = _seconds(given, "from", 0.0, within="faults")
    end = _seconds(given, "to", math.inf, within="faults") if "to" in given else math.inf
    return Fault(kind, str(given.get("place") or ""), start, end)


def _only(block: Mapping[str, Any], known: tuple[str, ...], prefix: str) -> None:
    for key in block:
        if key not in known:
            raise _wrong(f"{prefix}{key}", "is not known", f"known are: {', '.join(known)}")


def _map(block: Mapping[str, Any], key: str, default: Mapping[str, Any] | None = None) -> Any:
    found = block.get(key)
    if found is None:
        return default or {}
    if not isinstance(found, Mapping):
        raise _wrong(key, f"is {found!r}", "write a map")
    return found


def _list(block: Mapping[str, Any], key: str) -> list[Any]:
    found = block.get(key) or []
    if not isinstance(found, list):
        raise _wrong(key, f"is {found!r}", "write a list")
    return found


def _number(
    block: Mapping[str, Any],
    key: str,
    default: float | None = None,
    *,
    within: str = "",
    least: float = 0.0,
    most: float = math.inf,
) -> float:
    value = block.get(key, default)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value < math.inf or value > most:
        limit = f"from {least:g}" + (f" to {most:g}" if math.isfinite(most) else "")
        raise _wrong(f"{within}.{key}" if within else key, f"is {value!r}", f"a number {limit}")
    return float(value)


def _seconds(
    block: Mapping[str, Any],
    key: str,
    default: float,
    *,
    within: str = "",
    read: Callable[[Any], float] = values.duration,
) -> float:
    if key not in block:
        return default
    try:
        return read(block[key])
    except PydanticCustomError as error:
        name = f"{within}.{key}" if within else key
        raise _wrong(name, error.message(), "write a time such as 90s or 2h") from None


def _wrong(key: str, what: str, fix: str) -> InvalidRequest:
    return InvalidRequest(f"config.yaml: {CLOUD}.{key} {what}", fix=fix)
