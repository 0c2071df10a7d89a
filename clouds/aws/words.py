"""From EC2's words to ours: instances, states, images. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.rented.machines import Machine, Order
from stix.clouds.rented.tags import RANK_TAG

INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{17}|[0-9a-f]{8})")
OVER = frozenset({"shutting-down", "terminated"})
_STATES = {
    "pending": NodeState.STARTING,
    "running": NodeState.RUNNING,
    "stopping": NodeState.STOPPED,
    "stopped": NodeState.STOPPED,
}
_ASKED_FOR = ("", "Client.UserInitiatedShutdown")
_UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/{}/hvm/ebs-gp3/ami-id"
_WITH_DRIVER = (
    "/aws/service/deeplearning/ami/{}/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id"
)
_NOT_NVIDIA = ("Inferentia", "Trainium", "Gaudi", "Radeon")


def state_of(name: str, reason: str) -> NodeState:
    """The state of an instance, from its state and the code of ``StateReason``.

    Spot instances end with ``Server.SpotInstanceTermination`` or ``Server.SpotInstanceShutdown``.
    An instance that nobody ended by a call has failed: it was shut down from inside, or broke.
    """
    if reason.startswith("Server.Spot"):
        return NodeState.PREEMPTED if name not in ("pending", "running") else _STATES[name]
    if name in OVER:
        return NodeState.TERMINATED if reason in _ASKED_FOR else NodeState.FAILED
    return _STATES.get(name, NodeState.FAILED)


def tags_of(item: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in item.get("Tags", [])}


def shared(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags of what serves all machines of a wish."""
    return {key: value for key, value in tags.items() if key not in (RANK_TAG, "Name")}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_filters(tags: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Filters of a listing; the wildcards of EC2 in values stand for themselves."""
    return [
        {"Name": f"tag:{key}", "Values": [re.sub(r"([*?\\])", r"\\\1", value)]}
        for key, value in tags.items()
        if value is not None
    ]


def machine_of(item: Mapping[str, Any], region: str, *, internal: bool) -> Machine:
    """An instance.

    Args:
        item: Of DescribeInstances or RunInstances.
        region: Where it is.
        internal: Log in at the private address, whatever public one there is.
    """
    reason = item.get("StateReason", {})
    state = state_of(item["State"]["Name"], reason.get("Code", ""))
    public, private = item.get("PublicIpAddress", ""), item.get("PrivateIpAddress", "")
    # A running instance without a public address will never have one: its subnet gives none.
    hidden = internal or (not public and state is NodeState.RUNNING)
    tags = tags_of(item)
    if RANK_TAG in tags:  # of the first of one call; the others follow
        tags[RANK_TAG] = str(int(tags[RANK_TAG]) + int(item.get("AmiLaunchIndex", 0)))
    launched = item.get("LaunchTime")
    return Machine(
        id=item["InstanceId"],
        name=tags.get("Name", ""),
        state=state,
        region=region,
        zone=item.get("Placement", {}).get("AvailabilityZone"),
        tags=tags,
        public_ip=private if hidden else public,
        private_ip=private,
        created=launched.timestamp() if launched else None,
        spot=item.get("InstanceLifecycle") == "spot",
        # The disk of a stopped instance is paid for.
        billed=item["State"]["Name"] not in OVER,
        reason=reason.get("Message", "") or item.get("StateTransitionReason", ""),
    )


def in_rows(orders: Sequence[Order]) -> Iterator[list[Order]]:
    """Orders whose ranks follow each other: what one call of EC2 can make."""
    row = [orders[0]]
    for before, order in pairwise(orders):
        if order.rank != before.rank + 1:
            yield row
            row = []
        row.append(order)
    yield row


def image_name(order: Order, setting: str) -> str:
    """An AMI's id, or the public SSM parameter that names one; see ``is_parameter``."""
    named = order.image or setting
    if named:
        return named.removeprefix("resolve:ssm:").removeprefix("ssm:")
    arm = order.offer.arch == "arm64"
    if any(not name.startswith(_NOT_NVIDIA) for name in order.offer.accelerators):
        return _WITH_DRIVER.format("arm64" if arm else "x86_64")
    return _UBUNTU.format("arm64" if arm else "amd64")


def is_parameter(image: str) -> bool:
    return image.startswith("/")


def permissions(ports: Iterable[str]) -> list[dict[str, Any]]:
    """Rules that let the world reach ``8080`` and ``10000-10010``."""
    rules = []
    for port in ports:
        first, _, last = port.partition("-")
        rules.append(_rule(int(first), int(last or first), "0.0.0.0/0"))
    return rules


def own_permissions(group: str, ssh_from: str) -> list[dict[str, Any]]:
    """Rules of the group of all our nodes: SSH from outside, everything among themselves."""
    return [
        _rule(22, 22, ssh_from),
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]},
    ]


def _rule(first: int, last: int, source: str) -> dict[str, Any]:
    ranges = [{"CidrIp": source}]
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "IpRanges": ranges}


def allowed(rule: Mapping[str, Any], present: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a rule is among those of a group; EC2 puts those of one port together."""
    for each in present:
        if any(each.get(key) != rule.get(key) for key in ("IpProtocol", "FromPort", "ToPort")):
            continue
        sources = {r["CidrIp"] for r in each.get("IpRanges", [])}
        sources |= {pair["GroupId"] for pair in each.get("UserIdGroupPairs", [])}
        wanted = {r["CidrIp"] for r in rule.get("IpRanges", [])}
        wanted |= {pair["GroupId"] for pair in rule.get("UserIdGroupPairs", [])}
        if wanted <= sources:
            return True
    return False
