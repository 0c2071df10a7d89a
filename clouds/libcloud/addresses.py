"""Floating addresses of an OpenStack, for machines of networks that are reached from inside only.

An address is made for one machine, and bound at once. It is not removed with its machine: Neutron
only unbinds it. So its description names the home and the machine. Source: Neutron's API
reference, ``floatingips``; Libcloud's own calls know neither descriptions nor Neutron's binding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stix.clouds.errors import InvalidRequest
from stix.clouds.rented.names import home_word

PATH = "/v2.0/floatingips"


@dataclass(frozen=True)
class Address:
    """One of ours.

    Attributes:
        node: The id of the machine that it was made for.
        bound: Whether a machine has it.
    """

    id: str
    node: str
    bound: bool


class Addresses:
    """Those of one home.

    Args:
        home: Id of the home.
        network: Name or id of the network to take them from; empty where none are wanted.
    """

    def __init__(self, home: str, network: str) -> None:
        self._mark = f"stix {home_word(home)} "
        self.network = network

    def give(self, driver: Any, node_id: str) -> bool:
        """See that the machine has one; false while it has no port to bind it to."""
        wire = driver.network_connection
        there = [each for each in self.listed(driver) if each.node == node_id]
        if any(each.bound for each in there):
            return True
        ports = wire.request("/v2.0/ports", params={"device_id": node_id}).object["ports"]
        if not ports:
            return False
        about: dict[str, Any] = {"port_id": ports[0]["id"]}
        if there:
            wire.request(f"{PATH}/{there[0].id}", method="PUT", data={"floatingip": about})
            return True
        about |= {"floating_network_id": self._pool(wire), "description": self._mark + node_id}
        wire.request(PATH, method="POST", data={"floatingip": about})
        return True

    def take(self, driver: Any, node_id: str) -> None:
        """Remove those of a machine."""
        for each in self.listed(driver):
            if each.node == node_id:
                drop(driver, each.id)

    def listed(self, driver: Any) -> list[Address]:
        """All of this home."""
        said = driver.network_connection.request(PATH).object
        return [
            Address(each["id"], text.removeprefix(self._mark), bool(each["port_id"]))
            for each in said["floatingips"]
            if (text := each.get("description") or "").startswith(self._mark)
        ]

    def _pool(self, wire: Any) -> str:
        networks = wire.request("/v2.0/networks").object["networks"]
        for each in networks:
            if self.network in (each["id"], each["name"]):
                return str(each["id"])
        raise InvalidRequest(
            f"there is no network {self.network} to take addresses from",
            fix="see `openstack network list --external`",
        )


def drop(driver: Any, address: str) -> None:
    """Remove an address, by its id."""
    driver.network_connection.request(f"{PATH}/{address}", method="DELETE")
