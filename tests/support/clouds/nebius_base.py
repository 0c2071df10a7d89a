"""Operations, VPC, IAM and quotas of Nebius; machines are in ``nebius``.

Source: github nebius/api (2026-08), in the messages of its SDK.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from nebius.api.google.rpc import Status
from nebius.api.nebius.common import v1 as common
from nebius.api.nebius.compute import v1 as compute
from nebius.api.nebius.iam import v2 as iam
from nebius.api.nebius.iam.v1 import CreateTokenResponse, ExchangeTokenRequest
from nebius.api.nebius.quotas import v1 as quotas
from nebius.api.nebius.vpc import v1 as vpc
from nebius.base._service_error import to_anypb

from stix.clouds.testing.double import PAGE, Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked
from tests.support.clouds.nebius_wire import GrpcWire, Said

TOKEN = "v1.nebiusSecretToken0123456789"
TENANT = "tenant-e00research"
STEP_GIB = 93
EXCHANGE = "/nebius.iam.v1.TokenExchangeService/Exchange"
COMPUTE, VPC = "/nebius.compute.v1", "/nebius.vpc.v1"


def detail(code: str, **what: Any) -> common.ServiceError:
    return common.ServiceError(service="compute", code=code, **what)


def wrong(words: str, field: str = "spec") -> Refused:
    violation = common.BadRequest.Violation(field=field, message=words)
    bad = common.BadRequest(violations=[violation])
    return Refused(400, Said(words, detail("BadRequest", bad_request=bad)))


_KNOWN = common.ResourceAlreadyExists(resource_id="there")


class NebiusBase(Double):
    PROJECTS = {
        "project-e00north": ("default-project-eu-north1", "eu-north1"),
        "project-e01other": ("another", "eu-north1"),
        "project-u00central": ("default-project-us-central1", "us-central1"),
    }

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.server._server.server_close()
        self.server = GrpcWire(self._handle)
        self.operations: dict[str, common.Operation] = {}
        self.exchanges: list[str] = []

    def authorised(self, asked: Asked) -> bool:
        if asked.path == EXCHANGE:
            return True
        return asked.headers.get("authorization") == f"Bearer {TOKEN}"

    # Operations.

    def _operation(self, resource: str, wrong: Refused | None = None) -> Answer:
        """Under way; ``wrong`` is what it ends with."""
        name = f"computeoperation-{len(self.operations)}"
        born = datetime.now(UTC)
        made = common.Operation(id=name, resource_id=resource, created_at=born)
        self.operations[name] = made
        shown = sent(made)
        made.finished_at = born
        made.status = Status(code=0)
        if wrong is not None:
            said = wrong.answer.body
            details = [to_anypb(said.error)]
            made.status = Status(code=8, message=said.words, details=details)
        return shown

    @route("POST", r"/nebius\.(compute|vpc)\.v1\.OperationService/Get")
    @route("POST", r"/nebius\.common\.v1\.OperationService/Get")
    def operation(self, asked: Asked) -> Any:
        wanted = common.GetOperationRequest.FromString(asked.body)
        if wanted.id not in self.operations:
            raise Refused(*self.UNKNOWN)
        return sent(self.operations[wanted.id])

    # VPC.

    @route("POST", f"{VPC}.SubnetService/List")
    def subnets(self, asked: Asked) -> Any:
        body = vpc.ListSubnetsRequest.FromString(asked.body)
        about = common.ResourceMetadata(id=f"subnet {body.parent_id}", name="default-subnet")
        spec = vpc.SubnetSpec(network_id=f"network {body.parent_id}")
        shown = [vpc.Subnet(metadata=about, spec=spec)]
        return listing(vpc.ListSubnetsResponse, body.page_token, shown)

    @route("POST", f"{VPC}.SecurityGroupService/Create")
    def add_group(self, asked: Asked) -> Any:
        body = vpc.CreateSecurityGroupRequest.FromString(asked.body)
        return self._added("security group", body, body.spec.network_id)

    @route("POST", f"{VPC}.SecurityGroupService/GetByName")
    def group_by_name(self, asked: Asked) -> Any:
        return self._named("security group", asked)

    @route("POST", f"{VPC}.SecurityGroupService/List")
    def groups(self, asked: Asked) -> Any:
        body = vpc.ListSecurityGroupsRequest.FromString(asked.body)
        shown = [self._thing(each) for each in self._kind("security group", body.parent_id)]
        return listing(vpc.ListSecurityGroupsResponse, body.page_token, shown)

    @route("POST", f"{VPC}.SecurityGroupService/Delete")
    def drop_group(self, asked: Asked) -> Any:
        name = vpc.DeleteSecurityGroupRequest.FromString(asked.body).id
        if self._kind("rule", name):
            raise Refused(412, Said("the security group has rules"))
        wires = [wire for box in self._ours() for wire in box.more["spec"].network_interfaces]
        if any(name == each.id for wire in wires for each in wire.security_groups):
            raise Refused(412, Said("the security group is in use"))
        return self._gone(name)

    @route("POST", f"{VPC}.SecurityRuleService/Create")
    def add_rule(self, asked: Asked) -> Any:
        body = vpc.CreateSecurityRuleRequest.FromString(asked.body)
        if body.metadata.parent_id not in self.things:
            raise Refused(*self.UNKNOWN)
        if body.spec.ingress and len([*body.spec.ingress.destination_ports]) > 8:
            raise wrong("at most 8 ports", "spec.ingress.destination_ports")
        return self._added("rule", body, body.spec)

    @route("POST", f"{VPC}.SecurityRuleService/GetByName")
    def rule_by_name(self, asked: Asked) -> Any:
        return self._named("rule", asked)

    @route("POST", f"{VPC}.SecurityRuleService/List")
    def rules(self, asked: Asked) -> Any:
        body = vpc.ListSecurityRulesRequest.FromString(asked.body)
        if body.parent_id not in self.things:
            raise Refused(*self.UNKNOWN)
        shown = [self._thing(each) for each in self._kind("rule", body.parent_id)]
        return listing(vpc.ListSecurityRulesResponse, body.page_token, shown)

    @route("POST", f"{VPC}.SecurityRuleService/Delete")
    def drop_rule(self, asked: Asked) -> Any:
        return self._gone(vpc.DeleteSecurityRuleRequest.FromString(asked.body).id)

    # IAM and quotas.

    @route("POST", EXCHANGE)
    def exchange(self, asked: Asked) -> Any:
        """A token for a statement that a service account has signed."""
        body = ExchangeTokenRequest.FromString(asked.body)
        part = body.subject_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        self.exchanges.append(claims["sub"])
        token = CreateTokenResponse(access_token=TOKEN, token_type="Bearer", expires_in=3600)
        return sent(token)

    @route("POST", r"/nebius\.iam\.v2\.TenantService/List")
    def tenants(self, asked: Asked) -> Any:
        about = common.ResourceMetadata(id=TENANT, name="research")
        return listing(iam.ListTenantsResponse, "", [iam.Tenant(metadata=about)])

    @route("POST", r"/nebius\.iam\.v2\.ProjectService/List")
    def projects(self, asked: Asked) -> Any:
        body = iam.ListProjectsRequest.FromString(asked.body)
        if body.parent_id != TENANT:
            raise Refused(403, self.REFUSALS["auth"][1])
        shown = [
            iam.Project(
                metadata=common.ResourceMetadata(id=name, parent_id=TENANT, name=label),
                spec=iam.ProjectSpec(region=region),
            )
            for name, (label, region) in self.PROJECTS.items()
        ]
        return listing(iam.ListProjectsResponse, body.page_token, shown)

    @route("POST", r"/nebius\.quotas\.v1\.QuotaAllowanceService/List")
    def limits(self, asked: Asked) -> Any:
        body = quotas.ListQuotaAllowancesRequest.FromString(asked.body)
        shown = [
            quotas.QuotaAllowance(
                metadata=common.ResourceMetadata(id=f"{name} {region}", name=name),
                spec=quotas.QuotaAllowanceSpec(limit=limit, region=region),
                status=quotas.QuotaAllowanceStatus(usage=1, unit="GPU"),
            )
            for name, region, limit in (
                ("compute.instance.gpu.h100", "eu-north1", 8),
                ("compute.instance.gpu.h200", "us-central1", 0),
            )
        ]
        return listing(quotas.ListQuotaAllowancesResponse, body.page_token, shown)

    # What they share.

    def _ours(self) -> list[Box]:
        return [box for box in self.boxes.values() if "spec" in box.more]

    def _unique(self, name: str, names: set[str]) -> None:
        if name in names:
            words = f"{name} exists already"
            known = detail("ResourceAlreadyExists", resource_already_exists=_KNOWN)
            raise Refused(409, Said(words, known))

    def _kind(self, kind: str, parent: str) -> list[Thing]:
        found = self.things.values()
        return [each for each in found if each.kind == kind and each.more["parent"] == parent]

    def _added(self, kind: str, body: Any, about: Any) -> Answer:
        meta = body.metadata
        self._unique(meta.name, {each.more["name"] for each in self._kind(kind, meta.parent_id)})
        more = {"parent": meta.parent_id, "name": meta.name, "labels": dict(meta.labels)}
        made = self.keep(kind, single=kind == "gpu cluster", about=about, **more)
        return self._operation(made.id)

    def _named(self, kind: str, asked: Asked) -> Answer:
        body = common.GetByNameRequest.FromString(asked.body)
        for each in self._kind(kind, body.parent_id):
            if each.more["name"] == body.name:
                return sent(self._thing(each))
        raise Refused(*self.UNKNOWN)

    def _gone(self, name: str) -> Answer:
        if self.things.pop(name, None) is None:
            raise Refused(*self.UNKNOWN)
        return self._operation(name)

    def _thing(self, thing: Thing) -> Any:
        about = common.ResourceMetadata(
            id=thing.id,
            parent_id=thing.more["parent"],
            name=thing.more["name"],
            labels=thing.more["labels"],
        )
        if thing.kind == "security group":
            spec = vpc.SecurityGroupSpec(network_id=thing.more["about"])
            return vpc.SecurityGroup(metadata=about, spec=spec)
        if thing.kind == "rule":
            return vpc.SecurityRule(metadata=about, spec=thing.more["about"])
        used = [box.id for box in self._ours() if box.more["spec"].gpu_cluster.id == thing.id]
        return compute.GpuCluster(
            metadata=about,
            spec=compute.GpuClusterSpec(infiniband_fabric=thing.more["about"]),
            status=compute.GpuClusterStatus(instances=used),
        )


def sent(message: Any) -> Answer:
    return Answer(200, message.SerializeToString())


def listing(kind: Any, token: str, items: Sequence[Any]) -> Answer:
    start = int(token or 0)
    more = start + PAGE < len(items)
    following = str(start + PAGE) if more else ""
    return sent(kind(items=items[start : start + PAGE], next_page_token=following))
