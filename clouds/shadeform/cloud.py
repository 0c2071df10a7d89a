"""Shadeform. Source: its API document (api-evangelist/shadeform, 2026-08).

A broker: what is offered, where and for how much changes by the hour, so offers are asked for and
not in the catalog. Tags are words of our choice. Machines can be neither stopped nor taken away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import CapacityError, InvalidRequest
from stix.clouds.rented import names
from stix.clouds.rented.cloud import RentedCloud, understood
from stix.clouds.rented.credentials import Key, whole
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tags import TagRule, flat, unflat
from stix.clouds.settings import Setting, read_settings
from stix.clouds.shadeform.errors import ERRORS, reading
from stix.clouds.shadeform.market import offers_of
from stix.plan.offers import Offer

KEY = Key(("SHADEFORM_API_KEY",), (("~/.shadeform/api_key", whole),))
SETTINGS = (
    Setting("regions", "texts", doc="regions to use, such as canada-1; all by default"),
    Setting("user", doc="whom to log in as, where Shadeform does not say"),
    Setting("endpoint_url", doc="address to use in place of Shadeform's"),
    Setting("timeout", "number", default=30.0, least=0, doc="seconds without an answer"),
    Setting("api_key", secret=True, doc="put it in $SHADEFORM_API_KEY"),
)
STATES: Mapping[str, NodeState] = {
    "creating": NodeState.STARTING,
    "pending_provider": NodeState.STARTING,
    "pending": NodeState.STARTING,
    "active": NodeState.RUNNING,
    "error": NodeState.FAILED,
    "deleting": NodeState.TERMINATED,
    "deleted": NodeState.TERMINATED,
}


class ShadeformCloud(RentedCloud):
    """Instances of Shadeform. Settings: ``SETTINGS``."""

    name = "shadeform"
    settings = SETTINGS
    traits = Traits(
        user="shadeform",
        # Limits of tags are not documented: plain short words are safe.
        tags=TagRule(count=30, key=r"[a-z0-9-]{1,40}", value=r"[A-Za-z0-9_.-]{1,80}", chunk=80),
        user_data_bytes=0,
        at_once=1,
        poll_s=5.0,
        lag_s=15.0,
        boot_s=1800.0,
        multi_node=False,
    )
    custom_image: ClassVar[bool] = True
    rates: ClassVar[Mapping[str, float]] = {"*": 2.0}

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._settings = read_settings(self.name, config.settings, SETTINGS)
        base = "https://api.shadeform.ai/v1"
        self._api = self.api(base, self._headers, ERRORS, reading=reading)

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        count = len(await self._instances())
        return Identity(f"key of {KEY.need(self.name).source}", f"{count} instances")

    async def offers(self) -> Sequence[Offer]:
        """What is to be had now, in USD/h."""
        allowed = self._settings["regions"]
        with understood(self.name):
            found = offers_of(await self._types())
        return [offer for offer in found if not allowed or offer.region in allowed]

    async def launch(self, order: Order) -> Machine:
        if order.ports or order.disk_gib is not None:
            what = "`ports`" if order.ports else "`disk_size`"
            raise InvalidRequest(
                f"{self.name}: {what} is the choice of the provider behind it", fix=f"remove {what}"
            )
        cloud, kind = await self._still_there(order.offer)
        body: dict[str, Any] = {
            "cloud": cloud,
            "region": order.offer.region,
            "shade_instance_type": kind,
            "shade_cloud": True,
            "name": order.name,
            "ssh_key_id": await self._key_id(order.public_key),
            "tags": flat(order.tags),
        }
        if order.image:
            body["os"] = order.image
        made = await self._api.call("POST", "/instances/create", json=body)
        return Machine(made["id"], order.name, NodeState.STARTING, tags=order.tags)

    async def machines(self, search: Search) -> list[Machine]:
        found = [_machine(entry, search.home) for entry in await self._instances()]
        return [machine for machine in found if machine.tags.get(HOME_TAG) == search.home]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            try:
                await self._api.call("POST", f"/instances/{node.id}/delete", text=True)
            except NotThere:
                continue

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
            for key in await self._ssh_keys()
            if key["name"] == mine
        ]

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            try:
                await self._api.call("POST", f"/sshkeys/{resource.id}/delete", text=True)
            except NotThere:
                continue

    async def hang_up(self) -> None:
        await self._api.close()

    async def _still_there(self, offer: Offer) -> tuple[str, str]:
        """The cloud behind it and the type, if they are on offer now.

        Raises:
            CapacityError: they are not.
        """
        cloud, _, kind = offer.instance_type.partition(":")
        now = offers_of(await self._types(cloud=cloud, shade_instance_type=kind))
        if (offer.region, offer.instance_type) not in {(o.region, o.instance_type) for o in now}:
            words = f"{self.name}: {offer.instance_type} is not on offer now in {offer.region}"
            raise CapacityError(words, scope="type")
        return cloud, kind

    async def _types(self, **only: str) -> list[Mapping[str, Any]]:
        params = {"available": "true", **only}
        answer = await self._api.call("GET", "/instances/types", params=params)
        return list(answer["instance_types"] or ())

    async def _instances(self) -> list[Mapping[str, Any]]:
        answer = await self._api.call("GET", "/instances")
        return list(answer["instances"] or ())

    async def _ssh_keys(self) -> list[Mapping[str, Any]]:
        answer = await self._api.call("GET", "/sshkeys")
        return list(answer["ssh_keys"] or ())

    async def _key_id(self, public_key: str) -> str:
        """The id of our key in the account, put there if it is not there yet."""
        name = _name_of(public_key)
        for key in await self._ssh_keys():
            if key["name"] == name:
                return str(key["id"])
        body = {"name": name, "public_key": public_key}
        made = await self._api.call("POST", "/sshkeys/add", json=body)
        return str(made["id"])

    async def _headers(self) -> Mapping[str, str]:
        return {"X-API-KEY": KEY.need(self.name).value}


def _name_of(public_key: str) -> str:
    return f"stix-{hashlib.sha256(public_key.encode()).hexdigest()[:12]}"


def _machine(entry: Mapping[str, Any], home: str) -> Machine:
    status = entry["status"]
    return Machine(
        id=entry["id"],
        name=entry["name"],
        state=STATES.get(status, NodeState.STARTING),
        tags={**names.tags_in(entry["name"], home), **unflat(entry.get("tags") or ())},
        public_ip=entry.get("ip") or "",
        port=int(entry.get("ssh_port") or 22),
        user=entry.get("ssh_user") or "",
        created=_time(entry.get("created_at")),
        billed=status != "deleted",
        reason=entry.get("status_details") or status,
    )


def _time(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
