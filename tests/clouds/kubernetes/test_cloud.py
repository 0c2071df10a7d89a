"""Pods as nodes: gangs, settings, contexts, ports and rights."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stix.clouds.base import (
    CanDescribe,
    CanListResources,
    CanOpenPorts,
    CanPrepare,
    CanSpot,
    CanStop,
    HasCredentials,
    NodeState,
    Selector,
)
from stix.clouds.config import CloudConfig
from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
)
from stix.clouds.kubernetes import KubernetesCloud
from stix.clouds.registry import get
from stix.plan.offers import Demand, Offer
from stix.remote.agent import AgentClient, JobStart
from tests.support.agents import output
from tests.support.kube.double import TOKEN, KubeDouble
from tests.support.kube.wishes import config, listed, name_of, offer, one, wish


@pytest.fixture(autouse=True)
def cleared(kube: KubeDouble) -> Iterator[None]:
    yield
    kube.clear()


def test_its_abilities(kube: KubeDouble, tmp_path: Path) -> None:
    cloud = get("kubernetes", config(kube, tmp_path))
    can = (CanPrepare, CanSpot, CanOpenPorts, CanListResources, CanDescribe, HasCredentials)
    assert all(isinstance(cloud, ability) for ability in can)
    assert not isinstance(cloud, CanStop)


async def test_a_gang_runs_jobs_as_a_user_without_rights(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    nodes = await cloud.create(await wish(cloud, count=2))
    ready = await asyncio.gather(*(cloud.prepare(each) for each in nodes))
    assert len({each.address for each in ready}) == 2
    for each in ready:
        assert (each.state, each.directory.startswith("/stix/")) == (NodeState.RUNNING, True)
        client = AgentClient(await cloud.runner(each), each.socket)
        await client.start(JobStart("r/1", "id -u; grep NoNewPrivs /proc/self/status; touch /x"))
        data, status = await output(client, "r/1")
        assert data.split()[:3] == [b"1000", b"NoNewPrivs:", b"1"]
        assert status.exit_code == 1
        await client.close()
    again = await cloud.prepare(nodes[0])
    assert again == ready[0]


async def test_pods_of_a_gang_have_names(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    nodes = await cloud.create(await wish(cloud, count=2))
    (service,) = kube.all("services")
    assert service["spec"]["clusterIP"] == "None"
    for each in nodes:
        pod = kube.pod(name_of(each))
        assert pod["spec"]["subdomain"] == service["metadata"]["name"]
        assert pod["spec"]["hostname"] == pod["metadata"]["name"]
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    await cloud.terminate([nodes[0].ref])
    assert len(kube.all("services")) == 1
    await cloud.terminate([nodes[1].ref])
    assert kube.remains() == []


async def test_a_pod_meets_the_restricted_standard(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    spec = kube.pod(name_of(await one(cloud)))["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    security = spec["containers"][0]["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {tuple(volume)[1] for volume in spec["volumes"]} == {"emptyDir"}


async def test_settings_show_in_the_pod(kube: KubeDouble, tmp_path: Path) -> None:
    toleration = {"key": "team", "operator": "Exists"}
    settings = {
        "image": "team/python:1",
        "priority_class": "high",
        "node_selector": {"kubernetes.io/hostname": "n2"},
        "tolerations": [toleration],
        "run_as_user": 0,
        "read_only_root": True,
        "service_account": "jobs",
        "image_pull_secrets": ["pull"],
        "price": {"4cpu-16gb": 0.25},
    }
    cloud = KubernetesCloud(config(kube, tmp_path, **settings))
    assert (await offer(cloud)).price == 0.25
    made = kube.pod(name_of(await one(cloud, disk_gib=20)))["spec"]
    assert (made["priorityClassName"], made["serviceAccountName"]) == ("high", "jobs")
    assert (made["nodeName"], toleration in made["tolerations"]) == ("n2", True)
    container = made["containers"][0]
    assert (container["image"], container["securityContext"]["readOnlyRootFilesystem"]) == (
        "team/python:1",
        True,
    )
    assert container["resources"]["requests"]["ephemeral-storage"] == "20Gi"
    assert made["imagePullSecrets"] == [{"name": "pull"}]
    assert made["securityContext"]["runAsNonRoot"] is False
    await cloud.close()


async def test_a_read_only_root_still_takes_the_agent(kube: KubeDouble, tmp_path: Path) -> None:
    cloud = KubernetesCloud(config(kube, tmp_path, read_only_root=True))
    ready = await cloud.prepare(await one(cloud))
    assert ready.socket
    await cloud.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"contxts": ["a"]}, "contxts"),
        ({"patience": 0}, "patience"),
        ({"price": "cheap"}, "price"),
        ({"service_type": "Ingress"}, "service_type"),
        ({"sizes": [{"name": "x"}]}, "sizes.0"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"kubernetes\.{words}"):
        KubernetesCloud(CloudConfig(tmp_path, tmp_path, settings))


async def test_ports(kube: KubeDouble, tmp_path: Path) -> None:
    cloud = KubernetesCloud(config(kube, tmp_path, service_type="NodePort"))
    made = await one(cloud, ports=("8080",))
    await cloud.open_ports([made.ref], ["8080", "9000-9002"])
    (service,) = kube.all("services")
    assert service["spec"]["type"] == "NodePort"
    assert [port["port"] for port in service["spec"]["ports"]] == [8080, 9000, 9001, 9002]
    (resource,) = await cloud.resources()
    assert (resource.kind, resource.used_by) == ("service", (made.ref.id,))
    with pytest.raises(InvalidRequest, match="in use"):
        await cloud.remove([resource])
    await cloud.terminate([made.ref])
    assert await cloud.resources() == []
    await cloud.remove([resource])
    await cloud.close()


@pytest.mark.parametrize("ports", [("http",), ("0",), ("70000",), ("1-1000",), ("80-",), ("9-8",)])
async def test_ports_that_make_no_sense(
    cloud: KubernetesCloud, kube: KubeDouble, ports: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidRequest, match=ports[0]):
        await one(cloud, ports=ports)
    assert kube.all("pods") == []


async def test_a_service_that_lost_its_pods_can_be_removed(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    nodes = await cloud.create(await wish(cloud, count=2))
    kube.disown()
    await cloud.terminate([each.ref for each in nodes])
    (left,) = await cloud.resources()
    assert (left.used_by, left.tags["stix-home"]) == ((), "home")
    await cloud.remove([left])
    assert kube.all("services") == []


async def test_check_names_what_we_may_not_do(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    identity = await cloud.check()
    assert identity.account == "ada@test"
    assert "v1.32.4" in identity.detail
    kube.do(lambda: kube.api.denied.update({"create pods/exec", "delete pods"}))
    with pytest.raises(AuthError, match=r"may not delete pods, create pods/exec") as caught:
        await cloud.check()
    assert "Role" in caught.value.fix


async def test_quotas_of_the_namespace(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    hard = {"requests.cpu": "8", "requests.memory": "2Gi", "pods": "10"}
    spec = {"hard": hard}
    status = {"hard": hard, "used": {"requests.cpu": "1500m"}}
    body = {"metadata": {"name": "team"}, "spec": spec, "status": status}
    kube.add("resourcequotas", body)
    assert [(q.name, q.limit, q.used, q.unit) for q in await cloud.quotas("test")] == [
        ("team: requests.cpu", 8, 1.5, ""),
        ("team: requests.memory", 2**31, None, "bytes"),
        ("team: pods", 10, None, ""),
    ]


async def test_without_the_right_to_see_nodes_sizes_do(kube: KubeDouble, tmp_path: Path) -> None:
    kube.do(lambda: kube.api.denied.update({"list nodes", "list events"}))
    bare = KubernetesCloud(config(kube, tmp_path))
    with pytest.raises(AuthError, match="cannot list resource"):
        await bare.offers()
    await bare.close()
    size = {"name": "small", "cpus": 2, "memory": 8}
    cloud = KubernetesCloud(config(kube, tmp_path, sizes=[size]))
    (small,) = await cloud.offers()
    assert (await one(cloud, offer=small)).state.alive
    with pytest.raises(CapacityError, match="Insufficient cpu"):
        await one(cloud, "big", offer=small, demand=Demand(cpus=32))
    await cloud.close()


def two_contexts(kube: KubeDouble, folder: Path, second: str) -> str:
    document = yaml.safe_load(kube.kubeconfig().read_text())
    cluster = {**document["clusters"][0]["cluster"], "server": second}
    document["clusters"].append({"name": "other", "cluster": cluster})
    context = {"cluster": "other", "user": document["users"][0]["name"], "namespace": "kube-system"}
    document["contexts"].append({"name": "arn:aws/other", "context": context})
    (folder / "two").write_text(yaml.safe_dump(document))
    return str(folder / "two")


async def test_each_context_is_a_region(kube: KubeDouble, tmp_path: Path) -> None:
    settings = {
        "kubeconfig": two_contexts(kube, tmp_path, kube.url),
        "contexts": ["test", "arn:aws/other"],
    }
    cloud = KubernetesCloud(config(kube, tmp_path, **settings))
    offers = await cloud.offers()
    assert [each.region for each in offers] == ["test", "arn:aws/other"]
    made = await one(cloud, offer=offers[1])
    assert (made.ref.region, made.ref.id.partition("/")[0]) == ("arn:aws/other", "kube-system")
    assert list(await listed(cloud)) == [made.ref]
    await cloud.terminate([made.ref])
    assert kube.remains() == []
    await cloud.close()


async def test_a_dead_context_does_not_hold_up_the_others(kube: KubeDouble, tmp_path: Path) -> None:
    settings = {
        "kubeconfig": two_contexts(kube, tmp_path, "https://127.0.0.1:9"),
        "contexts": ["test", "arn:aws/other"],
    }
    cloud = KubernetesCloud(config(kube, tmp_path, **settings))
    assert [each.region for each in await cloud.offers()] == ["test"]
    identity = await cloud.check()
    assert identity.account == "ada@test"
    assert "arn:aws/other" in identity.detail
    with pytest.raises(CloudError) as caught:  # nodes there are unknown, not gone
        await cloud.list(Selector())
    assert caught.value.retryable
    await cloud.close()


async def test_an_unknown_context_gets_a_suggestion(cloud: KubernetesCloud) -> None:
    wrong = Offer("kubernetes", "tests", None, "any", 1, 1)
    with pytest.raises(InvalidRequest) as caught:
        await one(cloud, offer=wrong)
    assert "did you mean test?" in caught.value.fix


async def test_no_secret_is_shown(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    made = await cloud.prepare(await one(cloud))
    kube.do(lambda: kube.api.tokens.clear())
    with pytest.raises(AuthError) as caught:
        await cloud.list(Selector())
    kube.do(lambda: kube.api.tokens.update({TOKEN: "ada"}))
    runner = await cloud.runner(made)
    api = cloud._api("test")
    shown = [repr(caught.value), repr(vars(cloud)), repr(vars(api)), repr(api.place)]
    shown += [repr(vars(runner)), json.dumps(made.to_dict())]
    assert TOKEN not in "".join(shown)
