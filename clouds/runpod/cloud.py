"""RunPod. Source: its API document (runpod/docs, REST API v2, 2026-08); v1 ended in 2026-11.

A pod is a container: its sshd is ours, started by the arguments of the container, and reached at a
public address by a port that RunPod picks. Our tags are a variable of its environment, which the
API gives back; the name tells whose it is as well. Spot pods are ordered by GraphQL, the only API
that takes a bid. A pod that is stopped loses what its container wrote, so none is.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import CloudError, InvalidRequest
from stix.clouds.rented import names
from stix.clouds.rented.cloud import RentedCloud, understood
from stix.clouds.rented.credentials import Key, line
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.first_boot import container_script
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.ports import single_ports
from stix.clouds.rented.tags import TagRule
from stix.clouds.runpod.errors import ERRORS, reading
from stix.clouds.runpod.volumes import KIND, TYPE, NetworkVolumes, mounted, mounted_by_bid
from stix.clouds.runpod.words import BIDS, GPUS, IMAGE, RENT_SPOT
from stix.clouds.settings import Setting, read_settings
from stix.clouds.volumes import Volume, VolumeKind, VolumeWish
from stix.plan.offers import Offer

log = logging.getLogger("stix.clouds")

KEY = Key(("RUNPOD_API_KEY",), (("~/.runpod/config.toml", line("api_key =")),))
SETTINGS = (
    Setting("image", default=IMAGE, doc="container image where a stage names none"),
    Setting("data_centers", "texts", default=(), doc="data centres to use, such as EU-RO-1; any"),
    Setting("user", doc="whom to log in as"),
    Setting("endpoint_url", doc="address to use in place of RunPod's"),
    Setting("timeout", "number", default=30.0, least=0, doc="seconds without an answer"),
    Setting("api_key", secret=True, doc="put it in $RUNPOD_API_KEY"),
)
STATES: Mapping[str, NodeState] = {
    "PROVISIONING": NodeState.STARTING,
    "STARTING": NodeState.STARTING,
    "RUNNING": NodeState.RUNNING,
    "EXITED": NodeState.STOPPED,
    "ERROR": NodeState.FAILED,
    "TERMINATED": NodeState.TERMINATED,
}
TAGS, SPOT = "STIX_TAGS", "STIX_SPOT"
PORTS = 10
"""Ports that a pod may map besides SSH; so many TCP ports are offered for it in the console."""
DISK_GIB = 50
Volumes = list[Volume]


class RunpodCloud(RentedCloud):
    """Pods of RunPod. Settings: ``SETTINGS``.

    An image must be of Debian or Ubuntu, or have sshd and Python.
    """

    name = "runpod"
    settings = SETTINGS
    traits = Traits(
        user="root",
        tags=TagRule(count=100, chunk=10_000),
        user_data_bytes=0,
        poll_s=3.0,
        lag_s=10.0,
        multi_node=False,
    )
    container_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True
    rates: ClassVar[Mapping[str, float]] = {"*": 4.0}

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._settings = read_settings(self.name, config.settings, SETTINGS)
        self._api = self.api("https://api.runpod.io", self._headers, ERRORS, reading=reading)
        self._volumes = NetworkVolumes(config.home_id, self._locks, self._pods)

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        pods = await self._pods()
        return Identity(f"key of {KEY.need(self.name).source}", f"{len(pods)} pods")

    async def offers(self) -> Sequence[Offer]:
        """Prices of the catalog; and of today's lowest bids, where there is a key to ask with."""
        listed = await super().offers()
        if not KEY.find():
            return listed
        try:
            with understood(self.name):
                answer = await self._graphql(BIDS, {})
                bids = {
                    gpu["id"]: (gpu.get("lowestPrice") or {}).get("minimumBidPrice")
                    for gpu in answer["gpuTypes"]
                }
        except CloudError as error:
            log.warning("no spot prices: %s", error)
            return listed
        return [*listed, *(offer for each in listed for offer in _as_spot(each, bids))]

    async def launch_all(
        self, orders: Sequence[Order]
    ) -> tuple[list[Machine], list[BaseException]]:
        try:
            await self._volumes.demand(self._api, orders[0].volumes)
        except CloudError as error:
            return [], [error]
        return await super().launch_all(orders)

    async def launch(self, order: Order) -> Machine:
        if order.offer.spot:
            pod_id = await self._rent_spot(order)
        else:
            made = await self._api.call("POST", "/v2/pods", json=self._pod(order))
            pod_id = made["id"]
        return Machine(
            pod_id, order.name, NodeState.STARTING, tags=order.tags, spot=order.offer.spot
        )

    async def machines(self, search: Search) -> list[Machine]:
        found = [_machine(pod, search.home) for pod in await self._pods()]
        return [machine for machine in found if machine.tags.get(HOME_TAG) == search.home]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            try:
                await self._api.call("DELETE", f"/v2/pods/{node.id}")
            except NotThere:
                continue

    async def preemption(self, node: NodeRef) -> str | None:
        """RunPod says no more than that the pod is not running any longer."""
        for pod in await self._pods():
            machine = _machine(pod, self.config.home_id)
            if machine.id == node.id and machine.state is NodeState.PREEMPTED:
                return machine.reason
        return None

    @classmethod
    def volume_kinds(cls) -> Mapping[str, VolumeKind]:
        return {TYPE: KIND}

    async def create_volume(self, wish: VolumeWish) -> Volume:
        return await self._volumes.create(self._api, wish)

    async def volumes(self) -> Volumes:
        return await self._volumes.all(self._api)

    async def delete_volume(self, wish: VolumeWish) -> None:
        await self._volumes.delete(self._api, wish)

    async def hang_up(self) -> None:
        await self._api.close()

    def _pod(self, order: Order) -> dict[str, Any]:
        """The body of an order on demand."""
        body: dict[str, Any] = {
            "name": order.name,
            "image": order.image or self._settings["image"],
            "args": _start(order.public_key),
            "env": _env(order),
            "ports": _ports(order.ports),
            **mounted(order.volumes),
        }
        cpu = re.fullmatch(r"(cpu\d\w)-(\d+)-\d+", order.offer.instance_type)
        if cpu:
            body["cpu"] = {"id": cpu[1], "vcpuCount": int(cpu[2])}
            body["disk"] = order.disk_gib or min(DISK_GIB, 10 * int(cpu[2]))
        else:
            gpu, count, tier = _gpu(order.offer)
            body |= {"gpu": {"id": gpu, "count": count}, "cloud": tier}
            body["disk"] = order.disk_gib or DISK_GIB
        if places := self._places(order.offer):
            body["dataCenterIds"] = places
        return body

    def _places(self, offer: Offer) -> list[str]:
        """Data centres that will do; empty for all."""
        return [*self._settings["data_centers"]] if offer.region in ("*", "-") else [offer.region]

    async def _rent_spot(self, order: Order) -> str:
        gpu, count, tier = _gpu(order.offer)
        wish = {
            "name": order.name,
            "imageName": order.image or self._settings["image"],
            "dockerArgs": _start(order.public_key),
            "env": [{"key": key, "value": value} for key, value in _env(order).items()],
            "ports": ",".join(_ports(order.ports)),
            "gpuTypeId": gpu,
            "gpuCount": count,
            "cloudType": tier,
            "bidPerGpu": round(order.offer.price / count, 4),
            "containerDiskInGb": order.disk_gib or DISK_GIB,
            "volumeInGb": 0,
            **mounted_by_bid(order.volumes),
        }
        if places := self._places(order.offer):
            wish["dataCenterId"] = places[0]  # a bid is for one place
        answer = await self._graphql(RENT_SPOT, {"input": wish})
        return str(answer["podRentInterruptable"]["id"])

    async def _graphql(self, query: str, variables: Mapping[str, Any]) -> Any:
        """The data. A refusal is an answer of status 200 there."""
        body = {"query": query, "variables": variables}
        answer = await self._api.call("POST", "/graphql", json=body)
        if answer.get("errors"):
            raise self._api.refusal(400, answer)
        return answer["data"]

    async def _pods(self) -> list[Mapping[str, Any]]:
        answer = await self._api.call("GET", "/v2/pods")
        return list(answer["pods"])

    async def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {KEY.need(self.name).value}"}


