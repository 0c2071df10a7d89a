"""What each cloud can do, computed from its class; there is no table to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stix.clouds.base import (
    CanChaos,
    CanDescribe,
    CanListResources,
    CanMount,
    CanOpenPorts,
    CanPrepare,
    CanSpot,
    CanStop,
    CanTellQuotas,
    HasCredentials,
    HasVolumes,
)
from stix.clouds.errors import CloudError

_ABILITIES: Mapping[str, Any] = {
    "stop": CanStop,
    "spot": CanSpot,
    "ports": CanOpenPorts,
    "resources": CanListResources,
    "quotas": CanTellQuotas,
    "volumes": HasVolumes,
    "mounts": CanMount,
    "prepare": CanPrepare,
    "describe": CanDescribe,
    "chaos": CanChaos,
    "credentials": HasCredentials,
}
_TRAITS: Mapping[str, tuple[str, bool]] = {
    "multi-node": ("multi_node", True),
    "machine image": ("custom_image", False),
    "container image": ("container_image", False),
    "disk size": ("disk_size", False),
    "host ports": ("host_ports", False),
    "new volumes": ("new_volumes", False),
}
"""Feature to the attribute of the class, or of its ``traits``, that says so; and what holds where
there is none."""

FEATURES: Mapping[str, str] = {
    "stop": "nodes can be stopped and started again with their disk",
    "spot": "nodes can be rented at a price at which they can be taken away",
    "multi-node": "the nodes of one stage reach each other",
    "ports": "ports can be opened to the world after a node was made",
    "host ports": "ports of a node are those of its host, which STIX does not close",
    "machine image": "a stage may name the image of its machines",
    "container image": "a stage may name a container image (`image_id: docker:NAME`)",
    "disk size": "a stage may say how large the disk is",
    "resources": "what it makes besides nodes (disks, addresses, keys) is listed and swept",
    "quotas": "the limits of the account can be asked for",
    "volumes": "there are volumes, which outlive nodes (`stix volumes`)",
    "mounts": "volumes are disks, which STIX formats and mounts",
    "new volumes": "a node can have a new volume of its own, which ends with it",
    "prepare": "nodes boot: they are ordered first and made ready then",
    "describe": "one node can be asked for, also where the listing leaves it out",
    "chaos": "nodes can be hurt on purpose (`stix chaos`)",
    "credentials": "it needs credentials, and is used once they are found",
}
"""Each feature with what it means, in the order in which they are shown."""


def features_of(adapter: Callable[..., object]) -> dict[str, bool]:
    """Feature to whether the adapter has it.

    Raises:
        CloudError: it is no class, so that nothing can be told before it is opened.
    """
    if not isinstance(adapter, type):
        raise CloudError("its entry point names no class")
    found = {name: issubclass(adapter, ability) for name, ability in _ABILITIES.items()}
    traits = getattr(adapter, "traits", None)
    for name, (attribute, default) in _TRAITS.items():
        value = getattr(adapter, attribute, getattr(traits, attribute, default))
        found[name] = bool(value)
    return {name: found[name] for name in FEATURES}


def lacks_of(adapter: Callable[..., object]) -> tuple[str, ...]:
    """What its nodes cannot have, by the words of ``stix.plan.extras.WANTS``."""
    has = features_of(adapter)
    there = {
        "image": has["machine image"],
        "container": has["container image"],
        "disk_size": has["disk size"],
        "ports": has["ports"] or has["host ports"],
        "new_volumes": has["new volumes"],
    }
    return tuple(name for name, found in there.items() if not found)
