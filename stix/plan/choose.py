"""The best offers for one stage: match, then order by money, waste and name."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from stix.plan.match import Need, Reason, demand, leftover, reasons
from stix.plan.offers import Offer
from stix.plan.placement import REJECTED_KEPT, Block, Choice, Placement, Rejected

Tier = tuple[Need, ...]
"""Needs of which any will do; the cheapest is taken."""


@dataclass(frozen=True)
class Wish:
    """What one stage run asks for.

    Attributes:
        stage: Key of the stage run.
        tiers: Tried in order (``ordered``); within one, the cheapest counts (``any_of``).
        num_nodes: Nodes of it.
        hours: How long it is thought to run, h.
    """

    stage: str
    tiers: tuple[Tier, ...]
    num_nodes: int = 1
    hours: float = 1.0


@dataclass(frozen=True)
class Unplaced:
    """A stage that no offer serves.

    Attributes:
        stage: Key of the stage run.
        wanted: What it asks for, in words.
        nearest: The offers that are nearest to serving it.
        fix: What the user can do.
    """

    stage: str
    wanted: str
    nearest: tuple[Rejected, ...]
    fix: str


def choose(wish: Wish, offers: Sequence[Offer], blocked: Sequence[Block]) -> Placement | Unplaced:
    """The placement of one stage, or why there is none.

    Candidates are ordered by the tier, then (USD for all nodes and hours, accelerators, CPUs and
    memory that stay unused, name): equal offers always come in the same order.
    """
    refusals = _Refusals()
    chosen: dict[int, Choice] = {}
    for tier in wish.tiers:
        for index, choice in _tier(wish, tier, offers, blocked, refusals):
            chosen.setdefault(index, choice)
    rejected = refusals.nearest(offers, without=chosen)
    if not chosen:
        return unplaced(wish, offers, rejected)
    first, *others = chosen.values()
    return Placement(
        stage=wish.stage,
        num_nodes=wish.num_nodes,
        chosen=first,
        alternatives=tuple(others),
        usd_per_hour=first.offer.price * wish.num_nodes,
        rejected=tuple(rejected[:REJECTED_KEPT]),
        rejected_count=len(rejected),
    )


class _Refusals:
    """For each offer the fewest reasons that any alternative had against it."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Reason, ...]] = {}

    def note(self, index: int, why: tuple[Reason, ...]) -> None:
        known = self._found.get(index)
        if known is None or _distance(why) < _distance(known):
            self._found[index] = why

    def nearest(self, offers: Sequence[Offer], without: Collection[int]) -> list[Rejected]:
        left = [Rejected(offers[i], why) for i, why in self._found.items() if i not in without]
        return sorted(left, key=lambda r: (_distance(r.reasons), _name(r.offer)))


def _distance(why: tuple[Reason, ...]) -> tuple[int, float]:
    return len(why), sum(reason.gap for reason in why)


def _name(offer: Offer) -> tuple[str, str, bool]:
    return offer.infra, offer.instance_type, offer.spot


def _tier(
    wish: Wish,
    tier: Tier,
    offers: Sequence[Offer],
    blocked: Sequence[Block],
    refusals: _Refusals,
) -> list[tuple[int, Choice]]:
    """What serves any need of one tier, best first: (position in ``offers``, choice)."""
    ranked = []
    for need in tier:
        for index, offer in enumerate(offers):
            why = tuple(reasons(need, offer))
            if not why and any(block.covers(offer) for block in blocked):
                why = (Reason("blocked", "was tried a short time ago and had no room", 0.0),)
            if why:
                refusals.note(index, why)
                continue
            cost = offer.price * wish.hours * wish.num_nodes
            rank = (cost, leftover(need, offer), _name(offer))
            ranked.append((rank, index, Choice(offer, demand(need, offer))))
    ranked.sort(key=lambda entry: entry[:2])
    return [(index, choice) for _, index, choice in ranked]


def unplaced(wish: Wish, offers: Sequence[Offer], rejected: Sequence[Rejected]) -> Unplaced:
    """Why nothing serves a wish, and what to do; ``rejected`` are the nearest first."""
    needs = [need for tier in wish.tiers for need in tier]
    wanted = " or ".join(dict.fromkeys(describe(need) for need in needs))
    return Unplaced(wish.stage, wanted, tuple(rejected[:3]), _fix(needs, offers, rejected))


