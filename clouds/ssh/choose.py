"""Offers of a pool, and which hosts get the nodes of a stage; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from stix.clouds.hosts import HostFacts
from stix.clouds.ssh.pools import Host
from stix.plan.offers import Offer


def offers_of(pool: str, hosts: Mapping[Host, HostFacts]) -> list[Offer]:
    """For each size of host an offer of the pool, whose machines are all hosts at least that big;
    and for each host an offer of its own, for those who name one."""
    sizes = {facts.size(): facts for facts in hosts.values()}
    shared = [
        _offer(pool, None, size, sum(other.holds(size) for other in hosts.values()))
        for size in sizes.values()
    ]
    return shared + [_offer(pool, host.name, facts, 1) for host, facts in hosts.items()]


def _offer(pool: str, zone: str | None, facts: HostFacts, capacity: int) -> Offer:
    return Offer(
        cloud="ssh",
        region=pool,
        zone=zone,
        instance_type=facts.size(),
        cpus=facts.cpus,
        memory_gib=facts.memory_gib,
        accelerators=dict(facts.accelerators),
        capacity=capacity,
        shared=True,
    )


@dataclass(frozen=True)
class Candidate:
    """A host that may take nodes.

    Attributes:
        name: Name of the host in its pool.
        waste: How much bigger it is than asked for; smaller is taken first.
        load: Nodes that are there now, of whatever run.
    """

    name: str
    waste: float
    load: int


def waste(facts: HostFacts, offer: Offer) -> float:
    """0 for a host of the very size of the offer; accelerators left idle weigh most."""
    idle = sum(facts.accelerators.values()) - sum(offer.accelerators.values())
    return 1000 * idle + (facts.cpus - offer.cpus) + (facts.memory_gib - offer.memory_gib) / 16


def assign(
    ranks: Sequence[int],
    candidates: Sequence[Candidate],
    taken: Mapping[str, int],
    full: Collection[str],
) -> dict[int, str]:
    """A host for each rank: distinct ones as long as there are some, then those with the least
    waste, then the fewest nodes, then the order of the file. Empty where all are full.

    Args:
        ranks: Ranks that need a host.
        candidates: In the order of the file.
        taken: Host to the number of nodes of the same stage there.
        full: Hosts that had no room.
    """
    left = [c for c in candidates if c.name not in full]
    own = dict(taken)
    chosen: dict[int, str] = {}
    for rank in ranks if left else ():
        best = min(left, key=lambda c: (own.get(c.name, 0), c.waste, c.load + own.get(c.name, 0)))
        chosen[rank] = best.name
        own[best.name] = own.get(best.name, 0) + 1
    return chosen
