"""Prime Intellect. Source: its API document (api-evangelist/prime-intellect, 2026-08).

A broker: what is offered, where and for how much changes by the hour, so offers are asked for and
not in the catalog. A pod has a name and no tags. Which user and port serve for SSH depends on the
provider behind it, and is told with the pod.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import CapacityError, InvalidRequest
from stix.clouds.primeintellect.errors import ERRORS, reading
from stix.clouds.primeintellect.market import offer_of, offers_of, pod_of
from stix.clouds.rented import names
from stix.clouds.rented.cloud import RentedCloud, understood
from stix.clouds.rented.credentials import Key
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.settings import Setting, read_settings
from stix.plan.offers import Offer


def _in_config(text: str) -> str:
    return str(json.loads(text)["api_key"])


KEY = Key(("PRIME_API_KEY",), (("~/.prime/config.json", _in_config),))
STATES: Mapping[str, NodeState] = {
    "PENDING": NodeState.STARTING,
    "PROVISIONING": NodeState.STARTING,
    "UNKNOWN": NodeState.STARTING,
    "ACTIVE": NodeState.RUNNING,
    "STOPPED": NodeState.STOPPED,
    "ERROR": NodeState.FAILED,
    "DELETING": NodeState.TERMINATED,
    "TERMINATED": NodeState.TERMINATED,
}
SETTINGS = (
    Setting("image", default="ubuntu_22_cuda_12", doc="environment where a stage names none"),
    Setting("regions", "texts", doc="regions to use, such as eu_north; all by default"),
    Setting("user", doc="whom to log in as, where the provider does not say"),
    Setting("endpoint_url", doc="address to use in place of Prime Intellect's"),
    Setting("timeout", "number", default=30.0, least=0, doc="seconds without an answer"),
    Setting("api_key", secret=True, doc="put it in $PRIME_API_KEY"),
)
PAGE = 100


class PrimeIntellectCloud(RentedCloud):
    """Pods of Prime Intellect. Settings: ``SETTINGS``."""

    name = "primeintellect"
    settings = SETTINGS
    traits = Traits(
        user="root",
        tags=None,
        user_data_bytes=0,
        at_once=1,
        poll_s=5.0,
        lag_s=15.0,
        boot_s=1800.0,
        multi_node=False,
    )
    custom_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True
    rates: ClassVar[Mapping[str, float]] = {"*": 2.0}

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._settings = read_settings(self.name, config.settings, SETTINGS)
        base = "https://api.primeintellect.ai"
        self._api = self.api(base, self._headers, ERRORS, reading=reading)

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        pods = await self._api.call("GET", "/api/v1/pods/", params={"limit": 1})
        with understood(self.name):
            detail = f"{pods.get('total_count', 0)} pods"
        return Identity(f"key of {KEY.need(self.name).source}", detail)

    async def offers(self) -> Sequence[Offer]:
        """What is to be had now, in USD/h."""
        allowed = self._settings["regions"]
        with understood(self.name):
            found = offers_of(await self._available())
        return [offer for offer in found if not allowed or offer.region in allowed]

    async def launch(self, order: Order) -> Machine:
        if order.ports:
            raise InvalidRequest(
                f"{self.name}: which ports are open is the choice of the provider behind it",
                fix="remove `ports`",
            )
        item = await self._item(order.offer)
        pod = {
            **pod_of(item, order.disk_gib),
            "name": order.name,
            "image": self._image(order, item.get("images") or ()),
            "sshKeyId": await self._key_id(order.public_key),
        }
        body = {"pod": pod, "provider": {"type": item["provider"]}}
        made = await self._api.call("POST", "/api/v1/pods/", json=body)
        return Machine(made["id"], order.name, NodeState.STARTING, spot=order.offer.spot)

    async def machines(self, search: Search) -> list[Machine]:
        found = [_machine(pod) for pod in await self._all("/api/v1/pods/")]
        return [machine for machine in found if names.tags_in(machine.name, search.home)]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            try:
                await self._api.call("DELETE", f"/api/v1/pods/{node.id}")
            except NotThere:
                continue

    async def preemption(self, node: NodeRef) -> str | None:
        for pod in await self._all("/api/v1/pods/"):
            machine = _machine(pod)
            if machine.id == node.id and machine.state is NodeState.PREEMPTED:
                return machine.reason
        return None

    async def resources(self) -> list[Resource]:
        """Our SSH key, which costs nothing."""
        mine = _name_of(self.keys.public())
        return [
            Resource(
                cloud=self.name,
                kind="key",
                id=key["id"],
                tags={HOME_TAG: self.config.home_id},
                shared=True,
                billed=False,
            )
            for key in await self._all("/api/v1/ssh_keys/")
            if key["name"] == mine
        ]

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            try:
                await self._api.call("DELETE", f"/api/v1/ssh_keys/{resource.id}")
            except NotThere:
                continue

    async def hang_up(self) -> None:
        await self._api.close()

    async def _item(self, offer: Offer) -> Mapping[str, Any]:
        """What is on offer now under the name of ``offer``.

        Raises:
            CapacityError: nothing is any more.
        """
        cloud_id = offer.instance_type.partition(":")[2]
        same = (offer.infra, offer.instance_type, offer.spot)
        found = []
        for item in await self._available(cloud_id=cloud_id or "-"):
            now = offer_of(item)
            if now is not None and (now.infra, now.instance_type, now.spot) == same:
                found.append((now.price, item))
        if not found:
            words = f"{self.name}: {offer.instance_type} is not on offer now in {offer.infra}"
            raise CapacityError(words, scope="type")
        return min(found, key=lambda pair: pair[0])[1]

    def _image(self, order: Order, known: Sequence[str]) -> str:
        if order.image:
            return order.image
        wanted = str(self._settings["image"])
        names_only = [name for name in known if re.fullmatch(r"[a-z0-9_]+", name)]
        return names_only[0] if names_only and wanted not in names_only else wanted

    async def _key_id(self, public_key: str) -> str:
        """The id of our key in the account, put there if it is not there yet."""
        name = _name_of(public_key)
        for key in await self._all("/api/v1/ssh_keys/"):
            if key["name"] == name:
                return str(key["id"])
        body = {"name": name, "publicKey": public_key}
        made = await self._api.call("POST", "/api/v1/ssh_keys/", json=body)
        return str(made["id"])

    async def _available(self, **only: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        page = 1
        while True:
            params = {"page": page, "page_size": PAGE, **only}
            answer = await self._api.call("GET", "/api/v1/availability/gpus", params=params)
            items = answer["items"]
            found += items
            if not items or len(found) >= answer["totalCount"]:
                return found
            page += 1

    async def _all(self, path: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        while True:
            params = {"offset": len(found), "limit": PAGE}
            answer = await self._api.call("GET", path, params=params)
            found += answer["data"]
            total = answer.get("total_count")  # the document does not promise it
            if not answer["data"] or (total is not None and len(found) >= total):
                return found

    async def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {KEY.need(self.name).value}"}


def _name_of(public_key: str) -> str:
    return f"stix-{hashlib.sha256(public_key.encode()).hexdigest()[:12]}"


def _machine(pod: Mapping[str, Any]) -> Machine:
    status = pod["status"]
    state, spot = STATES.get(status, NodeState.STARTING), bool(pod.get("isSpot"))
    if spot and state is NodeState.STOPPED:
        state = NodeState.PREEMPTED  # nobody of us can stop one
    user, host, port = _login(pod.get("sshConnection"))
    return Machine(
        id=pod["id"],
        name=pod["name"],
        state=state,
        public_ip=host,
        port=port,
        user=user,
        created=_time(pod.get("createdAt")),
        spot=spot,
        billed=status != "TERMINATED",
        reason=pod.get("installationFailure") or status,
    )


def _login(said: Any) -> tuple[str, str, int]:
    """From ``root@1.2.3.4 -p 22``, with or without ``ssh`` before it; a list has one per node."""
    first = next((each for each in said if each), "") if isinstance(said, list) else said
    found = re.search(r"([\w.-]+)@([\w.:-]+?)(?:\s+-p\s+(\d+))?\s*$", first or "")
    return (found[1], found[2], int(found[3] or 22)) if found else ("", "", 22)


def _time(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
