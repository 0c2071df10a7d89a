"""The page on Kubernetes: its settings are settings, its rights suffice and are all needed ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stix.clouds.errors import AuthError
from stix.clouds.kubernetes.cloud import RIGHTS, KubernetesCloud
from stix.clouds.kubernetes.settings import read_settings
from stix.clouds.volumes import Attachment, VolumeWish
from tests.support.kube.double import KubeDouble
from tests.support.kube.wishes import wish

PAGE = Path(__file__).parents[3] / "docs" / "clouds" / "kubernetes.md"


def blocks() -> list[list[dict[str, Any]]]:
    found = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [list(yaml.safe_load_all(text)) for text in found]


def granted() -> dict[str, set[str]]:
    """Kind of role to ``verb resource``."""
    return {
        role["kind"]: {f"{v} {r}" for rule in role["rules"] for r in rule["resources"]
                       for v in rule["verbs"]}
        for role in blocks()[1]
    }  # fmt: skip


def test_the_settings_of_the_page_are_read() -> None:
    assert read_settings(blocks()[0][0]["kubernetes"]).contexts == ("prod-gpu", "lab")


def test_what_check_asks_for_is_granted() -> None:
    assert {f"{verb} {thing}" for verb, thing in RIGHTS} <= granted()["Role"]


async def test_the_rights_of_the_page_suffice(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    things = ["pods", "pods/exec", "services", "events", "resourcequotas", "nodes", "secrets"]
    things += ["persistentvolumeclaims"]
    verbs = ("create", "get", "list", "patch", "update", "delete")
    everything = {f"{verb} {thing}" for verb in verbs for thing in things}
    given = granted()
    kube.do(lambda: kube.api.denied.update(everything - given["Role"] - given["ClusterRole"]))
    options = {"access_mode": "ReadWriteMany"}
    volume = VolumeWish("data", "k8s-pvc", "test", size_gib=1.0, config=options)
    at = Attachment("/data", volume, (await cloud.create_volume(volume)).id)
    nodes = await cloud.create(await wish(cloud, count=2, ports=("80",), volumes=(at,)))
    await cloud.open_ports([nodes[0].ref], ["81"])
    ready = await cloud.prepare(nodes[0])
    assert (await (await cloud.runner(ready)).run(["true"])).exit_code == 0
    assert await cloud.preemption(ready.ref) is None
    await cloud.quotas("test")
    await cloud.terminate([each.ref for each in nodes])
    await cloud.remove(await cloud.resources())
    assert len(await cloud.volumes()) == 1
    await cloud.delete_volume(volume)
    assert kube.remains() == []


@pytest.mark.parametrize("verb", sorted(f"{verb} {thing}" for verb, thing in RIGHTS))
async def test_a_missing_right_is_named(
    cloud: KubernetesCloud, kube: KubeDouble, verb: str
) -> None:
    kube.do(lambda: kube.api.denied.add(verb))
    with pytest.raises(AuthError, match=f"may not {verb} in default"):
        await cloud.check()
