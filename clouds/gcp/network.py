"""Firewall rules. They hold for machines that carry a network tag, in one network.

Two serve the home: SSH from outside, and everything between its machines. A wish that asks for
ports has one more. Rules have no labels: their names tell the home and the wish, and the
description keeps the tags.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stix.clouds.base import Resource
from stix.clouds.config import HOME_TAG
from stix.clouds.errors import InvalidRequest
from stix.clouds.gcp.machines import moment, network_path
from stix.clouds.gcp.wire import Google
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.machines import Machine
from stix.clouds.rented.names import home_word
from stix.clouds.rented.tags import WISH_TAG

WORLD = ["0.0.0.0/0"]


@dataclass(frozen=True)
class Wish:
    """Whose ports are opened: its name, and the tags to keep."""

    name: str
    tags: Mapping[str, str]


class Network:
    """The rules of one home.

    Args:
        network: Its name, or its path where it is another project's.
        home: The home's id.
        ssh_from: The addresses that may log in.
    """

    def __init__(self, google: Google, network: str, home: str, ssh_from: str) -> None:
        self._google = google
        self._network = network_path(network)
        self._home = home
        self._ssh_from = ssh_from
        self._word = f"stix-{home_word(home)}"

    def tags(self, wish: str) -> list[str]:
        """Network tags of a machine."""
        return [self._word, f"{self._word}-{wish}"]

    async def ready(self, wish: Wish, ports: Sequence[str]) -> None:
        """The rules are there, those of the wish too."""
        there = {rule["name"]: rule for rule in await self.rules()}
        tags = {HOME_TAG: self._home}
        shared = {
            f"{self._word}-ssh": {"sourceRanges": [self._ssh_from], "allowed": [_tcp(["22"])]},
            f"{self._word}-inside": {
                "sourceTags": [self._word],
                "allowed": [{"IPProtocol": "all"}],
            },
        }
        for name, what in shared.items():
            if name not in there:
                await self._insert(name, self._word, tags, what)
        if ports:
            await self._open(wish, ports, there.get(f"{self._word}-{wish.name}"))

    async def _open(self, wish: Wish, ports: Sequence[str], rule: Any) -> None:
        name = f"{self._word}-{wish.name}"
        if rule is None:
            what = {"sourceRanges": WORLD, "allowed": [_tcp(ports)]}
            await self._insert(name, name, {**wish.tags, HOME_TAG: self._home}, what)
            return
        known = {port for allowed in rule["allowed"] for port in allowed.get("ports") or ()}
        if not known >= set(ports):
            allowed = [_tcp(sorted(known | set(ports)))]
            done = await self._google.call(
                "PATCH", f"/global/firewalls/{name}", {"allowed": allowed}
            )
            await self._google.done(done)

    async def _insert(
        self, name: str, target: str, tags: Mapping[str, str], what: Mapping[str, Any]
    ) -> None:
        rule = {
            "name": name,
            "network": self._network,
            "direction": "INGRESS",
            "targetTags": [target],
            "description": json.dumps(dict(tags))[:2048],
            **what,
        }
        try:
            await self._google.done(await self._google.call("POST", "/global/firewalls", rule))
        except Exists:
            return  # another creation was faster

    async def rules(self) -> list[Any]:
        """The rules of this home."""
        return await self._google.pages(
            "/global/firewalls", "items", filter=f'name eq "{self._word}-.*"'
        )

    def wish_of(self, rule: Mapping[str, Any]) -> str:
        """The wish whose ports the rule opens; empty for those that serve all."""
        rest = str(rule["name"]).removeprefix(f"{self._word}-")
        return "" if rest in ("ssh", "inside") else rest

    async def close(self, wishes: Iterable[str]) -> None:
        for wish in wishes:
            await self.remove(f"{self._word}-{wish}")

    async def remove(self, name: str) -> None:
        """Silent where it is gone."""
        try:
            await self._google.done(await self._google.call("DELETE", f"/global/firewalls/{name}"))
        except NotThere:
            return

    def resource(self, rule: Mapping[str, Any], machines: Sequence[Machine]) -> Resource:
        wish = self.wish_of(rule)
        users = [m for m in machines if not wish or m.tags.get(WISH_TAG) == wish]
        return Resource(
            cloud="gcp",
            kind="security group",
            id=rule["name"],
            tags={**_kept(rule.get("description") or ""), HOME_TAG: self._home},
            created=moment(rule.get("creationTimestamp")),
            used_by=tuple(m.id for m in users),
            shared=not wish,
            billed=False,
        )


def _tcp(ports: Sequence[str]) -> dict[str, Any]:
    for port in ports:
        first, _, end = port.partition("-")
        if not (first.isdigit() and (end or first).isdigit()):
            raise InvalidRequest(f"gcp: {port!r} is no port", fix="write `8080` or `8080-8090`")
    return {"IPProtocol": "tcp", "ports": list(ports)}


def _kept(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
