"""What is no machine at the double of Azure: tokens, groups, networks, disks and addresses."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from stix.clouds.testing.double import PAGE, Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

SUBSCRIPTION = "11112222-3333-4444-5555-666677778888"
TOKEN = "secret.token.of-azure"
HEADER = "secret-header-of-the-identity"
ROOT = f"/subscriptions/{SUBSCRIPTION}"
GROUP = rf"{ROOT}/resourceGroups/(?P<group>[^/]+)"
VM_TYPE = "Microsoft.Compute/virtualMachines"
NET = "Microsoft.Network"
NAME = r"(?P<name>[^/]+)"
IN_NET = rf"{GROUP}/providers/{NET}"
REGIONS = ("eastus", "westus2")
TYPES = {
    "card": f"{NET}/networkInterfaces",
    "address": f"{NET}/publicIPAddresses",
    "disk": "Microsoft.Compute/disks",
    "firewall": f"{NET}/networkSecurityGroups",
    "network": f"{NET}/virtualNetworks",
}


def error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def surroundings(url: str) -> dict[str, str]:
    """The environment of a process that has the managed identity of the double."""
    return {
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
        "IDENTITY_ENDPOINT": f"{url}/msi/token",
        "IDENTITY_HEADER": HEADER,
    }


class AzureGround(Double):
    LOCKED = (401, error("InvalidAuthenticationToken", "The access token is invalid."))
    UNKNOWN = (404, error("ResourceNotFound", "The Resource was not found."))

    def authorised(self, asked: Asked) -> bool:
        if asked.path == "/msi/token":
            return asked.headers.get("x-identity-header") == HEADER
        return asked.headers.get("authorization") == f"Bearer {TOKEN}"

    @route("GET", "/msi/token")
    def token(self, asked: Asked) -> Any:
        assert asked.query["resource"].rstrip("/") == "https://management.azure.com"
        ends = str(int(time.time()) + 86400)
        return {"access_token": TOKEN, "expires_on": ends, "token_type": "Bearer"}

    def _handle(self, asked: Asked) -> Answer:
        if asked.path != "/msi/token" and "api-version" not in asked.query:
            return Answer(400, error("MissingApiVersionParameter", "api-version is required."))
        return super()._handle(asked)

    # Groups.

    @route("GET", ROOT)
    def subscription(self, asked: Asked) -> Any:
        return {"subscriptionId": SUBSCRIPTION, "displayName": "Comet", "state": "Enabled"}

    @route("PUT", rf"{ROOT}/resourcegroups/(?P<group>[^/]+)")
    def put_group(self, asked: Asked, group: str) -> Any:
        body = asked.json
        there = self.things.get(f"group {group}")
        if body["location"] not in REGIONS:
            raise Refused(400, error("LocationNotAvailableForResourceGroup", "No such location."))
        if there is None:
            there = self.keep("group", id=f"group {group}", single=False, name=group, **body)
        return {**there.more, "properties": {"provisioningState": "Succeeded"}}

    @route("GET", rf"{ROOT}/resourcegroups")
    def groups(self, asked: Asked) -> Any:
        wanted = re.fullmatch(r"tagName eq '(.+)' and tagValue eq '(.+)'", asked.query["$filter"])
        assert wanted
        found = [t.more for t in self.things.values() if t.kind == "group"]
        return self.paged(asked, [g for g in found if g["tags"].get(wanted[1]) == wanted[2]])

    @route("GET", rf"{GROUP}/resources")
    def resources(self, asked: Asked, group: str) -> Any:
        self._group(group)
        found = [self._entry(t) for t in self.things.values() if t.more.get("group") == group]
        machines = [
            {"id": id_of(b), "name": b.name, "type": VM_TYPE, "location": b.region}
            for b in self.boxes.values()
            if b.more.get("group") == group
        ]
        return self.paged(asked, [*machines, *found])

    def _group(self, group: str) -> Thing:
        there = self.things.get(f"group {group}")
        if there is None:
            words = f"Resource group '{group}' could not be found."
            raise Refused(404, error("ResourceGroupNotFound", words))
        return there

    # What is no machine.

    def _entry(self, thing: Thing) -> dict[str, Any]:
        made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.1234567Z")
        entry = {k: v for k, v in thing.more.items() if k not in ("group", "body")}
        return {**entry, "id": thing.id, "type": TYPES[thing.kind], "createdTime": made}

    def _put_in(self, group: str, kind: str, name: str, **more: Any) -> Thing:
        thing_id = f"{ROOT}/resourceGroups/{group}/providers/{TYPES[kind]}/{name}"
        self.things.pop(thing_id, None)
        return self.keep(kind, id=thing_id, group=group, name=name, **more)

    @route(
        "PUT",
        rf"{IN_NET}/(?P<kind>virtualNetworks|networkSecurityGroups)/{NAME}",
    )
    def put_network(self, asked: Asked, group: str, kind: str, name: str) -> Any:
        there, body = self._group(group), asked.json
        if body["location"] != there.more["location"]:
            raise self.refusal("invalid")
        of = "network" if kind == "virtualNetworks" else "firewall"
        properties = {**body["properties"], "provisioningState": "Updating"}
        for rule in properties.get("securityRules", ()):
            good = 100 <= rule["properties"]["priority"] <= 4096
            if not good or not rule["properties"]["destinationPortRanges"]:
                raise self.refusal("invalid")
        made = self._put_in(
            group, of, name, single=of == "firewall", **{**body, "properties": properties}
        )
        return Answer(201, self._entry(made))

    @route("GET", rf"{IN_NET}/(?:virtualNetworks|networkSecurityGroups)/{NAME}")
    def network(self, asked: Asked, group: str, name: str) -> Any:
        thing = self._thing(asked)
        thing.more["properties"]["provisioningState"] = "Succeeded"
        entry = self._entry(thing)
        if thing.kind == "firewall":
            cards = [{"id": c.id} for c in self._of("card") if _uses(c.more["body"], thing.id)]
            entry["properties"] = {**entry["properties"], "networkInterfaces": cards}
            self._fade()
        return entry

    def _fade(self) -> None:
        """What machines left behind goes, some looks later."""
        for thing in [t for t in self.things.values() if t.more.get("fading")]:
            thing.more["fading"] -= 1
            if not thing.more["fading"]:
                del self.things[thing.id]

    @route("GET", rf"{IN_NET}/(?:networkInterfaces|publicIPAddresses)/{NAME}")
    @route("GET", rf"{GROUP}/providers/Microsoft.Compute/disks/(?P<name>[^/]+)")
    def thing(self, asked: Asked, group: str, name: str) -> Any:
        return self._entry(self._thing(asked))

    @route("DELETE", rf"{GROUP}/providers/{NET}/[A-Za-z]+/(?P<name>[^/]+)")
    @route("DELETE", rf"{GROUP}/providers/Microsoft.Compute/disks/(?P<name>[^/]+)")
    def delete(self, asked: Asked, group: str, name: str) -> Any:
        self._group(group)
        thing = self.things.get(asked.path)
        if thing is None:
            return Answer(204)
        cards = [t for t in self.things.values() if t.kind == "card"]
        used = thing.owner or (
            thing.kind in ("firewall", "network")
            and any(_uses(card.more["body"], thing.id) for card in cards)
        )
        if used:
            code = {"firewall": "InUseNetworkSecurityGroupCannotBeDeleted", "disk": "Conflict"}
            word = code.get(thing.kind, "InUseSubnetCannotBeDeleted")
            raise Refused(400, error(word, f"{name} cannot be deleted: it is in use."))
        del self.things[thing.id]
        return Answer(202)

    def _thing(self, asked: Asked) -> Thing:
        if asked.path not in self.things:
            raise Refused(*self.UNKNOWN)
        return self.things[asked.path]

    @route("GET", rf"{ROOT}/providers/{NET}/networkInterfaces")
    def cards(self, asked: Asked) -> Any:
        return self.paged(asked, [self._entry(t) for t in self._of("card")])

    @route("GET", rf"{ROOT}/providers/{NET}/publicIPAddresses")
    def addresses(self, asked: Asked) -> Any:
        return self.paged(asked, [self._entry(t) for t in self._of("address")])

    def _of(self, kind: str) -> list[Thing]:
        return [t for t in self.things.values() if t.kind == kind]

    def paged(self, asked: Asked, entries: Sequence[Any]) -> dict[str, Any]:
        start = int(asked.query.get("$skiptoken", "0"))
        end = start + PAGE
        page: dict[str, Any] = {"value": entries[start:end]}
        if end < len(entries):
            query = urlencode({**asked.query, "$skiptoken": end})
            page["nextLink"] = f"{self.url}{asked.path}?{query}"
        return page


def _uses(card: Any, thing_id: str) -> bool:
    end = card["properties"]["ipConfigurations"][0]["properties"]
    firewall = card["properties"]["networkSecurityGroup"]["id"]
    return thing_id in (firewall, end["subnet"]["id"].removesuffix("/subnets/main"))


def id_of(box: Box) -> str:
    group = box.more.get("group", "theirs")
    return f"{ROOT}/resourceGroups/{group}/providers/{VM_TYPE}/{box.name}"
