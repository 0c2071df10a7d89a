"""Security groups of an OpenStack: one per home, and one per set of open ports.

Without one Neutron lets nobody in. Names are not unique there, so groups go by id, which Nova
takes in place of a name. Source: the API references of Neutron and Nova, ``security_groups``.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from stix.clouds.rented.names import home_word

Rule = tuple[str | None, int | None, int | None, bool]
"""Protocol, ports, and whether it is for machines of the same group alone."""


class Walls:
    """The groups of one home.

    Args:
        home: Id of the home.
    """

    def __init__(self, home: str) -> None:
        self._base = f"stix-{home_word(home)}"
        self._turn = threading.Lock()

    def of(self, driver: Any, ports: Sequence[str] = ()) -> list[Any]:
        """The groups for a machine with these ports open to all, besides SSH; its mates may
        reach everything. Each has its id as its name."""
        with self._turn:
            there = self.listed(driver)
            ids = [self._group(driver, there, ()).id]
            if ports:
                ids.append(self._group(driver, there, ports).id)
        return [SimpleNamespace(name=each) for each in ids]

    def add(self, driver: Any, node_id: str, ports: Sequence[str]) -> None:
        """Open more ports of a machine."""
        group = self.of(driver, ports)[-1]
        driver.connection.request(
            f"/servers/{node_id}/action",
            method="POST",
            data={"addSecurityGroup": {"name": group.name}},
        )

    def listed(self, driver: Any) -> list[Any]:
        """Those of this home."""
        groups = driver.ex_list_security_groups()
        return [g for g in groups if g.name == self._base or g.name.startswith(f"{self._base}-")]

    def _group(self, driver: Any, there: Sequence[Any], ports: Sequence[str]) -> Any:
        name = self._name(ports)
        found = sorted((g for g in there if g.name == name), key=lambda group: str(group.id))
        group = found[0] if found else driver.ex_create_security_group(name, "made by stix")
        # By the source too: the rules for going out, which Neutron makes, have no ports either.
        has = {(r.ip_protocol, r.from_port, r.to_port, bool(r.group)) for r in group.rules}
        for protocol, first, last, mates in _rules(ports):
            if (protocol, first, last, mates) not in has:
                driver.let_in(group, protocol, (first, last), mates)
        return group

    def _name(self, ports: Sequence[str]) -> str:
        if not ports:
            return self._base
        return f"{self._base}-{hashlib.sha256(','.join(sorted(ports)).encode()).hexdigest()[:12]}"


def _rules(ports: Sequence[str]) -> list[Rule]:
    if not ports:
        return [("tcp", 22, 22, False), (None, None, None, True)]
    pairs = (port.partition("-") for port in sorted(ports))
    return [("tcp", int(first), int(last or first), False) for first, _, last in pairs]


def drop(driver: Any, group: str) -> None:
    """Remove a group, by its id."""
    driver.ex_delete_security_group(SimpleNamespace(id=group))
