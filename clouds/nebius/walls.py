"""Security groups of Nebius: one per home and network, and one per set of open ports.

A rule is a thing of its own, below its group, with at most 8 ports and no ranges. Source:
``nebius/vpc/v1/security_rule.proto`` (github nebius/api).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from stix.clouds.config import HOME_TAG
from stix.clouds.errors import InvalidRequest
from stix.clouds.nebius.api import Api, sdk
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.names import home_word
from stix.clouds.rented.ports import single_ports

PORTS = 8
MOST = 400
MADE_S = 60.0


class Walls:
    """The groups of one home.

    Args:
        api: The account.
        home: Id of the home.
    """

    def __init__(self, api: Api, home: str) -> None:
        self._api = api
        self._home = home
        self._base = f"stix-{home_word(home)}"

    async def of(self, project: str, network: str, ports: Sequence[str] = ()) -> list[str]:
        """Ids of the groups for a machine with these ports open to all, besides SSH; its mates
        may reach everything."""
        there = {group.metadata.name: group async for group in self.listed(project)}
        ids = [await self._group(there, project, network, ())]
        if ports:
            ids.append(await self._group(there, project, network, ports))
        return ids

    async def listed(self, project: str) -> Any:
        """Those of this home."""
        vpc = sdk("api.nebius.vpc.v1")
        request = vpc.ListSecurityGroupsRequest(parent_id=project)
        async for group in self._api.listed(vpc.SecurityGroupServiceClient, request):
            if dict(group.metadata.labels).get(HOME_TAG) == self._home:
                yield group

    async def drop(self, group: str) -> None:
        """Remove a group, and its rules before it."""
        vpc = sdk("api.nebius.vpc.v1")
        for rule in await self._rules_of(group):
            gone = vpc.DeleteSecurityRuleRequest(id=rule.metadata.id)
            await self._removed(vpc.SecurityRuleServiceClient, gone)
        gone_group = vpc.DeleteSecurityGroupRequest(id=group)
        await self._removed(vpc.SecurityGroupServiceClient, gone_group)

    async def _removed(self, client: Any, request: Any) -> None:
        try:
            await self._api.done(await self._api.call(client, "delete", request), MADE_S)
        except NotThere:
            return

    async def _group(
        self, there: dict[str, Any], project: str, network: str, ports: Sequence[str]
    ) -> str:
        vpc = sdk("api.nebius.vpc.v1")
        name = self._name(network, ports)
        if name in there:
            group = str(there[name].metadata.id)
        else:
            group = await self._made(
                vpc.SecurityGroupServiceClient,
                vpc.CreateSecurityGroupRequest(
                    metadata=self._metadata(project, name),
                    spec=vpc.SecurityGroupSpec(network_id=network),
                ),
            )
        has = {rule.metadata.name for rule in await self._rules_of(group)}
        for label, spec in _rules(group, ports).items():
            if label not in has:
                await self._made(
                    vpc.SecurityRuleServiceClient,
                    vpc.CreateSecurityRuleRequest(metadata=self._metadata(group, label), spec=spec),
                )
        return group

    async def _made(self, client: Any, request: Any) -> str:
        """The id of what was made, now or by another engine."""
        common = sdk("api.nebius.common.v1")
        try:
            operation = await self._api.call(client, "create", request)
        except Exists:
            about = request.metadata
            named = common.GetByNameRequest(parent_id=about.parent_id, name=about.name)
            return str((await self._api.call(client, "get_by_name", named)).metadata.id)
        await self._api.done(operation, MADE_S)
        return str(operation.resource_id)

    async def _rules_of(self, group: str) -> list[Any]:
        vpc = sdk("api.nebius.vpc.v1")
        request = vpc.ListSecurityRulesRequest(parent_id=group)
        try:
            return [r async for r in self._api.listed(vpc.SecurityRuleServiceClient, request)]
        except NotThere:
            return []

    def _metadata(self, parent: str, name: str) -> Any:
        common = sdk("api.nebius.common.v1")
        labels = {HOME_TAG: self._home}
        return common.ResourceMetadata(parent_id=parent, name=name, labels=labels)

    def _name(self, network: str, ports: Sequence[str]) -> str:
        what = f"{network} {','.join(sorted(ports))}"
        return f"{self._base}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def _rules(group: str, ports: Sequence[str]) -> dict[str, Any]:
    """Name to rule."""
    vpc = sdk("api.nebius.vpc.v1")

    def rule(protocol: Any, **match: Any) -> Any:
        allow = vpc.RuleAccessAction.ALLOW
        return vpc.SecurityRuleSpec(access=allow, protocol=protocol, **match)

    tcp, anything = vpc.RuleProtocol.TCP, vpc.RuleProtocol.ANY
    if not ports:
        mates = vpc.RuleIngress(source_security_group_id=group)
        return {
            "ssh": rule(tcp, ingress=vpc.RuleIngress(destination_ports=[22])),
            "mates": rule(anything, ingress=mates),
            "out": rule(anything, egress=vpc.RuleEgress()),
        }
    numbers = single_ports(sorted(ports), MOST, "nebius")
    if any(not 1 <= number <= 65535 for number in numbers):
        raise InvalidRequest("nebius: ports are numbers from 1 to 65535")
    parts = [numbers[start : start + PORTS] for start in range(0, len(numbers), PORTS)]
    return {
        f"ports-{part[0]}": rule(tcp, ingress=vpc.RuleIngress(destination_ports=part))
        for part in parts
    }
