"""Seeweb. Source: its clients (PyPI ecsapi 0.4.0, github Seeweb/cloudserver-go-client) and
dstackai/dstack ``backends/seeweb`` for what is not in them.

Seeweb names the servers; the notes of a server are ours, and say whose it is. There is no firewall
in its API: all ports of a server are open to the world. A server that is switched off is listed as
``Booted``, and only its own status says so. Images with GPU drivers may reboot once after their
first boot, when packages were upgraded.
"""

from __future__ import annotations

import configparser
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import CapacityError, InvalidRequest, TransientError
from stix.clouds.rented.cloud import RentedCloud
from stix.clouds.rented.credentials import Key
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.names import tags_in
from stix.clouds.rented.tags import WISH_TAG
from stix.clouds.seeweb.errors import ERRORS, reading


def _ini(text: str) -> str:
    """The key in SkyPilot's file."""
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return ""
    return parser["DEFAULT"].get("api_key", "")


KEY = Key(("ECSAPI_TOKEN", "SEEWEB_API_TOKEN"), (("~/.seeweb_cloud/seeweb_keys", _ini),))
STATES: Mapping[str, NodeState] = {
    "Booting": NodeState.STARTING,
    "Customizing": NodeState.STARTING,
    "Reimaging": NodeState.STARTING,
    "PoweringOn": NodeState.STARTING,
    "Booted": NodeState.RUNNING,
    "PoweringOff": NodeState.STOPPED,
    "Off": NodeState.STOPPED,
    "Stopped": NodeState.STOPPED,
    "SHUTOFF": NodeState.STOPPED,
    "Fail": NodeState.FAILED,
    "Deleting": NodeState.TERMINATED,
    "Deleted": NodeState.TERMINATED,
    "Terminated": NodeState.TERMINATED,
}
FREE = frozenset({"Deleting", "Deleted", "Terminated"})
FINE = frozenset({"ok", "success", "completed", "no_content"})
IMAGES = ("ubuntu-2404", "ubuntu-2204")
GPU_IMAGES = ("ubuntu-2204-uefi-nvidia-driver", "ubuntu-2204-nvidia-driver")


