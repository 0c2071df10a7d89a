"""Vast.ai. Source: its API document and guides (vast-ai/docs, 2026-08).

A market of single machines: a row of the catalog says what kind, and the cheapest one on offer
that fits is rented. An instance is a container with Vast's own sshd, reached at the host's address
by a port of its choice; its label is all that tells whose it is. An interruptible instance is paid
as it was bid for, and stops, with its disk, when others bid more.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState
from stix.clouds.config import CloudConfig
from stix.clouds.errors import CapacityError, CloudError, QuotaError
from stix.clouds.rented import names
from stix.clouds.rented.cloud import RentedCloud, understood
from stix.clouds.rented.credentials import Key, whole
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.ports import single_ports
from stix.clouds.settings import Setting, read_settings
from stix.clouds.vast.errors import ERRORS, reading
from stix.clouds.vast.market import Kind, bids_search, search_of, with_bids
from stix.plan.offers import Offer

log = logging.getLogger("stix.clouds")

KEY = Key(("VAST_API_KEY",), (("~/.config/vastai/vast_api_key", whole), ("~/.vast_api_key", whole)))
STATES: Mapping[str, NodeState] = {
    "loading": NodeState.STARTING,
    "created": NodeState.STARTING,
    "scheduling": NodeState.STARTING,
    "restarting": NodeState.STARTING,
    "rebooting": NodeState.STARTING,
    "unknown": NodeState.STARTING,
    "running": NodeState.RUNNING,
    "stopped": NodeState.STOPPED,
    "frozen": NodeState.STOPPED,
    "exited": NodeState.FAILED,
    "offline": NodeState.FAILED,
}
IMAGE = "vastai/base-image:@vastai-automatic-tag"
SETTINGS = (
    Setting("image", default=IMAGE, doc="container image where a stage names none"),
    Setting(
        "price_tolerance",
        "number",
        default=1.25,
        least=1,
        doc="how many times the price that was planned a machine may cost, since the market moves",
    ),
    Setting("regions", "texts", doc="countries to use, such as SE; all where nothing is said"),
    Setting("user", doc="whom to log in as"),
    Setting("endpoint_url", doc="address to use in place of Vast's"),
    Setting("timeout", "number", default=30.0, least=0, doc="seconds without an answer"),
    Setting("api_key", secret=True, doc="put it in $VAST_API_KEY"),
)
HALTED = ("stopped", "exited")
DISK_GIB = 32
TRIES = 4
"""Machines that are tried for one order before it is called a shortage."""
PORTS = 60
PAGE = 25


class VastCloud(RentedCloud):
    """Instances of Vast. Settings: ``SETTINGS``."""

    name = "vast"
    settings = SETTINGS
    traits = Traits(
        user="root",
        tags=None,
        user_data_bytes=0,
        at_once=1,
        poll_s=5.0,
        lag_s=15.0,
        multi_node=False,
    )
    container_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True
    # Ten searches a minute, and one call of the others a second, are what Vast allows.
    rates: ClassVar[Mapping[str, float]] = {"create": 1 / 6, "*": 0.9}

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        base = "https://console.vast.ai"
        self._api = self.api(base, self._headers, ERRORS, reading=reading)
        self._settings = read_settings(self.name, config.settings, SETTINGS)
        self._tolerance = float(self._settings["price_tolerance"])

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        user = await self._api.call("GET", "/api/v0/users/current/")
        with understood(self.name):
            return Identity(str(user.get("email") or user["id"]), f"key of {KEY.find().source}")

    async def offers(self) -> Sequence[Offer]:
        """Prices of the catalog; and of today's lowest bids, where there is a key to ask with."""
        listed = await super().offers()
        if not KEY.find() or not listed:
            return listed
        try:
            with understood(self.name):
                return [*listed, *with_bids(listed, await self._search(bids_search(listed)))]
        except CloudError as error:
            log.warning("no prices of bids: %s", error)
            return listed

    async def launch(self, order: Order) -> Machine:
        body = self._instance(order)
        refused: CloudError | None = None
        for ask in await self._asks(order):
            if order.offer.spot:
                body["price"] = max(ask["min_bid"], order.offer.price)
            try:
                made = await self._done("PUT", f"/api/v0/asks/{ask['id']}/", body)
            except QuotaError:
                raise  # no other machine would do
            except CapacityError as error:  # somebody was faster, or bid more
                if order.offer.spot:
                    await self._take_back(order)
                refused = error
                continue
            found = str(made["new_contract"])
            return Machine(found, order.name, NodeState.STARTING, spot=order.offer.spot)
        raise refused or CapacityError(
            f"vast: no {order.offer.instance_type} in {order.offer.region} for "
            f"{order.offer.price * self._tolerance:.3f} USD/h or less",
            scope="type",
            fix="raise `price_tolerance` of vast in config.yaml, or wait",
        )

    async def machines(self, search: Search) -> list[Machine]:
        found = [_machine(entry) for entry in await self._instances()]
        return [machine for machine in found if names.tags_in(machine.name, search.home)]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            await self._destroy(node.id)

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """The disk is kept, and paid for; another may have the GPU at the next start."""
        for node in nodes:
            await self._done("PUT", f"/api/v0/instances/{node.id}/", {"state": "stopped"})

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            await self._done("PUT", f"/api/v0/instances/{node.id}/", {"state": "running"})

    async def preemption(self, node: NodeRef) -> str | None:
        for entry in await self._instances():
            machine = _machine(entry)
            if machine.id == node.id and machine.state is NodeState.PREEMPTED:
                return machine.reason
        return None

    async def hang_up(self) -> None:
        await self._api.close()

    async def _asks(self, order: Order) -> list[Mapping[str, Any]]:
        """The cheapest machines on offer that fit, and cost no more than is tolerated."""
        ports = single_ports(order.ports, PORTS, self.name)
        kind = Kind.of(order.offer)
        search = search_of(order.offer, kind, order.disk_gib or DISK_GIB, len(ports) + 1)
        price = "min_bid" if order.offer.spot else "dph_total"
        most = order.offer.price * self._tolerance
        fitting = [ask for ask in await self._search(search) if ask[price] <= most]
        return sorted(fitting, key=lambda ask: float(ask[price]))[:TRIES]

    async def _search(self, body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        answer = await self._done("POST", "/api/v0/bundles/", body)
        return list(answer["offers"])

    def _instance(self, order: Order) -> dict[str, Any]:
        start = (
            "touch ~/.no_auto_tmux; mkdir -p ~/.ssh; chmod 700 ~/.ssh; "
            f"echo '{order.public_key}' >> ~/.ssh/authorized_keys; "
            "chmod 600 ~/.ssh/authorized_keys; "
            "command -v python3 || (apt-get update && apt-get install -y python3)"
        )
        ports = single_ports(order.ports, PORTS, self.name)
        return {
            "image": order.image or self._settings["image"],
            "label": order.name,
            "disk": order.disk_gib or DISK_GIB,
            "runtype": "ssh_direct",
            "onstart": start,
            "env": {f"-p {port}:{port}": "1" for port in ports},
            "target_state": "running",
            # Else an instance that cannot start stays, stopped, and its disk is paid for.
            "cancel_unavail": True,
        }

    async def _take_back(self, order: Order) -> None:
        """A bid that was too low can leave a stopped instance behind, which costs money."""
        for entry in await self._instances():
            if entry.get("label") == order.name:
                await self._destroy(str(entry["id"]))

    async def _destroy(self, instance: str) -> None:
        if not instance.isdigit():
            return  # no id of Vast
        try:
            await self._done("DELETE", f"/api/v0/instances/{instance}/")
        except NotThere:
            return

    async def _instances(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        token: str | None = None
        while True:
            params = {"limit": PAGE, "after_token": token, "order_by": _BY_ID}
            page = await self._api.call("GET", "/api/v1/instances/", params=params)
            found += page["instances"]
            token = page.get("next_token")
            if not token:
                return found

    async def _done(self, method: str, path: str, body: Any = None) -> Any:
        """The answer; refusals may come with status 200."""
        answer = await self._api.call(method, path, json=body)
        if answer.get("success") is False:
            raise self._api.refusal(400, answer)
        return answer

    async def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {KEY.need(self.name).value}"}


_BY_ID = json.dumps([{"col": "id", "dir": "asc"}])


def _machine(entry: Mapping[str, Any]) -> Machine:
    status = entry.get("actual_status") or ""
    state, bid = STATES.get(status, NodeState.STARTING), bool(entry.get("is_bid"))
    if status in HALTED:
        if entry.get("intended_status") == "stopped":
            state = NodeState.STOPPED
        elif bid:
            state = NodeState.PREEMPTED
    mapped = ((entry.get("ports") or {}).get("22/tcp") or [{}])[0].get("HostPort")
    return Machine(
        id=str(entry["id"]),
        name=entry.get("label") or "",
        state=state,
        public_ip=str(entry.get("public_ipaddr") or "").strip() if mapped else "",
        port=int(mapped or 22),
        created=entry.get("start_date"),
        spot=bid,
        reason=str(entry.get("status_msg") or status or "being provisioned"),
    )
