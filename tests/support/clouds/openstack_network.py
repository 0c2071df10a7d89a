"""Neutron of an OpenStack: security groups, ports and floating addresses, by its API reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stix.clouds.testing.double import Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

NETWORK = "/network/(?P<region>[^/]+)/v2.0"


class Neutron(Double):
    @route("GET", f"{NETWORK}/security-groups")
    def walls(self, asked: Asked, region: str) -> Any:
        walls = self._kind("security group", region)
        return {"security_groups": [_wall(wall) for wall in walls]}

    @route("POST", f"{NETWORK}/security-groups")
    def add_wall(self, asked: Asked, region: str) -> Any:
        name = asked.json["security_group"]["name"]
        wall = self.keep("security group", single=False, name=name, region=region, rules=[])
        wall.more["rules"] += [_rule(wall, {"direction": "egress"})]
        return Answer(201, {"security_group": _wall(wall)})

    @route("DELETE", f"{NETWORK}/security-groups/(?P<wall>[^/]+)")
    def drop_wall(self, asked: Asked, region: str, wall: str) -> Any:
        if wall not in self.things:
            words = f"Security group {wall} does not exist"
            raise Refused(404, _neutron("SecurityGroupNotFound", words))
        if any(wall in box.more.get("walls", ()) for box in self.boxes.values()):
            raise Refused(409, _neutron("SecurityGroupInUse", f"Security Group {wall} in use."))
        del self.things[wall]
        return Answer(204)

    @route("GET", f"{NETWORK}/networks")
    def networks(self, asked: Asked, region: str) -> Any:
        return {"networks": [{"id": "n-1", "name": "private"}, {"id": "n-2", "name": "public"}]}

    @route("GET", f"{NETWORK}/ports")
    def ports(self, asked: Asked, region: str) -> Any:
        box = self.boxes.get(asked.query["device_id"])
        there = box is not None and box.state != "BUILD"
        return {"ports": [{"id": f"port {asked.query['device_id']}"}] if there else []}

    @route("GET", f"{NETWORK}/floatingips")
    def addresses(self, asked: Asked, region: str) -> Any:
        return {"floatingips": [self._address(a) for a in self._kind("address", region)]}

    @route("POST", f"{NETWORK}/floatingips")
    def add_address(self, asked: Asked, region: str) -> Any:
        body = asked.json["floatingip"]
        if body["floating_network_id"] != "n-2":
            raise Refused(404, _neutron("ExternalNetworkNotFound", "not an external network"))
        made = self.keep("address", region=region, **body)
        return Answer(201, {"floatingip": self._address(made)})

    @route("PUT", f"{NETWORK}/floatingips/(?P<address>[^/]+)")
    def bind_address(self, asked: Asked, region: str, address: str) -> Any:
        self.things[address].more |= asked.json["floatingip"]
        return {"floatingip": self._address(self.things[address])}

    @route("DELETE", f"{NETWORK}/floatingips/(?P<address>[^/]+)")
    def drop_address(self, asked: Asked, region: str, address: str) -> Any:
        if self.things.pop(address, None) is None:
            raise Refused(404, _neutron("FloatingIPNotFound", f"{address} could not be found"))
        return Answer(204)

    def _address(self, thing: Thing) -> Mapping[str, Any]:
        """Unbound once its machine is gone."""
        port = thing.more["port_id"]
        bound = port if port.removeprefix("port ") in self.boxes else None
        shown = {"id": thing.id, "floating_ip_address": f"172.24.4.{len(thing.id)}"}
        return {**shown, "port_id": bound, "description": thing.more["description"]}

    def _kind(self, kind: str, region: str) -> list[Thing]:
        found = self.things.values()
        return [each for each in found if each.kind == kind and each.more["region"] == region]

    @route("POST", f"{NETWORK}/security-group-rules")
    def add_rule(self, asked: Asked, region: str) -> Any:
        rule = asked.json["security_group_rule"]
        wall = self.things[rule["security_group_id"]]
        made = _rule(wall, rule)
        if any({**r, "id": ""} == {**made, "id": ""} for r in wall.more["rules"]):
            raise Refused(409, _neutron("SecurityGroupRuleExists", "Rule already exists."))
        wall.more["rules"].append(made)
        return Answer(201, {"security_group_rule": made})


def _neutron(kind: str, words: str) -> Mapping[str, Any]:
    return {"NeutronError": {"type": kind, "message": words, "detail": ""}}


def _rule(wall: Thing, rule: Mapping[str, Any]) -> Mapping[str, Any]:
    names = ("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id")
    fields = {name: rule.get(name) for name in names}
    number = len(wall.more["rules"])
    made = {"id": f"{wall.id}-{number}", "security_group_id": wall.id, "tenant_id": "p1"}
    return {**made, "direction": rule["direction"], "ethertype": "IPv4", **fields}


def _wall(wall: Thing) -> Mapping[str, Any]:
    shown = {"id": wall.id, "name": wall.more["name"], "tenant_id": "p1", "description": ""}
    return {**shown, "security_group_rules": wall.more["rules"]}
