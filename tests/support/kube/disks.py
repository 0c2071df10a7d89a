"""Claims of storage: bound when they are made, kept while a pod has them, gone with their data."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.kube.store import Change, Object, Refusal, Store, now

CLAIMS = "persistentvolumeclaims"
MODES = {"ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"}
CLASSES = {"standard", "shared"}
_ENDED = ("Succeeded", "Failed")


class Disks:
    """What a provisioner and the controllers of claims do. Data lies in folders of this machine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folders: dict[str, Path] = {}

    def admit(self, body: Object) -> None:
        """Checks a claim, and binds it.

        Raises:
            Refusal: 422 where it is not valid.
        """
        spec, name = body.get("spec", {}), body.get("metadata", {}).get("name", "")
        modes = spec.get("accessModes") or []
        size = spec.get("resources", {}).get("requests", {}).get("storage")
        if not modes or not set(modes) <= MODES or not size:
            words = f'PersistentVolumeClaim "{name}" is invalid: spec: Invalid value'
            raise Refusal(422, "Invalid", words, name=name, kind="PersistentVolumeClaim")
        spec.setdefault("storageClassName", "standard")
        bound = spec["storageClassName"] in CLASSES
        body["status"] = {"phase": "Bound" if bound else "Pending"}
        body["metadata"]["finalizers"] = ["kubernetes.io/pvc-protection"]

    def changed(self, change: Change) -> None:
        """Follows the pods and claims of the store."""
        if change.plural == "pods" and change.type == "ADDED":
            self._make_new(change.object)
        if change.plural == "pods":
            self._release(change.object["metadata"]["namespace"])
        if change.plural == CLAIMS and change.type == "DELETED":
            folder = self._folders.pop(change.object["metadata"]["uid"], None)
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def delete(self, claim: Object) -> None:
        """``DELETE`` of a claim: once no pod has it."""
        meta = claim["metadata"]
        if self._held(meta["namespace"], meta["name"]):
            meta.setdefault("deletionTimestamp", now())
            self._store.touch(CLAIMS, claim)
        else:
            self._store.remove(CLAIMS, claim)

    def lacking(self, pod: Object) -> str:
        """The scheduler's words where a claim is missing, not bound, or held elsewhere."""
        space = pod["metadata"]["namespace"]
        for name in _claims(pod).values():
            claim = self._store.objects.get((CLAIMS, space, name))
            if claim is None or claim["metadata"].get("deletionTimestamp"):
                return f'persistentvolumeclaim "{name}" not found'
            if claim["status"]["phase"] != "Bound":
                return "pod has unbound immediate PersistentVolumeClaims"
        return ""

    def folders(self, pod: Object) -> dict[str, str]:
        """Path in the container to the folder of this machine, for what is on claims."""
        space, claims, found = pod["metadata"]["namespace"], _claims(pod), {}
        for mount in pod["spec"]["containers"][0].get("volumeMounts", ()):
            if mount["name"] not in claims:
                continue
            claim = self._store.objects[CLAIMS, space, claims[mount["name"]]]
            folder = self._folder(claim) / mount.get("subPath", "")
            folder.mkdir(mode=0o777, parents=True, exist_ok=True)
            folder.chmod(0o2777)
            found[mount["mountPath"]] = str(folder)
        return found

    def close(self) -> None:
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.clear()

    def _folder(self, claim: Object) -> Path:
        uid = claim["metadata"]["uid"]
        if uid not in self._folders:
            folder = Path(tempfile.mkdtemp(prefix="stix-claim-"))
            folder.chmod(0o2777)
            self._folders[uid] = folder
        return self._folders[uid]

    def _make_new(self, pod: Object) -> None:
        meta = pod["metadata"]
        for volume in pod["spec"].get("volumes", ()):
            template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
            if template is None:
                continue
            owner = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
            named = {"name": f"{meta['name']}-{volume['name']}", "ownerReferences": [owner]}
            body = {"metadata": {**template.get("metadata", {}), **named}, "spec": template["spec"]}
            self.admit(body)
            self._store.add(CLAIMS, meta["namespace"], body)

    def _release(self, space: str) -> None:
        for (plural, namespace, name), claim in list(self._store.objects.items()):
            here = plural == CLAIMS and namespace == space
            if not here or "deletionTimestamp" not in claim["metadata"]:
                continue
            if not self._held(space, name):
                self._store.remove(CLAIMS, claim)

    def _held(self, space: str, name: str) -> bool:
        return any(
            name in _claims(pod).values() and pod["status"].get("phase") not in _ENDED
            for (plural, namespace, _), pod in self._store.objects.items()
            if plural == "pods" and namespace == space
        )


def _claims(pod: Mapping[str, Any]) -> dict[str, str]:
    """Name in the pod to the name of the claim."""
    found, own = {}, pod["metadata"]["name"]
    for volume in pod["spec"].get("volumes", ()):
        if "persistentVolumeClaim" in volume:
            found[volume["name"]] = volume["persistentVolumeClaim"]["claimName"]
        elif "ephemeral" in volume:
            found[volume["name"]] = f"{own}-{volume['name']}"
    return found
