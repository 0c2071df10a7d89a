"""Drivers of Libcloud, with what they hide made visible. The only module that loads Libcloud.

Source: apache-libcloud 3.9.1. Its drivers turn a refusal into exceptions of many kinds, some of
which have lost the status (Linode) or are a ``KeyError`` of the reading (an error page of a
proxy). So each driver has an ear on its wire: the last answer, as it came.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import requests
from libcloud.common.base import Connection
from libcloud.common.exceptions import BaseHTTPError
from libcloud.common.linode import LinodeExceptionV4
from libcloud.common.openstack_identity import OpenStackAuthenticationCache, OpenStackServiceCatalog
from libcloud.common.types import LibcloudError
from libcloud.common.vultr import VultrException
from libcloud.compute.base import Node, NodeImage, NodeLocation, NodeSize
from libcloud.compute.drivers.linode import LinodeNodeDriverV4
from libcloud.compute.drivers.openstack import OpenStack_2_NodeDriver
from libcloud.compute.drivers.vultr import VultrNodeDriverV2
from libcloud.compute.types import NodeState
from libcloud.http import LibcloudConnection

RAISED = (
    LibcloudError,
    BaseHTTPError,
    VultrException,
    LinodeExceptionV4,
    requests.RequestException,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)
"""All that a driver raises."""


class Ear:
    """What was heard on the wire of one driver.

    Attributes:
        last: The answer to the last request; None where none came.
    """

    def __init__(self) -> None:
        self.last: requests.Response | None = None


class _Wire(LibcloudConnection):
    def __init__(self, ear: Ear, **more: Any) -> None:
        super().__init__(**more)
        self._ear = ear
        assert self.session is not None
        self.session.max_redirects = 0  # the key would go along

    def request(self, *args: Any, **more: Any) -> None:
        self._ear.last = None
        super().request(*args, **more)
        self._ear.last = self.response

    def close(self) -> None:
        if self.session is not None:
            self.session.close()


def listen(driver: Any) -> Ear:
    """An ear on all connections of a driver."""
    ear = Ear()
    for connection in _connections(driver):
        connection.conn_class = functools.partial(_Wire, ear)
        connection.connect()
    return ear


def hang_up(driver: Any) -> None:
    """Close the connections of a driver."""
    for connection in _connections(driver):
        connection.connection.close()


def _connections(driver: Any) -> list[Any]:
    return [each for each in vars(driver).values() if isinstance(each, Connection)]


def no_answer(error: BaseException) -> bool:
    """Whether the wire broke, so that nobody knows what the provider did."""
    return isinstance(error, requests.RequestException)


def stub(driver: Any, node_id: str) -> Node:
    """A node of which only the id is known; enough to end, stop and start it."""
    nothing = size(driver, "")  # Vultr's driver looks at its id
    return Node(node_id, "", NodeState.UNKNOWN, [], [], driver, size=nothing)


def size(driver: Any, name: str) -> NodeSize:
    return NodeSize(name, name, 0, 0, 0, 0.0, driver)


def location(driver: Any, name: str) -> NodeLocation:
    return NodeLocation(name, name, "", driver)


def image(driver: Any, name: str) -> NodeImage:
    return NodeImage(name, name, driver)


class Vultr(VultrNodeDriverV2):
    """With tags and the words of the states; libcloud knows a single ``tag``, which Vultr has
    replaced by ``tags``."""

    def list_nodes(self, ex_list_bare_metals: bool = False) -> list[Node]:
        return list(super().list_nodes(ex_list_bare_metals))

    def make(self, order: Mapping[str, Any]) -> Node:
        """A machine; ``order`` is the body of ``POST /v2/instances``."""
        said = self.connection.request("/v2/instances", data=json.dumps(order), method="POST")
        return self._to_node(said.object["instance"])

    def _to_node(self, data: dict[str, Any]) -> Node:
        node = super()._to_node({"tag": "", **data})
        node.extra |= {"tags": data.get("tags") or [], "status": data["status"]}
        return node


class Linode(LinodeNodeDriverV4):
    """With the words of the states: libcloud breaks at one that it does not know."""

    def _to_node(self, data: dict[str, Any]) -> Node:
        known = data["status"] if data["status"] in self.LINODE_STATES else "provisioning"
        node = super()._to_node({**data, "status": known})
        node.id = str(node.id)
        node.extra["status"] = data["status"]
        return node


class OpenStack(OpenStack_2_NodeDriver):
    """With the words of the states, of which libcloud knows half."""

    def list_nodes(self, ex_all_tenants: bool = False) -> list[Node]:
        for _ in range(2):
            try:
                return super().list_nodes(ex_all_tenants)
            except BaseHTTPError as error:
                # The last machine of a page ended before the next page was asked for.
                if error.code != 400 or "marker" not in error.message:
                    raise
        return super().list_nodes(ex_all_tenants)

    def let_in(self, group: Any, protocol: str | None, ports: tuple[Any, Any], mates: bool) -> None:
        """A rule of a security group: for the world, or for machines of the same group alone.
        Nothing is done where it is there already."""
        source = (None, group) if mates else ("0.0.0.0/0", None)
        try:
            self.ex_create_security_group_rule(group, protocol, *ports, *source)
        except BaseHTTPError as error:
            if error.code != 409 or "already exists" not in error.message:
                raise

    def _to_node(self, api_node: dict[str, Any]) -> Node:
        node = super()._to_node(api_node)
        node.extra["status"] = api_node["status"]
        return node


class Tokens(OpenStackAuthenticationCache):
    """Tokens of one account, shared by its drivers: each has six connections that would log in."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        return self._kept.get(key)

    def put(self, key: Any, context: Any) -> None:
        self._kept[key] = context

    def clear(self, key: Any) -> None:
        self._kept.pop(key, None)


def regions(driver: Any) -> list[str]:
    """The regions with machines that an account may use; logs in anew."""
    who = driver.connection.get_auth_class().authenticate(force=True)
    found = OpenStackServiceCatalog(who.urls, "3.x").get_regions("compute")
    return [str(region) for region in found]
