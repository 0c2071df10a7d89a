"""A cloud behind a driver of Libcloud: everything but the one provider.

What Libcloud gives is used: logging in, paging, and making, ending, stopping and starting nodes.
States, tags and errors are read in the provider's own words, since Libcloud has fewer.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from stix.clouds.base import NodeRef, NodeState
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import InvalidRequest
from stix.clouds.libcloud.calls import Drivers, library
from stix.clouds.libcloud.errors import TABLES
from stix.clouds.rented.cloud import COMMON, RentedCloud
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search
from stix.clouds.rented.tags import TagRule
from stix.clouds.settings import Setting

T = TypeVar("T")
EVERYWHERE = "-"
WORDS = TagRule(count=90, key=r"[a-z0-9_-]{1,20}", value=r"[a-z0-9_.-]{1,28}", chunk=28)
"""For providers whose tags are words of up to 50 characters."""
IMAGES = (*COMMON, Setting("image", doc="in place of the usual one"))


class LibcloudCloud(RentedCloud):
    """See the module. What is called with a driver runs in a thread, and may wait.

    Attributes:
        states: The provider's words.
        free: Those in which a machine costs nothing.
    """

    states: ClassVar[Mapping[str, NodeState]]
    free: ClassVar[frozenset[str]] = frozenset()
    settings: Sequence[Setting] = IMAGES
    custom_image: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._drivers = Drivers(self.name, TABLES[self.name], self.driver)

    # What a provider's class writes.

    @abstractmethod
    def driver(self, place: str) -> Any:
        """A new driver of Libcloud for a place."""

    @abstractmethod
    def order(self, driver: Any, order: Order) -> Any:
        """Order one machine: the node of Libcloud."""

    @abstractmethod
    def machine(self, node: Any, place: str) -> Machine:
        """A node of Libcloud in our words."""

    def place(self, region: str) -> str:
        """Which driver serves a region; by default one serves them all."""
        return EVERYWHERE

    async def places(self) -> Sequence[str]:
        """All of them."""
        return (EVERYWHERE,)

    # How it is done.

    async def launch(self, order: Order) -> Machine:
        place = self.place(order.offer.region)
        return await self.call(place, lambda d: self.machine(self.order(d, order), place))

    async def machines(self, search: Search) -> list[Machine]:
        known = await self.places()
        wanted = self.place(search.region) if search.region is not None else None
        found = []
        for place in (wanted,) if wanted in known else known:
            found += await self.call(place or EVERYWHERE, _listing(self.machine, place))
        return [machine for machine in found if machine.tags.get(HOME_TAG) == search.home]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            try:
                await self._each(node, lambda driver, stub: driver.destroy_node(stub))
            except NotThere:
                continue

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``."""
        for node in nodes:
            if (await self.look(node)).state is not NodeState.STOPPED:
                await self._each(node, lambda driver, stub: driver.stop_node(stub))

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            if (await self.look(node)).state is NodeState.STOPPED:
                await self._each(node, lambda driver, stub: driver.start_node(stub))

    async def look(self, node: NodeRef) -> Machine:
        """One machine.

        Raises:
            NotThere: it is no more.
        """
        place = self.place(node.region)
        return await self.call(place, lambda d: self.machine(self.asked(d, node.id), place))

    def asked(self, driver: Any, node_id: str) -> Any:
        """One node of Libcloud."""
        return driver.ex_get_node(node_id)

    async def hang_up(self) -> None:
        self._drivers.close()

    async def call(self, place: str, work: Callable[[Any], T]) -> T:
        """``work`` with a driver, in a thread; all its errors are typed."""
        return await self._drivers.run(place, work)

    @property
    def library(self) -> Any:
        """The module with the drivers."""
        return library(self.name)

    def wire(self) -> dict[str, Any]:
        """Arguments of a driver about its wire: the settings ``endpoint_url`` and ``timeout``."""
        settings = self.config.settings
        found: dict[str, Any] = {"timeout": float(settings.get("timeout", 30))}
        if settings.get("endpoint_url"):
            url = urlsplit(str(settings["endpoint_url"]))
            secure = url.scheme == "https"
            port = url.port or (443 if secure else 80)
            found |= {"host": url.hostname, "port": port, "secure": secure}
        return found

    def state(self, word: str) -> NodeState:
        return self.states.get(word, NodeState.STARTING)

    def no_disk(self, order: Order) -> None:
        """Refuse a size of the disk."""
        if order.disk_gib is not None:
            raise InvalidRequest(
                f"{self.name}: the disk of a machine has the size of its type",
                fix="remove `disk_size`",
            )

    async def _each(self, node: NodeRef, work: Callable[[Any, Any], object]) -> None:
        stub = self.library.stub
        await self.call(self.place(node.region), lambda d: work(d, stub(d, node.id)))


def _listing(
    machine: Callable[[Any, str], Machine], place: str | None
) -> Callable[[Any], list[Machine]]:
    def work(driver: Any) -> list[Machine]:
        return [machine(node, place or EVERYWHERE) for node in driver.list_nodes()]

    return work
