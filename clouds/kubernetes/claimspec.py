"""From volumes to claims and to what a pod says of them; pure. Fields: ``k8s.io/api/core/v1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stix.clouds.kubernetes.api import Object
from stix.clouds.volumes import Attachment, VolumeKind, VolumeWish

TYPE = "k8s-pvc"
MODE, CLASS = "access_mode", "storage_class_name"
ALONE, MANY = ("ReadWriteOnce", "ReadWriteOncePod"), ("ReadWriteMany", "ReadOnlyMany")
KIND = VolumeKind(
    "a claim of Kubernetes",
    reach="region",
    new=True,
    sub_path=True,
    shared=False,
    shared_by=(MODE, *MANY),
    config={CLASS: (), MODE: (*ALONE, *MANY)},
)


def claim_spec(wish: VolumeWish) -> Object:
    """The ``spec`` of a PersistentVolumeClaim."""
    size = wish.size_gib or KIND.least_gib
    spec: Object = {
        "accessModes": [wish.config.get(MODE, ALONE[0])],
        "resources": {"requests": {"storage": f"{round(size * 1024)}Mi"}},
    }
    if wish.config.get(CLASS):
        spec["storageClassName"] = str(wish.config[CLASS])
    return spec


def volumes_of(wanted: Sequence[Attachment], labels: Mapping[str, str]) -> list[Object]:
    """The entries of ``spec.volumes`` of a pod. A new one belongs to the pod, and the cluster
    removes it with the pod: nothing of ours has to."""
    found: dict[str, Object] = {}
    for each in wanted:
        name = name_in_pod(wanted, each)
        if each.id:
            claim = each.id.rpartition("/")[2]
            found[name] = {"name": name, "persistentVolumeClaim": {"claimName": claim}}
        else:
            meta = {"labels": {**each.wish.labels, **labels}}
            template = {"metadata": meta, "spec": claim_spec(each.wish)}
            found[name] = {"name": name, "ephemeral": {"volumeClaimTemplate": template}}
    return [*found.values()]


def mounts_of(wanted: Sequence[Attachment], home: str) -> list[Object]:
    """The entries of ``volumeMounts`` of its container."""
    out = []
    for each in wanted:
        mount = {"name": name_in_pod(wanted, each), "mountPath": each.at(home)}
        out.append({**mount, **({"subPath": each.sub_path} if each.sub_path else {})})
    return out


def name_in_pod(wanted: Sequence[Attachment], one: Attachment) -> str:
    """A pod names each claim once, at however many paths it is."""
    ids = [each.id or each.path for each in wanted]
    return f"volume-{ids.index(one.id or one.path)}"


def claims_in(pod: Mapping[str, Any]) -> set[str]:
    """Names of the claims that a pod holds while it is there."""
    meta, found = pod["metadata"], set()
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            found.add(str(volume["persistentVolumeClaim"]["claimName"]))
        elif "ephemeral" in volume:
            found.add(f"{meta['name']}-{volume['name']}")
    return found


def gib_in(claim: Mapping[str, Any]) -> float | None:
    """The size that a claim asks for, where it is in ``Mi`` or ``Gi``."""
    text = str((claim["spec"].get("resources") or {}).get("requests", {}).get("storage", ""))
    number, unit = text[:-2], text[-2:]
    if not number.isdigit() or unit not in ("Mi", "Gi"):
        return None
    return int(number) / (1024 if unit == "Mi" else 1)
