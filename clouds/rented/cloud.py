"""A cloud that rents machines by an API: everything but the API.

An adapter says how to order one machine, list machines and remove them; idempotency, gangs, tags,
prices and the way to the node are here, the same for all.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

from stix.clouds.agents import agrees, finish, settle
from stix.clouds.base import CreateRequest, Identity, Node, NodeRef, NodeState, Selector
from stix.clouds.config import HOME_TAG, TOKEN_TAG, CloudConfig
from stix.clouds.errors import CloudError, InvalidRequest, TransientError, UnsupportedFeature
from stix.clouds.locks import TokenLocks
from stix.clouds.rented import names
from stix.clouds.rented.failures import ErrorTable
from stix.clouds.rented.first_boot import cloud_init, fitting
from stix.clouds.rented.http import Api, Headers, Reading
from stix.clouds.rented.keys import KeyPair
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.market import CatalogOffers
from stix.clouds.rented.reach import Reach
from stix.clouds.rented.tags import RANK_TAG, WISH_TAG, pack, unpack, wish_of
from stix.clouds.settings import Setting, read_settings
from stix.plan.offers import Offer
from stix.remote.base import Runner

COMMON = (
    Setting("regions", "texts", doc="regions to use; all that the provider has"),
    Setting("user", doc="whom to log in as"),
    Setting("endpoint_url", doc="in place of the provider's address"),
    Setting("timeout", "number", default=30.0, least=0.01, doc="seconds without an answer"),
)
"""Settings that every rented cloud has."""
OVER = (NodeState.PREEMPTED, NodeState.FAILED)


class RentedCloud(ABC):
    """See the module. Subclasses set ``name`` and ``traits``, and fill the abstract methods.

    Attributes:
        settings: What its block of ``config.yaml`` may hold; ``COMMON`` and more.

    Raises:
        InvalidRequest: the block holds something else.
    """

    name: str
    settings: Sequence[Setting] = COMMON
    traits: Traits = Traits()

    def __init__(self, config: CloudConfig) -> None:
        read_settings(self.name, config.settings, self.settings)
        cache = config.home / "cache"
        self.config = config
        self.keys = KeyPair(config.home)
        self._locks = TokenLocks(cache / f"{self.name}-locks")
        self._files = names.TagFiles(cache / f"{self.name}-tags")
        self._reach = Reach(cache / f"{self.name}-hosts", self.keys.private_file)
        self._market = CatalogOffers(self.name, config)

    def api(self, base: str, headers: Headers, errors: ErrorTable, **more: Reading) -> Api:
        """The way to ``base``, or to the setting ``endpoint_url`` in its place.

        The setting ``timeout`` is how long the provider may stay silent, in seconds.
        """
        settings = self.config.settings
        address = str(settings.get("endpoint_url") or base)
        return Api(address, headers, errors, timeout_s=float(settings.get("timeout", 30)), **more)

    # What an adapter writes.

    @abstractmethod
    def credentials(self) -> str:
        """Where credentials were found; empty where there are none. Asks nobody."""

    @abstractmethod
    async def check(self) -> Identity:
        """Prove that the credentials work."""

    @abstractmethod
    async def launch(self, order: Order) -> Machine:
        """Order one machine. Raises the provider's refusal, typed; leaves nothing then."""

    @abstractmethod
    async def machines(self, search: Search) -> Sequence[Machine]:
        """The machines that are ours, through all pages; see ``Search``. A machine is ours where
        its tags say so, and where machines have no tags, its name."""

    @abstractmethod
    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        """End them for good, with their disks and addresses. Silent on missing ones."""

    async def hang_up(self) -> None:  # noqa: B027  most have nothing of their own to close
        """Close what the adapter holds open."""

    async def launch_all(
        self, orders: Sequence[Order]
    ) -> tuple[list[Machine], list[BaseException]]:
        """Order the machines of one wish: those that were made, and what went wrong.

        To be replaced where the provider makes gangs in one call.
        """
        turn = asyncio.Semaphore(self.traits.at_once)
        refused = asyncio.Event()

        async def one(order: Order) -> Machine | None:
            async with turn:
                if refused.is_set():
                    return None  # the wish fails anyway: order no more
                try:
                    with understood(self.name):
                        return await finish(lambda: self.launch(order))
                except CloudError:
                    refused.set()
                    raise

        made, errors = await settle([one(order) for order in orders])
        return [machine for machine in made if machine is not None], errors

    # The interface of a cloud.

    async def offers(self) -> Sequence[Offer]:
        """Prices of the catalog."""
        return await asyncio.to_thread(self._market.offers)

    async def create(self, request: CreateRequest) -> list[Node]:
        self._vet(request)
        async with self._locks.hold(request.token):
            return [*await self._create(request)]

    async def list(self, selector: Selector) -> list[Node]:
        token = selector.tags.get(TOKEN_TAG)
        wish = wish_of(token) if token else None
        found = await self._nodes(Search(self.config.home_id, None, wish))
        return [node for node in found if agrees(node.tags, selector)]

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        wanted = list(dict.fromkeys(nodes))
        if not wanted:
            return
        await self._remove(wanted)
        for ref in wanted:
            await self._reach.forget(ref.id)

    async def prepare(self, node: Node) -> Node:
        """See ``CanPrepare``."""
        search = Search(self.config.home_id, node.ref.region, node.tags.get(WISH_TAG))

        async def look() -> Node | None:
            found = {each.ref.id: each for each in await self._nodes(search)}
            return found.get(node.ref.id)

        return await self._reach.prepare(node, look, self.traits)

    async def runner(self, node: Node) -> Runner:
        return await self._reach.runner(node)

    async def close(self) -> None:
        await self._reach.close()
        await self.hang_up()

    # How it is done.

    def _vet(self, request: CreateRequest) -> None:
        offer, demand = request.offer, request.demand
        if demand.cpus > offer.cpus or demand.memory_gib > offer.memory_gib:
            raise InvalidRequest(
                f"{self.name}: {offer.instance_type} has {offer.cpus:g} CPUs and "
                f"{offer.memory_gib:g} GiB, less than the stage asks for"
            )
        if request.count > 1 and not self.traits.multi_node:
            raise UnsupportedFeature(
                f"{self.name}: machines do not reach each other", fix="use `num_nodes: 1`"
            )

    async def _create(self, request: CreateRequest) -> Sequence[Node]:
        wish, region = wish_of(request.token), request.offer.region
        there = await self._ranked(wish, region)
        missing = [rank for rank in range(request.count) if rank not in there]
        if missing:
            orders = await asyncio.to_thread(self._orders, request, missing)
            made, errors = await self.launch_all(orders)
            there |= {self._node(machine).rank: self._node(machine) for machine in made}
            if errors:
                await self._failed(errors, there, Search(self.config.home_id, region, wish))
        return [there[rank] for rank in range(request.count)]

    async def _ranked(self, wish: str, region: str) -> dict[int, Node]:
        """The living machines of a wish by rank.

        Of two of one rank the one made later goes, as do those that died: they hold the names.
        """
        found: dict[int, Node] = {}
        useless: set[NodeRef] = set()
        for node in sorted(await self._nodes(Search(self.config.home_id, region, wish)), key=_age):
            if node.tags.get(WISH_TAG) != wish or node.state is NodeState.TERMINATED:
                continue
            if node.state in OVER or node.rank in found:
                useless.add(node.ref)
            else:
                found[node.rank] = node
        if useless:
            await self._remove(sorted(useless, key=_id))
        return found

    def _orders(self, request: CreateRequest, ranks: Sequence[int]) -> Sequence[Order]:
        wish = wish_of(request.token)
        key = self.keys.public()
        plain = {**request.tags, HOME_TAG: self.config.home_id, WISH_TAG: wish}
        if self.traits.tags is None:
            self._files.keep(wish, plain)
        orders = []
        for rank in ranks:
            tags = {**plain, RANK_TAG: str(rank)}
            orders.append(
                Order(
                    name=names.name_of(self.config.home_id, wish, rank),
                    wish=wish,
                    idempotency=f"{wish}-{rank}",
                    rank=rank,
                    count=request.count,
                    offer=request.offer,
                    tags=pack(tags, self.traits.tags) if self.traits.tags else {},
                    public_key=key,
                    user_data=self._user_data(key),
                    disk_gib=request.disk_gib,
                    image=request.image,
                    ports=request.ports,
                    volumes=request.volumes,
                )
            )
        return orders

    def _user_data(self, public_key: str) -> str:
        limit = self.traits.user_data_bytes
        return fitting(cloud_init(public_key, self.traits.user), limit, self.name) if limit else ""

    async def _failed(
        self, errors: Sequence[BaseException], there: Mapping[int, Node], search: Search
    ) -> NoReturn:
        """All or nothing. After an answer that was lost the machines stay for the next try: it
        finds them by the token, and what nobody asks for again is swept."""
        error = next((e for e in errors if isinstance(e, CloudError)), errors[0])
        if isinstance(error, CloudError):
            if error.retryable:
                error.created = tuple(node.ref.id for node in there.values())
            else:
                await self._undo(error, there, search)
        raise error

    async def _undo(self, error: CloudError, there: Mapping[int, Node], search: Search) -> None:
        refs = {node.ref for node in there.values()}
        try:
            found = await self._nodes(search)
            refs |= {n.ref for n in found if n.tags.get(WISH_TAG) == search.wish}
            await self._remove(sorted(refs, key=_id))
        except CloudError as failed:
            error.created = tuple(ref.id for ref in refs)
            raise CloudError(f"{error.message}; {failed.message}", created=error.created) from error

    async def _remove(self, refs: Sequence[NodeRef]) -> None:
        with understood(self.name):
            await finish(lambda: self.remove_machines(refs))

    async def _nodes(self, search: Search) -> Sequence[Node]:
        with understood(self.name):
            found = await self.machines(search)
        return [
            node
            for machine in found
            if (node := self._node(machine)).tags.get(HOME_TAG) == search.home
        ]

    def _node(self, machine: Machine) -> Node:
        tags = self._tags(machine)
        login = ""
        if machine.public_ip:
            login = f"{machine.user or self.user}@{_bracketed(machine.public_ip)}:{machine.port}"
        return Node(
            ref=NodeRef(self.name, machine.id, machine.region, machine.zone),
            state=machine.state,
            address=machine.private_ip or machine.public_ip,
            rank=int(tags.get(RANK_TAG, "0")),
            tags=tags,
            login=login,
            created=machine.created,
            spot=machine.spot,
            billed=machine.billed,
            reason=machine.reason,
        )

    @property
    def user(self) -> str:
        """Whom to log in as: the setting ``user``, else the provider's usual one."""
        return str(self.config.settings.get("user") or self.traits.user)

    def _tags(self, machine: Machine) -> dict[str, str]:
        tags = unpack(machine.tags)
        if self.traits.tags is None:
            known = names.tags_in(machine.name, self.config.home_id)
            tags |= {**self._files.read(known[WISH_TAG]), **known} if known else {}
        return tags


@contextmanager
def understood(cloud: str) -> Iterator[None]:
    """An answer of another shape than the provider documents is an error of the provider."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise TransientError(f"{cloud}: an answer that makes no sense: {error!r}"[:500]) from error


def _age(node: Node) -> tuple[float, str]:
    return node.created or 0.0, node.ref.id


def _id(ref: NodeRef) -> str:
    return ref.id


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
