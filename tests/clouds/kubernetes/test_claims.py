"""Claims of a cluster as volumes: new ones, folders inside, access modes, those of others."""

from __future__ import annotations

import pytest

from stix.clouds.base import Node
from stix.clouds.errors import CapacityError, InvalidRequest
from stix.clouds.kubernetes import KubernetesCloud
from stix.clouds.volumes import Attachment, VolumeWish
from tests.support.kube.double import KubeDouble
from tests.support.kube.wishes import one, wish

CLAIMS = "persistentvolumeclaims"
DATA = VolumeWish("data", "k8s-pvc", "test", size_gib=3.0, labels={"team": "research"})


async def said(cloud: KubernetesCloud, node: Node, script: str) -> str:
    await cloud.prepare(node)
    done = await (await cloud.runner(node)).run(["sh", "-c", script])
    return (done.stdout + done.stderr).decode().strip()


async def test_a_claim_says_what_was_asked(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    options = {"storage_class_name": "shared", "access_mode": "ReadWriteMany"}
    made = await cloud.create_volume(VolumeWish("data", "k8s-pvc", "test", None, 0.5, {}, options))
    [claim] = kube.all(CLAIMS)
    spec = claim["spec"]
    assert spec["accessModes"] == ["ReadWriteMany"] and spec["storageClassName"] == "shared"
    assert spec["resources"] == {"requests": {"storage": "512Mi"}}
    assert (made.size_gib, made.state, made.region) == (0.5, "Bound", "test")
    at = Attachment("/data", DATA, made.id)
    nodes = await cloud.create(await wish(cloud, count=2, volumes=(at,)))
    await said(cloud, nodes[0], "echo both > /data/word")
    assert await said(cloud, nodes[1], "cat /data/word") == "both"


async def test_a_new_volume_ends_with_its_node(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    new = Attachment("~/scratch", VolumeWish("", "", size_gib=1.0, config={"access_mode": "x"}))
    with pytest.raises(InvalidRequest, match="Invalid value"):
        await cloud.create(await wish(cloud, "bad", volumes=(new,)))
    new = Attachment("~/scratch", VolumeWish("", "", size_gib=1.0, labels={"team": "research"}))
    node = await one(cloud, volumes=(new,))
    [claim] = kube.all(CLAIMS)
    assert claim["metadata"]["labels"]["team"] == "research"
    assert await said(cloud, node, "echo x > ~/scratch/y; cat /stix/scratch/y") == "x"
    assert await cloud.volumes() == []  # it has no name
    await cloud.terminate([node.ref])
    assert kube.all(CLAIMS) == []


async def test_a_folder_inside(cloud: KubernetesCloud) -> None:
    made = await cloud.create_volume(DATA)
    whole, part = Attachment("/all", DATA, made.id), Attachment("/part", DATA, made.id, "a/b")
    node = await one(cloud, volumes=(whole, part))
    assert await said(cloud, node, "echo in > /part/word; cat /all/a/b/word") == "in"


async def test_one_node_at_a_time(cloud: KubernetesCloud) -> None:
    at = Attachment("/data", DATA, (await cloud.create_volume(DATA)).id)
    first = await one(cloud, "first", volumes=(at,))
    assert (await one(cloud, "first", volumes=(at,))).ref == first.ref
    with pytest.raises(CapacityError, match="held by default/stix-"):
        await one(cloud, "second", volumes=(at,))
    await cloud.terminate([first.ref])
    assert await one(cloud, "second", volumes=(at,))


async def test_a_claim_of_others_is_used_and_stays(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "7Gi"}}}
    theirs = VolumeWish("data", "k8s-pvc", "test", existing="theirs")
    with pytest.raises(InvalidRequest, match="no claim theirs") as refused:
        await cloud.create_volume(theirs)
    assert "kubectl get pvc" in refused.value.fix
    body = {"metadata": {"name": "theirs"}, "spec": spec, "status": {"phase": "Bound"}}
    kube.add(CLAIMS, body)
    made = await cloud.create_volume(theirs)
    assert (made.id, made.name, made.size_gib) == ("default/theirs", "", 7.0)
    await cloud.delete_volume(theirs)
    assert len(kube.all(CLAIMS)) == 1


async def test_a_name_that_somebody_has(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    name = DATA.id_at("home")
    body = {"metadata": {"name": name}, "spec": {}, "status": {"phase": "Bound"}}
    kube.add(CLAIMS, body)
    with pytest.raises(InvalidRequest, match="somebody else's"):
        await cloud.create_volume(DATA)
