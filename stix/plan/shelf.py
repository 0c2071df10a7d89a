"""Offers sorted for the search: thousands of them, few of which serve a need.

It finds the same as asking `match.reasons` of each offer, only sooner: offers with the same
accelerators and market stand together and are refused together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from stix.plan.match import Need, Reason, reasons
from stix.plan.offers import Offer
from stix.plan.placement import Block, Rejected
from stix.plan.regions import ANY

BLOCKED = Reason("blocked", "was tried a short time ago and had no room", 0.0)
_PER_CODE, _PER_GROUP = 30, 2
"""How many refused offers are looked at in detail, the cheapest first."""


@dataclass
class Group:
    """Offers of one market with the same accelerators, the cheapest first."""

    first: Offer
    offers: list[Offer] = field(default_factory=list)


@dataclass
class Found:
    """What serves one need.

    Attributes:
        offers: Those that serve, settled where the need asks for it.
        refused: Offer (by its identity) to the code of a reason.
        near: Refused offers that may be the nearest.
    """

    offers: list[tuple[Offer, Offer]] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    near: list[Offer] = field(default_factory=list)


class Shelf:
    """Offers to be searched many times."""

    def __init__(self, offers: Sequence[Offer]) -> None:
        self.offers = offers
        groups: dict[tuple[object, ...], Group] = {}
        for offer in sorted(offers, key=named):
            there = offer.accelerators
            key = offer.spot, offer.shared, tuple(sorted(there.items())) if there else ()
            group = groups.get(key)
            if group is None:
                group = groups[key] = Group(offer)
            group.offers.append(offer)
        self._groups = list(groups.values())

    def find(self, need: Need, blocked: Sequence[Block]) -> Found:
        """The offers that serve."""
        out = Found()
        counts: Counter[str] = Counter()
        for group in self._groups:
            code = _of_group(need, group.first)
            if code:
                out.refused.update((id(offer), code) for offer in group.offers)
                out.near += group.offers[:_PER_GROUP]
                continue
            for offer, there, code in _each(need, group.offers):
                if not code and any(block.covers(there) for block in blocked):
                    code = BLOCKED.code
                if not code:
                    out.offers.append((offer, there))
                    continue
                out.refused[id(offer)] = code
                counts[code] += 1
                if counts[code] <= _PER_CODE:
                    out.near.append(offer)
        return out


def named(offer: Offer) -> tuple[object, ...]:
    """By price, then by name."""
    zone, machine = offer.zone or "", offer.instance_type
    return offer.price, offer.cloud, offer.region, zone, machine, offer.spot


def _of_group(need: Need, offer: Offer) -> str:
    """Why all offers of a group are refused; empty where it depends."""
    for reason in reasons(need, offer):
        if reason.code in ("spot", "accelerators"):
            return reason.code
    return ""


def _each(need: Need, offers: Sequence[Offer]) -> Iterator[tuple[Offer, Offer, str]]:
    """Each offer, where the need asks for it, with the code of a reason against it."""
    cloud, machine, most = need.cloud, need.instance_type, need.max_hourly_cost
    cpus, memory = need.cpus, need.memory_gib
    anywhere = need.region is None and need.zone is None and not need.volumes
    simple = anywhere and not need.local_disk_gib and not need.wants
    for offer in offers:
        if cloud is not None and offer.cloud != cloud:
            yield offer, offer, "infra"
        elif machine is not None and offer.instance_type != machine:
            yield offer, offer, "instance_type"
        elif need.arch and offer.arch and offer.arch != need.arch:
            yield offer, offer, "arch"
        elif offer.cpus < cpus or (need.cpus_exact and offer.cpus > cpus > 0 and not offer.shared):
            yield offer, offer, "cpus"
        elif offer.memory_gib < memory or (
            need.memory_exact and offer.memory_gib > memory > 0 and not offer.shared
        ):
            yield offer, offer, "memory"
        elif most is not None and offer.price > most:
            yield offer, offer, "price"
        elif simple and offer.capacity is None:
            yield offer, offer, ""
        else:
            there = settled(need, offer)
            reason = next(reasons(need, there), None)
            yield offer, there, reason.code if reason else ""


def settled(need: Need, offer: Offer) -> Offer:
    """The offer where the need asks for it: it may hold in many regions, or in any zone of one."""
    if offer.shared or need.cloud not in (None, offer.cloud):
        return offer
    if need.region and offer.region in ANY:
        offer = replace(offer, region=need.region)
    if need.zone and offer.zone is None and _has_zone(offer.region, need):
        offer = replace(offer, zone=need.zone)
    return offer


def _has_zone(region: str, need: Need) -> bool:
    """Whether the zone lies in the region: it is named so, or the need names the region too."""
    if need.region is not None:
        return need.region == region
    zone = need.zone or ""
    return re.fullmatch(re.escape(region) + r"-?[a-z0-9]{1,2}", zone) is not None


def against(need: Need, offer: Offer) -> tuple[Reason, ...]:
    """All that speaks against an offer; that it is blocked where it would serve."""
    return tuple(reasons(need, settled(need, offer))) or (BLOCKED,)


def nearest(needs: Sequence[Need], offers: Sequence[Offer], most: int) -> list[Rejected]:
    """Of refused offers those that are nearest to serving any of the needs."""
    found = [Rejected(o, min((against(n, o) for n in needs), key=distance)) for o in offers]
    return sorted(found, key=lambda r: (distance(r.reasons), named(r.offer)))[:most]


def distance(why: tuple[Reason, ...]) -> tuple[int, float]:
    """How far an offer is from serving."""
    return len(why), sum(reason.gap for reason in why)