def describe(need: Need) -> str:
    """A need in words, such as ``2 nodes of 8 x A100, 16 CPUs on aws``."""
    parts = [f"{count:g} x {name}" for name, count in need.accelerators.items()]
    parts += [f"{need.cpus:g} CPUs"] if need.cpus else []
    parts += [f"{need.memory_gib:g} GiB"] if need.memory_gib else []
    parts += [need.instance_type] if need.instance_type else []
    parts += ["spot"] if need.use_spot else []
    limit = need.max_hourly_cost
    parts += [f"at most {limit:g} USD/h"] if limit is not None else []
    parts += [f"the volume {where.name}" for where in need.volumes]
    nodes = f"{need.num_nodes} nodes of " if need.num_nodes > 1 else ""
    return f"{nodes}{', '.join(parts) or 'any machine'} on {need.infra}"


def _fix(needs: Sequence[Need], offers: Sequence[Offer], rejected: Sequence[Rejected]) -> str:
    if not offers:
        return "no cloud has an offer; see what `stix check` says"
    accelerators = {name for offer in offers for name in offer.accelerators}
    for need in needs:
        for name in need.accelerators:
            if name.lower() not in {k.lower() for k in accelerators}:
                return _accelerator_fix(name, sorted(accelerators))
    codes = {reason.code for reason in rejected[0].reasons} if rejected else set()
    hints = [hint for code, hint in _HINTS.items() if code in codes]
    absent = {need.cloud for need in needs if need.cloud} - {offer.cloud for offer in offers}
    if absent:  # nobody set it up, or its name is wrong
        named = " ".join(sorted(absent))
        hints = [hint for hint in hints if hint != _HINTS["infra"]]
        hints.insert(0, f"see what `stix check {named}` says")
    return "; ".join([*_misspelt(needs, offers), *hints])


def _misspelt(needs: Sequence[Need], offers: Sequence[Offer]) -> list[str]:
    """``did you mean`` for each name of a place or machine that no offer has."""
    fields = ("cloud", "region", "zone", "instance_type")
    known = {field: {getattr(o, field) for o in offers if getattr(o, field)} for field in fields}
    wanted = [(field, getattr(need, field)) for need in needs for field in fields]
    close = {
        word: difflib.get_close_matches(word, sorted(known[field]), n=1)
        for field, word in wanted
        if word and word not in known[field]
    }
    return [f"did you mean {found[0]} by {word}?" for word, found in close.items() if found]


def _accelerator_fix(name: str, known: list[str]) -> str:
    if not known:
        return f"no enabled cloud has accelerators; enable one that offers {name}"
    lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=0.4)
    have = f"known here: {', '.join(known)}"
    return f"did you mean {lower[close[0]]}? {have}" if close else f"{name} is not offered; {have}"


_HINTS = {
    "image": "name a cloud that has it by `infra:` (see `stix check --features`)",
    "container": "name a cloud of containers by `infra:` (see `stix check --features`)",
    "ports": "name a cloud that opens ports by `infra:` (see `stix check --features`)",
    "disk_size": "name a cloud that sizes disks by `infra:`, or remove `disk_size:`",
    "new_volumes": "name a cloud that has them by `infra:` (see `stix check --features`)",
    "volume": "let `infra:` be where the volume is (see `stix volumes ls`), or leave it out",
    "infra": "check `infra:` or enable that place (see `stix check`)",
    "instance_type": "check `instance_type:`",
    "spot": "change `use_spot:`, since no place that is enabled offers this market",
    "accelerators": "ask for a count that is offered",
    "cpus": "lower `cpus:`, or write `4+` where more than 4 will do",
    "memory": "lower `memory:`, or write `16+` where more than 16 will do",
    "arch": "write `arch: any` where programs for either processor will do",
    "price": "raise `max_hourly_cost:`",
    "capacity": "lower `num_nodes:` or what each node asks for",
    "blocked": "wait until there is room again",
}
