"""Pools of SSH hosts as a cloud: a region is a pool, a zone is a host; nodes share hosts."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NoReturn

from stix.clouds.agents import agrees, finish, node_of, settle
from stix.clouds.base import CreateRequest, Identity, Node, NodeRef, NodeState, Selector
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import CloudError, InvalidRequest
from stix.clouds.hosts import HostFacts
from stix.clouds.locks import TokenLocks
from stix.clouds.ssh.choose import offers_of
from stix.clouds.ssh.facts import FactsCache
from stix.clouds.ssh.link import HostLink, UnknownHost
from stix.clouds.ssh.making import Making
from stix.clouds.ssh.pools import FILE_NAME, Host, Pools, pool_files, read_pools
from stix.plan.offers import Offer
from stix.remote.agent import NodeRecord
from stix.remote.base import Runner

log = logging.getLogger("stix.clouds.ssh")


class SshCloud:
    """Hosts of our own. Every engine of one ``STIX_HOME`` sees the nodes that carry its id."""

    name = "ssh"
    host_ports = True
    breaker = False  # a host that fails says nothing of the others

    def __init__(self, config: CloudConfig) -> None:
        self._config = config
        self._links: dict[Host, HostLink] = {}
        self._facts = FactsCache(config.home / "cache" / "ssh-hosts.json")
        self._locks = TokenLocks(config.home / "cache" / "ssh-locks")
        self._read: tuple[object, Pools] = ((), {})

    async def check(self) -> Identity:
        """Ask every host anew; hosts that fail are named in ``detail``.

        Raises:
            InvalidRequest: there are no pools.
            CloudError: no host can be used; the error of the first.
        """
        links = [self._link(host) for hosts in self._pools().values() for host in hosts]
        if not links:
            raise InvalidRequest(
                "there are no pools of SSH hosts",
                fix=f"write {self._config.home / FILE_NAME}, such as `rack: {{hosts: [10.0.0.1]}}`",
            )
        for link in links:
            link.forget_failure()
        found, errors = await self._survey(links)
        if not found:
            raise errors[0]
        detail = [f"{host.pool}/{host.name}: {facts.size()}" for host, facts in found.items()]
        return Identity(
            f"{len(found)} of {len(links)} hosts", "\n".join([*detail, *map(str, errors)])
        )

    async def offers(self) -> Sequence[Offer]:
        """Sizes of the hosts that answer.

        Raises:
            CloudError: none does; the error of the first.
        """
        known: dict[Host, HostFacts] = {}
        unknown = []
        hosts = [host for pool in self._pools().values() for host in pool]
        for host in hosts:
            facts = self._facts.get(host)
            if facts is None:
                unknown.append(self._link(host))
            else:
                known[host] = facts
        found, errors = await self._survey(unknown)
        for error in errors:
            log.warning("not offered: %s", error.message)
        reachable = {**known, **found}
        if errors and not reachable:
            # Nobody waits for a second try: a pool that is off must not hold up every run.
            raise _for_good(errors[0])
        offers = []
        for pool, members in self._pools().items():
            offers += offers_of(pool, {h: reachable[h] for h in members if h in reachable})
        return offers

    async def create(self, request: CreateRequest) -> list[Node]:
        links = self._candidates(request.offer)
        tags = {**request.tags, HOME_TAG: self._config.home_id}
        async with self._locks.hold(request.token):
            return [*await finish(lambda: self._create(replace(request, tags=tags), links))]

    async def list(self, selector: Selector) -> list[Node]:
        """Hosts that do not answer are left out, with a warning: their nodes are unknown."""
        links = [self._link(host) for hosts in self._pools().values() for host in hosts]
        wanted = Selector({**selector.tags, HOME_TAG: self._config.home_id})
        answers = await asyncio.gather(*(self._records(link) for link in links))
        return [
            self._node(link, record)
            for link, records in zip(links, answers, strict=True)
            for record in records or ()
            if agrees(record.tags, wanted)
        ]

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        by_link: dict[HostLink, list[str]] = {}
        for node in dict.fromkeys(nodes):
            by_link.setdefault(self._link_of(node), []).append(node.id)
        acts = [self._down(link, ids) for link, ids in by_link.items()]
        _, errors = await settle(acts)
        if errors:
            raise errors[0]

    async def runner(self, node: Node) -> Runner:
        link = self._link_of(node.ref)
        await link.ready()
        return link.runner

    async def close(self) -> None:
        links, self._links = list(self._links.values()), {}
        for link in links:
            await link.runner.close()

    async def describe(self, node: NodeRef) -> NodeState | None:
        """What the host says of the node."""
        link = self._link_of(node)
        for record in await link.call(link.agent.list):
            if record.id == node.id:
                return self._node(link, record).state
        return None

    async def preempt(self, node: NodeRef) -> None:
        link = self._link_of(node)
        await link.call(lambda: link.agent.mark(node.id, "preempted"))

    async def kill(self, node: NodeRef) -> None:
        """SIGKILL to the node's agent; what it leaves behind ends with it."""
        link = self._link_of(node)
        records = {record.id: record for record in await link.call(link.agent.list)}
        record = records.get(node.id)
        if record is None or record.state != "running" or record.pid <= 1:
            raise InvalidRequest(f"{link.place}: no node {node.id} is running there")
        await link.call(lambda: link.runner.run(["kill", "-KILL", str(record.pid)]))

    def _pools(self) -> Pools:
        """The pools, read again when a file has changed."""
        files = pool_files(self._config.home, self._config.settings)
        stamp = [(str(file), file.stat().st_mtime_ns) for file in files]
        if self._read[0] != stamp:
            self._read = (stamp, read_pools(files))
        return self._read[1]

    def _link(self, host: Host) -> HostLink:
        if host not in self._links:
            self._links[host] = HostLink(host, self._config.home / "known_hosts")
        return self._links[host]

    def _link_of(self, node: NodeRef) -> HostLink:
        return self._link(self._host(node.region, node.zone or ""))

    def _host(self, pool: str, name: str) -> Host:
        for host in self._members(pool):
            if host.name == name:
                return host
        raise _unknown("host", f"ssh/{pool}/{name}", name, [h.name for h in self._members(pool)])

    def _members(self, pool: str) -> tuple[Host, ...]:
        pools = self._pools()
        if pool not in pools:
            raise _unknown("pool", f"ssh/{pool}", pool, list(pools))
        return pools[pool]

    def _candidates(self, offer: Offer) -> Sequence[HostLink]:
        """The hosts that an offer speaks of."""
        if offer.zone is not None:
            return [self._link(self._host(offer.region, offer.zone))]
        return [self._link(host) for host in self._members(offer.region)]

    async def _survey(
        self, links: Sequence[HostLink]
    ) -> tuple[dict[Host, HostFacts], Sequence[CloudError]]:
        """Facts of the hosts that answer, and the errors of the others."""

        async def ask(link: HostLink) -> HostFacts | CloudError:
            try:
                return await link.facts()
            except CloudError as error:
                return error

        answers = await asyncio.gather(*(ask(link) for link in links))
        errors = [answer for answer in answers if isinstance(answer, CloudError)]
        found = {
            link.host: answer
            for link, answer in zip(links, answers, strict=True)
            if not isinstance(answer, CloudError)
        }
        if found:
            await asyncio.to_thread(self._facts.put, found)
        return found, errors

    async def _create(self, request: CreateRequest, links: Sequence[HostLink]) -> Sequence[Node]:
        making = Making(request, links, self._facts_of)
        await making.look()
        try:
            await making.make()
        except CloudError as error:
            await self._undo(making, error)
        return [self._node(*making.done[rank]) for rank in range(request.count)]

    async def _undo(self, making: Making, error: CloudError) -> NoReturn:
        """All or nothing: remove every node of the token, then raise."""
        by_link: dict[HostLink, set[str]] = {}
        for link, record in making.done.values():
            by_link.setdefault(link, set()).add(record.id)
        _, failed = await settle([self._down(link, ids) for link, ids in by_link.items()])
        if failed:
            left = tuple(record.id for _, record in making.done.values())
            raise CloudError(f"{error.message}; {failed[0]}", created=left) from error
        raise error

    async def _down(self, link: HostLink, ids: Iterable[str]) -> None:
        await link.call(lambda: finish(lambda: link.agent.down(sorted(ids))))

    async def _records(self, link: HostLink) -> Sequence[NodeRecord] | None:
        try:
            return await link.call(link.agent.list)
        except CloudError as error:
            log.warning("nodes unknown: %s", error.message)
            return None

    async def _facts_of(self, link: HostLink) -> HostFacts:
        """What a host is made of: remembered, or asked now."""
        known = self._facts.get(link.host, fresh=False)
        if known is None:
            known = await link.facts()
            await asyncio.to_thread(self._facts.put, {link.host: known})
        return known

    def _node(self, link: HostLink, record: NodeRecord) -> Node:
        return node_of(record, NodeRef(self.name, record.id, link.host.pool, link.host.name))


def _for_good(error: CloudError) -> CloudError:
    return CloudError(error.message, fix=error.fix) if error.retryable else error


def _unknown(what: str, place: str, name: str, known: Sequence[str]) -> UnknownHost:
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    return UnknownHost(
        f"there is no {what} {place}",
        fix=f"{guess}known in {FILE_NAME}: {', '.join(known) or 'none'}",
    )