def _gpu(offer: Offer) -> tuple[str, int, str]:
    """RunPod's name of the GPU, how many, and ``SECURE`` or ``COMMUNITY``."""
    found = re.fullmatch(r"(\d+)x_(.+)_(SECURE|COMMUNITY)", offer.instance_type)
    if found is None or found[2] not in GPUS:
        raise InvalidRequest(f"runpod: {offer.instance_type} is not a type that can be ordered")
    return GPUS[found[2]], int(found[1]), found[3]


def _as_spot(offer: Offer, bids: Mapping[str, float | None]) -> list[Offer]:
    if not offer.accelerators or offer.spot:
        return []
    try:
        gpu, count, _ = _gpu(offer)
    except InvalidRequest:
        return []
    bid = bids.get(gpu)
    return [replace(offer, spot=True, price=round(bid * count, 4), as_of="")] if bid else []


def _start(public_key: str) -> str:
    """The arguments of the container. They are one text, so the script goes in one safe word; and
    into a file, since what it installs must not read the rest of it."""
    script = base64.b64encode(container_script(public_key).encode()).decode()
    return f'bash -c "echo {script} | base64 -d > /tmp/stix-start && exec bash /tmp/stix-start"'


def _env(order: Order) -> dict[str, str]:
    env = {TAGS: json.dumps(dict(order.tags), ensure_ascii=True)}
    return {**env, SPOT: "1"} if order.offer.spot else env


def _ports(wanted: Sequence[str]) -> list[str]:
    """SSH and what else is to be mapped; the numbers outside are RunPod's choice."""
    ports = single_ports(wanted, PORTS, "runpod")
    return ["22/tcp", *(f"{port}/tcp" for port in ports)]


def _machine(pod: Mapping[str, Any], home: str) -> Machine:
    env = pod.get("env") or {}
    status = pod["status"]
    state, spot = STATES.get(status, NodeState.STARTING), SPOT in env
    if spot and state is NodeState.STOPPED:
        state = NodeState.PREEMPTED  # nobody of us stops a spot pod
    direct = (pod.get("ssh") or {}).get("direct") or {}
    disk_stays = status == "EXITED" and bool((pod.get("mounts") or {}).get("persistent"))
    return Machine(
        id=pod["id"],
        name=pod["name"],
        state=state,
        tags={**names.tags_in(pod["name"], home), **_tags(env)},
        public_ip=direct.get("host") or "",
        port=int(direct.get("port") or 22),
        spot=spot,
        billed=disk_stays or status not in ("EXITED", "TERMINATED"),
        reason=status,
    )


def _tags(env: Mapping[str, str]) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(env.get(TAGS) or "{}")
    except ValueError:
        return {}
    return found
