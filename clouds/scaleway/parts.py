"""What belongs to Instances of Scaleway: security groups, and disks of Block Storage.

An Instance has one security group, which knows addresses and no other group. Its disk is a thing
of its own: the end of the Instance only detaches it, so that it carries our tags and is removed
after. Source: api-evangelist/scaleway (``scaleway-instance-openapi.yml``, with its technical
information); ``/block/v1`` as in github scaleway/scaleway-sdk-python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stix.clouds.config import HOME_TAG
from stix.clouds.rented.http import Api
from stix.clouds.rented.names import home_word

WORLD = ("0.0.0.0/0", "::/0")
NODE_TAG = "stix-node"
BLOCK = "sbs_volume"


class Parts:
    """The parts of one home in a project.

    Args:
        api: The account.
        home: Id of the home.
        project: Asked for the id of the project.
    """

    def __init__(self, api: Api, home: str, project: Callable[[], str]) -> None:
        self._api = api
        self._word = home_word(home)
        self._project = project

    @property
    def tag(self) -> str:
        return f"{HOME_TAG}:{self._word}"

    async def group(self, zone: str, ports: Sequence[str] = ()) -> str:
        """The security group that lets the world in at SSH and at ``ports``."""
        wanted = sorted({"22", *ports})
        digest = hashlib.sha256(",".join(wanted).encode()).hexdigest()
        name = f"stix-{self._word}-{digest[:12]}"
        path = f"/instance/v1/zones/{zone}/security_groups"
        same = [str(each["id"]) for each in await self.groups(zone) if each["name"] == name]
        group = min(same, default="")
        if not group:
            body = {
                "name": name,
                "project": self._project(),
                "tags": [self.tag],
                "stateful": True,
                "inbound_default_policy": "drop",
                "outbound_default_policy": "accept",
            }
            group = (await self._api.call("POST", path, json=body))["security_group"]["id"]
        # Always: whoever made the group may have died before it had rules.
        rules = [_rule(port, address) for port in wanted for address in WORLD]
        await self._api.call("PUT", f"{path}/{group}/rules", json={"rules": rules})
        return group

    async def open_at(self, zone: str, group: str) -> list[str]:
        """The ports that a security group lets the world in at."""
        path = f"/instance/v1/zones/{zone}/security_groups/{group}/rules"
        found = await pages(self._api, path, "rules")
        return sorted(
            {
                _span(rule["dest_port_from"], rule.get("dest_port_to"))
                for rule in found
                if rule["direction"] == "inbound" and rule.get("dest_port_from")
            }
        )

    async def groups(self, zone: str) -> list[Mapping[str, Any]]:
        """Those of this home."""
        path = f"/instance/v1/zones/{zone}/security_groups"
        return await pages(self._api, path, "security_groups", tags=self.tag)

    async def disks(self, zone: str) -> list[Mapping[str, Any]]:
        """Those of this home, also of Instances that are gone."""
        found: list[Mapping[str, Any]] = []
        number = 0
        while True:
            number += 1
            query = {"tags": self.tag, "page": number, "page_size": 100}
            path = f"/block/v1/zones/{zone}/volumes"
            answer = await self._api.call("GET", path, params=query)
            found += answer["volumes"]
            if not answer["volumes"] or len(found) >= answer["total_count"]:
                return found

    async def mark(self, zone: str, server: Mapping[str, Any]) -> list[str]:
        """Tag the disks of an Instance as it is tagged; their ids."""
        disks = [v["id"] for v in server["volumes"].values() if v["volume_type"] == BLOCK]
        others = [tag for tag in server["tags"] if not tag.startswith(f"{HOME_TAG}:")]
        tags = [self.tag, f"{NODE_TAG}:{server['id']}", *others]
        for disk in disks:
            path = f"/block/v1/zones/{zone}/volumes/{disk}"
            await self._api.call("PATCH", path, json={"tags": tags})
        return disks


def _rule(port: str, address: str) -> Mapping[str, Any]:
    first, _, last = port.partition("-")
    return {
        "protocol": "TCP",
        "direction": "inbound",
        "action": "accept",
        "ip_range": address,
        "dest_port_from": int(first),
        "dest_port_to": int(last or first),
    }


def _span(first: int, last: int | None) -> str:
    return f"{first}" if last in (None, first) else f"{first}-{last}"


async def pages(api: Api, path: str, key: str, **query: Any) -> list[Mapping[str, Any]]:
    """All entries of a listing. The number of all is told in a header only, so that an empty page
    is the end."""
    found: list[Mapping[str, Any]] = []
    number = 1
    while True:
        params = {"per_page": 100, "page": number, **query}
        entries = (await api.call("GET", path, params=params))[key]
        if not entries:
            return found
        found += entries
        number += 1