class SeewebCloud(RentedCloud):
    """Servers, found by their notes."""

    name = "seeweb"
    traits = Traits(user="root", tags=None, user_data_bytes=0, poll_s=5.0)
    custom_image: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        base = "https://api.seeweb.it/ecs/v2"
        self._api = self.api(base, self._headers, ERRORS, reading=reading)

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        regions = (await self._ask("GET", "/regions"))["regions"]
        return Identity(f"token of {KEY.need(self.name).source}", f"{len(regions)} regions")

    async def launch(self, order: Order) -> Machine:
        if order.disk_gib is not None:
            raise InvalidRequest(
                "seeweb: the disk of a server has the size of its type", fix="remove `disk_size`"
            )
        image = await self._image(order)
        body = {
            "plan": order.offer.instance_type,
            "location": order.offer.region,
            "image": image,
            "notes": order.name,
            "ssh_key": await self._key(order.public_key),
            "user_customize": _script(order.public_key),
        }
        made = await self._ask("POST", "/servers", body)
        return _machine(made["server"], made["server"]["status"])

    async def machines(self, search: Search) -> list[Machine]:
        found = []
        for entry in (await self._ask("GET", "/servers"))["server"]:
            ours = tags_in(entry.get("notes") or "", search.home)
            if ours and search.wish in (None, ours[WISH_TAG]):
                status = await self._status(entry)
                if status and status not in FREE:  # what goes is listed for a while
                    found.append(_machine(entry, status))
        return found

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            try:
                await self._ask("DELETE", f"/servers/{node.id}")
            except NotThere:
                continue

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``."""
        await self._power(nodes, "power_off", NodeState.RUNNING)

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        await self._power(nodes, "power_on", NodeState.STOPPED)

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``. They are open."""

    async def resources(self) -> list[Resource]:
        """Our SSH key, which costs nothing."""
        found = await self._ask("GET", "/sshkeys")
        return [
            Resource(
                cloud=self.name,
                kind="key",
                id=str(key["id"]),
                tags={HOME_TAG: self.config.home_id},
                shared=True,
                billed=False,
            )
            for key in found["pubkeys"]
            if key["label"] == _label(self.keys.public())
        ]

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            try:
                await self._ask("DELETE", f"/sshkeys/{resource.id}")
            except NotThere:
                continue

    async def hang_up(self) -> None:
        await self._api.close()

    async def _status(self, entry: Mapping[str, Any]) -> str:
        """The word that tells the most; empty where the server went meanwhile."""
        listed = str(entry["status"])
        if STATES.get(listed) is not NodeState.RUNNING:
            return listed
        try:
            answer = await self._ask("GET", f"/servers/{entry['name']}/status")
        except NotThere:
            return ""
        now = str(answer["server"]["current_status"])
        return now if STATES.get(now) is NodeState.STOPPED else listed

    async def _power(self, nodes: Sequence[NodeRef], action: str, state: NodeState) -> None:
        """Only for those that are in ``state``."""
        for node in nodes:
            server = (await self._ask("GET", f"/servers/{node.id}"))["server"]
            if STATES.get(await self._status(server)) is state:
                await self._ask("POST", f"/servers/{node.id}/actions", {"type": action})

    async def _image(self, order: Order) -> str:
        """An image that the plan takes. What is sold out is told before anything is made."""
        plan, region = order.offer.instance_type, order.offer.region
        plans = {p["name"]: p for p in (await self._ask("GET", "/plans/availables"))["plans"]}
        if plan not in plans:
            raise CapacityError(f"seeweb: {plan} is not available now", scope="type")
        if region not in {place["region"] for place in plans[plan]["region_availables"]}:
            raise CapacityError(f"seeweb: {plan} is not available in {region} now", scope="region")
        if order.image:
            return order.image
        known = {image["name"] for image in plans[plan]["os_availables"]}
        wanted = GPU_IMAGES if order.offer.accelerators else IMAGES
        for image in wanted:
            if image in known:
                return image
        raise InvalidRequest(
            f"seeweb: {plan} takes none of the images {', '.join(wanted)}",
            fix=f"name one as `image_id`: {', '.join(sorted(known))}"[:500],
        )

    async def _key(self, public_key: str) -> str:
        """The label of our key in the account, put there if it is not there yet."""
        label = _label(public_key)
        keys = (await self._ask("GET", "/sshkeys"))["pubkeys"]
        if label not in {key["label"] for key in keys}:
            await self._ask("POST", "/sshkeys", {"key": public_key, "label": label})
        return label

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer, unless it tells of an error."""
        answer = await self._api.call(method, path, json=body)
        if answer is None:
            return {}
        if not isinstance(answer, dict):
            raise TransientError(f"seeweb: {method} {path}: the answer is no object")
        if str(answer.get("status", "ok")).lower() not in FINE:
            raise self._api.refusal(200, answer)
        return answer

    async def _headers(self) -> Mapping[str, str]:
        return {"X-APITOKEN": KEY.need(self.name).value}


def _label(public_key: str) -> str:
    return f"stix-{hashlib.sha256(public_key.encode()).hexdigest()[:12]}"


def _script(public_key: str) -> str:
    """Run at the first boot by root: images differ in whose key ``ssh_key`` becomes."""
    return "\n".join(
        (
            "#!/bin/sh",
            "set -e",
            "mkdir -p /root/.ssh; chmod 700 /root/.ssh",
            f"echo {shlex.quote(public_key)} >> /root/.ssh/authorized_keys",
            "chmod 600 /root/.ssh/authorized_keys",
            "",
        )
    )


def _machine(entry: Mapping[str, Any], status: str) -> Machine:
    return Machine(
        id=entry["name"],
        name=entry.get("notes") or "",
        state=STATES.get(status, NodeState.STARTING),
        region=entry["location"],
        public_ip=entry.get("ipv4") or "",
        created=datetime.fromisoformat(entry["creation_date"]).timestamp(),
        reason=status,
    )
