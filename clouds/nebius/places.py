"""Where machines of Nebius are: a tenant, its projects, of one region each, and their subnets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stix.clouds.errors import AuthError, InvalidRequest, QuotaError
from stix.clouds.nebius.api import Api, sdk
from stix.clouds.rented.credentials import Key, whole

TENANT = Key(("NEBIUS_TENANT_ID",), (("~/.nebius/NEBIUS_TENANT_ID.txt", whole),))


class Places:
    """What one account may use; asked for once.

    Args:
        api: The account.
        settings: See ``cloud.SETTINGS``.
    """

    def __init__(self, api: Api, settings: Mapping[str, Any]) -> None:
        self._api = api
        self._settings = settings
        self._projects: Mapping[str, str] = {}
        self._subnets: dict[str, tuple[str, str]] = {}

    def forget(self) -> None:
        """Ask again."""
        self._projects = {}

    async def tenant(self) -> str:
        """Its id: as it was named, else the only one there is."""
        iam = sdk("api.nebius.iam.v2")
        if named := self._settings.get("tenant") or TENANT.find().value:
            return str(named)
        request = iam.ListTenantsRequest()
        found = [t async for t in self._api.listed(iam.TenantServiceClient, request)]
        if len(found) != 1:
            words = f"the account may use {len(found)} tenants"
            raise AuthError(f"nebius: {words}", fix="put the id of one in $NEBIUS_TENANT_ID")
        return str(found[0].metadata.id)

    async def projects(self) -> Mapping[str, str]:
        """Region to project: that of the settings, else the default one there, else any."""
        iam = sdk("api.nebius.iam.v2")
        if named := self._settings.get("projects"):
            return {str(region): str(project) for region, project in named.items()}
        if not self._projects:
            request = iam.ListProjectsRequest(parent_id=await self.tenant())
            found = [p async for p in self._api.listed(iam.ProjectServiceClient, request)]
            found.sort(key=lambda p: (p.metadata.name.startswith("default"), p.metadata.id))
            wanted = self._settings.get("regions")
            self._projects = {
                str(p.spec.region): str(p.metadata.id)
                for p in found
                if not wanted or p.spec.region in wanted
            }
        return self._projects

    async def project(self, region: str) -> str:
        """The project of a region.

        Raises:
            QuotaError: there is none, so that nothing can be made there.
        """
        known = await self.projects()
        if region not in known:
            raise QuotaError(
                f"nebius: there is no project in {region}",
                scope="region",
                fix="make one at Nebius, or name one in the setting `nebius.projects`",
            )
        return known[region]

    async def subnet(self, project: str) -> tuple[str, str]:
        """The subnet for machines, and its network."""
        vpc = sdk("api.nebius.vpc.v1")
        if project not in self._subnets:
            request = vpc.ListSubnetsRequest(parent_id=project)
            found = [s async for s in self._api.listed(vpc.SubnetServiceClient, request)]
            if not found:
                fix = "make one with `nebius vpc subnet create`"
                raise InvalidRequest(f"nebius: {project} has no subnet", fix=fix)
            found.sort(key=lambda s: (not s.metadata.name.startswith("default"), s.metadata.id))
            self._subnets[project] = str(found[0].metadata.id), str(found[0].spec.network_id)
        return self._subnets[project]
