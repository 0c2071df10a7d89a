"""Which offers can serve a stage, and which of them can be part of a best plan.

Every machine that serves counts, not the cheapest of a cloud alone: what is best depends on where
the data lies and how long the stage takes on it. Of two offers in one place one is dropped where
the other is not dearer and not slower, for no other part of the plan can tell them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import nsmallest

from stix.plan.choose import Wish
from stix.plan.costs import Pricing, Quote, Work
from stix.plan.match import Need, demand, leftover
from stix.plan.offers import Offer
from stix.plan.placement import REJECTED_KEPT, Block, Choice, Rejected
from stix.plan.regions import Place
from stix.plan.shelf import Shelf, named, nearest

BEATEN_KEPT = 40
NEVER_ENDS = "preemption"
"""Code of offers on which a stage would be interrupted again and again before it ends."""


@dataclass(frozen=True)
class Match:
    """An offer that serves.

    Attributes:
        offer: With region and zone set where the stage asks for one and the offer leaves it open.
        need: What it serves.
        tier: Rank of the wish this belongs to; 0 is wanted most.
    """

    offer: Offer
    need: Need
    tier: int

    @cached_property
    def choice(self) -> Choice:
        return Choice(self.offer, demand(self.need, self.offer))

    @property
    def waste(self) -> tuple[object, ...]:
        """What it has beyond the need, then its name: orders what is equal otherwise."""
        return leftover(self.need, self.offer), named(self.offer)


@dataclass(frozen=True)
class Beaten:
    """Offers that serve, each with the one of its place that is not dearer and not slower.

    There may be thousands, which many stages share.
    """

    pairs: Sequence[tuple[Match, Match]] = ()

    @cached_property
    def first(self) -> list[tuple[Match, Match]]:
        """The best of them, at most ``BEATEN_KEPT``."""
        return nsmallest(BEATEN_KEPT, self.pairs, key=lambda p: (p[0].tier, named(p[0].offer)))


@dataclass
class Matches:
    """What serves a stage and what does not.

    Attributes:
        found: The offers that serve.
        refused: Code of a reason to how many offers it rules out.
        nearest: The offers that are nearest to serving, at most ``REJECTED_KEPT``.
        reduced: What tells offers apart, to the cheapest of each kind and those they beat.
    """

    found: list[Match] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    nearest: list[Rejected] = field(default_factory=list)
    reduced: dict[object, tuple[list[Match], Beaten]] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """A match with what it would cost."""

    match: Match
    quote: Quote

    @property
    def offer(self) -> Offer:
        return self.match.offer

    @property
    def order(self) -> tuple[object, ...]:
        return self.quote.usd, self.quote.seconds, self.match.waste


@dataclass
class Candidates:
    """The offers for one stage.

    Attributes:
        kept: Those that a best plan may need, the cheapest first.
        beaten: The others: those that a cheaper one beats whatever the stage is, and those that
            one beats which is not slower with this stage.
        refused, nearest: As in ``Matches``.
    """

    kept: list[Candidate] = field(default_factory=list)
    beaten: tuple[Beaten, Beaten] = (Beaten(), Beaten())
    refused: Counter[str] = field(default_factory=Counter)
    nearest: list[Rejected] = field(default_factory=list)


def matching(wish: Wish, shelf: Shelf, blocked: Sequence[Block] = ()) -> Matches:
    """The offers that serve any need of a wish; each counts for its best tier."""
    found: dict[int, Match] = {}
    refused: dict[int, str] = {}
    near: dict[int, Offer] = {}
    for tier, needs in enumerate(wish.tiers):
        for need in needs:
            searched = shelf.find(need, blocked)
            refused |= searched.refused
            near |= {id(offer): offer for offer in searched.near}
            for offer, there in searched.offers:
                match, known = Match(there, need, tier), found.get(id(offer))
                if known is None or (known.tier == tier and match.waste < known.waste):
                    found[id(offer)] = match
    every = [need for tier in wish.tiers for need in tier]
    return Matches(
        list(found.values()),
        Counter(code for key, code in refused.items() if key not in found),
        nearest(every, [o for key, o in near.items() if key not in found], REJECTED_KEPT),
    )


def candidates(
    matches: Matches, work: Work, pricing: Pricing, *, every_machine: bool = False
) -> Candidates:
    """What is left of the matches once those are gone that no best plan needs.

    Args:
        every_machine: Keep each kind of machine, since one may be taken over warm from another
            stage.
    """
    out = Candidates(refused=matches.refused.copy(), nearest=matches.nearest)
    quoted: dict[tuple[object, ...], list[Candidate]] = {}
    winners, dearer = _reduced(matches, work, pricing, every_machine)
    for match in winners:
        quote = pricing.quote(work, match.offer)
        if quote.usd == float("inf"):
            out.refused[NEVER_ENDS] += 1
            continue
        kind = match.offer.instance_type if every_machine else ""
        place = Place.of(match.offer), match.tier, kind
        quoted.setdefault(place, []).append(Candidate(match, quote))
    slower: list[tuple[Match, Match]] = []
    for there in quoted.values():
        if len(there) > 1:
            there.sort(key=lambda c: c.order)
        front: list[Candidate] = []
        for one in there:  # none is cheaper than those before it, so it has to be faster
            if front and front[-1].quote.seconds <= one.quote.seconds:
                slower.append((one.match, front[-1].match))
            else:
                front.append(one)
        out.kept += front
    out.kept.sort(key=lambda c: (c.match.tier, *c.order))
    out.beaten = dearer, Beaten(slower)
    return out


def _reduced(
    matches: Matches, work: Work, pricing: Pricing, every_machine: bool
) -> tuple[list[Match], Beaten]:
    """The cheapest of what only its price tells apart; stages that ask for the same share it."""
    pace = pricing.estimator.pace(work.stage)
    key = work.stage.nodes if pace else None
    known = matches.reduced.get(key)
    if known is None:
        alike = _alike(pace, pricing, every_machine)
        known = matches.reduced[key] = _cheapest(matches.found, alike)
    return known


def _alike(
    pace: Callable[[Offer], object] | None, pricing: Pricing, every_machine: bool
) -> Callable[[Match], tuple[object, ...]]:
    """What tells offers apart but for their price: of those that are alike the cheapest wins."""
    exposed = bool(pricing.history.exposures)
    zones = pricing.zones

    def alike(match: Match) -> tuple[object, ...]:
        offer = match.offer
        machine = every_machine or zones.knows(offer.cloud) or (offer.spot and exposed)
        kind = offer.instance_type if machine else ""
        place = offer.cloud, offer.region, offer.zone
        return *place, match.tier, offer.spot, pace(offer) if pace else None, kind

    return alike


def _cheapest(
    found: Sequence[Match], alike: Callable[[Match], tuple[object, ...]]
) -> tuple[list[Match], Beaten]:
    groups: dict[tuple[object, ...], list[Match]] = {}
    for match in found:
        groups.setdefault(alike(match), []).append(match)
    winners, beaten = [], []
    for there in groups.values():
        least = min(match.offer.price for match in there)
        ties = [match for match in there if match.offer.price == least]
        winner = min(ties, key=lambda match: match.waste) if len(ties) > 1 else ties[0]
        winners.append(winner)
        beaten += [(match, winner) for match in there if match is not winner]
    return winners, Beaten(beaten)
