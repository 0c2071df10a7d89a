"""Making the nodes of one wish on the hosts of a pool. The caller holds the token's lock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from stix.clouds.agents import up_request
from stix.clouds.base import CreateRequest
from stix.clouds.errors import AuthError, CapacityError, CloudError
from stix.clouds.hosts import HostFacts
from stix.clouds.ssh.choose import Candidate, assign, waste
from stix.clouds.ssh.link import HostLink
from stix.remote.agent import NodeRecord

FactsOf = Callable[[HostLink], Awaitable[HostFacts]]


class Making:
    """``look`` finds what a former call with the token made; ``make`` makes the rest.

    Attributes:
        done: Rank to the node that exists, and its host.
    """

    def __init__(
        self, request: CreateRequest, links: Sequence[HostLink], facts_of: FactsOf
    ) -> None:
        self.done: dict[int, tuple[HostLink, NodeRecord]] = {}
        self._request = request
        self._links = {link.host.name: link for link in links}
        self._facts_of = facts_of
        self._facts: dict[str, HostFacts] = {}
        self._load: dict[str, int] = {}

    async def look(self) -> None:
        """Ask every host what is there. Those that do not answer take no part.

        Raises:
            AuthError: all hosts refuse us.
            CapacityError: no host can be used.
        """
        answers = await asyncio.gather(*map(self._ask, self._links.values()))
        errors = [error for error in answers if error is not None]
        if self._facts:
            return
        if errors and all(isinstance(error, AuthError) for error in errors):
            raise errors[0]
        words = "; ".join(error.message for error in errors)
        raise CapacityError(
            f"no host of {self._request.offer.infra} can be used: {words}",
            scope="zone" if self._request.offer.zone else "region",
            fix="see what `stix check` says",
        )

    async def make(self) -> None:
        """Make the ranks that are missing.

        Raises:
            CapacityError: they do not fit; ``done`` is what was made until then.
        """
        full: dict[str, str] = {}
        while missing := [rank for rank in range(self._request.count) if rank not in self.done]:
            taken = Counter(link.host.name for link, _ in self.done.values())
            chosen = assign(missing, self._candidates(), taken, full)
            if not chosen:
                raise self._no_room(full)
            acts = [self._up(rank, self._links[name]) for rank, name in chosen.items()]
            errors = [error for error in await asyncio.gather(*acts) if error is not None]
            for link, error in errors:
                if not isinstance(error, CapacityError):
                    raise error
                full[link.host.name] = error.message

    async def _ask(self, link: HostLink) -> CloudError | None:
        try:
            records = await link.call(link.agent.list)
            self._facts[link.host.name] = await self._facts_of(link)
        except CloudError as error:
            return error
        running = sum(record.state == "running" for record in records)
        # What this process is making there is not in the list yet; what it starts later is added.
        self._load[link.host.name] = running + link.pending - link.started
        for record in records:
            if record.token == self._request.token:
                self.done[record.rank] = (link, record)
        return None

    def _candidates(self) -> list[Candidate]:
        offer = self._request.offer
        needed = HostFacts(offer.cpus, offer.memory_gib, dict(offer.accelerators))
        return [
            Candidate(name, waste(facts, offer), self._load[name] + self._links[name].started)
            for name in self._links
            if (facts := self._facts.get(name)) is not None
            and (offer.zone is not None or facts.holds(needed))
        ]

    async def _up(self, rank: int, link: HostLink) -> tuple[HostLink, CloudError] | None:
        link.pending += 1
        link.started += 1
        try:
            limits = self._facts[link.host.name].limits()
            request = up_request(self._request, rank, limits, await link.address())
            self.done[rank] = (link, await link.call(lambda: link.agent.up(request)))
        except CloudError as error:
            return link, error
        finally:
            link.pending -= 1
        return None

    def _no_room(self, full: dict[str, str]) -> CapacityError:
        offer = self._request.offer
        words = "; ".join(full.values()) or f"no host has the size {offer.instance_type}"
        return CapacityError(
            f"no room for {self._request.count} nodes on {offer.infra}: {words}",
            scope="zone" if offer.zone else "type",
        )
