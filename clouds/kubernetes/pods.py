"""From a wish to pods and services; pure. Fields: ``k8s.io/api/core/v1``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from stix.clouds.base import CreateRequest
from stix.clouds.errors import InvalidRequest
from stix.clouds.kubernetes.api import CONTAINER, Object
from stix.clouds.kubernetes.claimspec import mounts_of, volumes_of
from stix.clouds.kubernetes.settings import Settings
from stix.clouds.kubernetes.sizes import (
    ARCH_LABEL,
    ARCHES,
    GIB,
    HOME_LABEL,
    ZONE_LABEL,
    Survey,
)

WISH_LABEL, RANK_LABEL, MANAGED_LABEL = "stix-wish", "stix-rank", "app.kubernetes.io/managed-by"
TAGS, ASKED = "stix/tags", "stix/asked"  # annotations
BASE = "/stix"
PORTS_MAX = 100
# Process 1 takes in processes that lost their parent. When it is told to end it tells the jobs, and
# waits for them as long as the cluster's grace lasts: a checkpoint may be written in it.
KEEP = r"""
jobs() {
  for f in /proc/[0-9]*/environ; do
    tr '\0' '\n' 2>/dev/null <"$f" | grep -q '^STIX_JOB_ID=' || continue
    f=${f#/proc/}; echo "${f%/environ}"
  done 2>/dev/null
}
end() {
  trap '' TERM INT
  kill -TERM $(jobs) 2>/dev/null
  while [ -n "$(jobs)" ]; do sleep 0.2 || sleep 1; done
  exit 0
}
trap end TERM INT
while :; do sleep 86400 & wait "$!"; done
"""


def wish_of(home: str, token: str) -> str:
    """A name for a wish, the same for all who know home and token; 16 hexadecimal digits."""
    return hashlib.sha256(f"{home}\0{token}".encode()).hexdigest()[:16]


def label_value(text: str) -> str:
    """``text`` as a label's value: itself where it is one, else its start and a hash of it."""
    if re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", text):
        return text
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:46].strip("-_.")
    tail = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{plain}-{tail}" if plain else tail


@dataclass(frozen=True)
class Wish:
    """A request with what the cluster and the settings add to it."""

    request: CreateRequest
    home: str
    namespace: str
    settings: Settings
    seen: Survey

    @property
    def id(self) -> str:
        return wish_of(self.home, self.request.token)

    @property
    def service(self) -> str:
        return f"stix-{self.id}"

    def pod_name(self, rank: int) -> str:
        return f"stix-{self.id}-{rank}"

    def labels(self) -> dict[str, str]:
        """By which all pods and services of the wish are found; and for people, run and stage."""
        tags = self.request.tags
        shown = {key: label_value(tags[key]) for key in ("stix-run", "stix-stage") if key in tags}
        return {
            **shown,
            MANAGED_LABEL: "stix",
            HOME_LABEL: label_value(self.home),
            WISH_LABEL: self.id,
        }

    def meta(self, name: str, **labels: str) -> Object:
        return {
            "name": name,
            "namespace": self.namespace,
            "labels": {**self.labels(), **labels},
            "annotations": {TAGS: json.dumps(dict(self.request.tags), ensure_ascii=False)},
        }


def pod(wish: Wish, rank: int) -> Object:
    """The pod of one node; fit for namespaces that enforce the ``restricted`` standard."""
    settings, demand = wish.settings, wish.request.demand
    meta = wish.meta(wish.pod_name(rank), **{RANK_LABEL: str(rank)})
    asked = {"accelerators": dict(demand.accelerators), "spot": wish.request.offer.spot}
    meta["annotations"][ASKED] = json.dumps(asked)
    spec: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 30,
        "automountServiceAccountToken": bool(settings.service_account),
        "enableServiceLinks": False,
        "hostname": wish.pod_name(rank),
        "subdomain": wish.service,
        "securityContext": _pod_security(settings),
        "containers": [_container(wish)],
        "volumes": [
            {"name": "stix", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            *volumes_of(wish.request.volumes, wish.labels()),
        ],
        "affinity": {"nodeAffinity": _affinity(wish)},
        "tolerations": _tolerations(wish),
    }
    if settings.priority_class:
        spec["priorityClassName"] = settings.priority_class
    if settings.service_account:
        spec["serviceAccountName"] = settings.service_account
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _pod_security(settings: Settings) -> Object:
    user = settings.run_as_user
    made: Object = {"runAsUser": user, "runAsGroup": user, "fsGroup": user}
    return {**made, "runAsNonRoot": user != 0, "seccompProfile": {"type": "RuntimeDefault"}}


def _container(wish: Wish) -> Object:
    request, settings = wish.request, wish.settings
    requests, limits = _resources(wish)
    security: Object = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": settings.read_only_root,
    }
    if settings.run_as_user != 0:
        security["capabilities"] = {"drop": ["ALL"]}
    return {
        "name": CONTAINER,
        "image": request.image or settings.image,
        "command": ["sh", "-c", KEEP],
        "env": [{"name": "HOME", "value": BASE}],
        "resources": {"requests": requests, "limits": limits},
        "volumeMounts": [
            {"name": "stix", "mountPath": BASE},
            {"name": "tmp", "mountPath": "/tmp"},
            *mounts_of(request.volumes, BASE),
        ],
        "securityContext": security,
    }


def _resources(wish: Wish) -> tuple[Object, Object]:
    """CPU is requested and may be exceeded; memory is both, so that one pod harms no other."""
    demand = wish.request.demand
    requests: Object = {}
    limits: Object = {}
    if demand.cpus:
        requests["cpu"] = f"{round(demand.cpus * 1000)}m"
    if demand.memory_gib:
        requests["memory"] = limits["memory"] = str(round(demand.memory_gib * GIB))
    if wish.request.disk_gib:
        requests["ephemeral-storage"] = f"{wish.request.disk_gib}Gi"
    for name, count in demand.accelerators.items():
        if count != int(count):
            raise InvalidRequest(
                f"kubernetes: {count:g} of {name}: pods take whole accelerators",
                fix=f"ask for `{name}: 1`",
            )
        key = wish.seen.resource_of(name)
        requests[key] = limits[key] = str(int(count))
    return requests, limits


def _affinity(wish: Wish) -> Object:
    """Where the pod may go: the architecture, the accelerators by any label family that names
    them here, spot or not spot, and what the settings say."""
    offer, settings = wish.request.offer, wish.settings
    always = [_rule(key, [value]) for key, value in settings.node_selector.items()]
    if offer.zone:
        always.append(_rule(ZONE_LABEL, [offer.zone]))
    words = [word for word, arch in ARCHES.items() if arch == offer.arch]
    if words:
        always.append(_rule(ARCH_LABEL, words))
    for size in settings.sizes:
        if size.name == offer.instance_type:
            always += [_rule(key, [value]) for key, value in size.selector.items()]
    families: dict[str, list[str]] = {}
    for name in wish.request.demand.accelerators:
        families.update(wish.seen.labels_of(name))
    ways = [[_rule(key, values)] for key, values in families.items()] or [[]]
    spots = wish.seen.spot_labels()
    if offer.spot:
        ways = [[*way, _rule(key, [value])] for way in ways for key, value in spots.items()]
    else:
        always += [_rule(key, [value], "NotIn") for key, value in spots.items()]
    terms = [{"matchExpressions": [*always, *way]} for way in ways]
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}


def _rule(key: str, values: Sequence[str], operator: str = "In") -> Object:
    return {"key": key, "operator": operator, "values": [*values]}


def _tolerations(wish: Wish) -> list[Object]:
    made = [dict(each) for each in wish.settings.tolerations]
    if wish.request.offer.spot:
        for key, value in wish.seen.spot_labels().items():
            made.append({"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"})
    if wish.request.offer.arch:
        made.append({"key": ARCH_LABEL, "operator": "Exists", "effect": "NoSchedule"})
    for key in {wish.seen.resource_of(name) for name in wish.request.demand.accelerators}:
        made.append({"key": key, "operator": "Exists", "effect": "NoSchedule"})
    return made


def peers_service(wish: Wish, owners: Sequence[Object]) -> Object:
    """A headless Service: each node of the wish has a name, ``<pod>.<service>``, from the start.

    It belongs to the pods, so that the cluster removes it with the last of them.
    """
    return _service(
        wish,
        wish.service,
        owners,
        {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {HOME_LABEL: label_value(wish.home), WISH_LABEL: wish.id},
        },
    )


def _service(wish: Wish, name: str, owners: Sequence[Object], spec: Object) -> Object:
    meta = {**wish.meta(name), "ownerReferences": [_owner(each) for each in owners]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def ports_service(made: Object, ports: Sequence[int], kind: str) -> Object:
    """The Service that opens ports of one pod, and belongs to it."""
    old = made["metadata"]
    keys = (HOME_LABEL, WISH_LABEL, RANK_LABEL)
    selector = {key: old["labels"][key] for key in keys}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{old['name']}-ports",
            "namespace": old["namespace"],
            "labels": dict(old["labels"]),
            "annotations": {TAGS: old["annotations"][TAGS]},
            "ownerReferences": [_owner(made)],
        },
        "spec": {"type": kind, "selector": selector, "ports": port_list(ports)},
    }


def port_list(ports: Sequence[int]) -> list[Object]:
    return [{"name": f"p{port}", "port": port, "targetPort": port} for port in sorted(set(ports))]


def _owner(made: Object) -> Object:
    meta = made["metadata"]
    return {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}


def numbers(ports: Sequence[str]) -> list[int]:
    """The ports of ``8080`` and ``10000-10010``.

    Raises:
        InvalidRequest: no such ports, or more than a Service should have.
    """
    found: list[int] = []
    for text in ports:
        parts = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
        span = range(int(parts[1]), int(parts[2] or parts[1]) + 1) if parts else range(0)
        if not span:
            raise InvalidRequest(f"kubernetes: {text!r} is no port", fix="write `8080` or `80-90`")
        found += span
    if len(set(found)) > PORTS_MAX or any(not 0 < port < 65536 for port in found):
        raise InvalidRequest(
            f"kubernetes: {', '.join(ports)}: a Service takes {PORTS_MAX} ports from 1 to 65535",
            fix="name fewer ports",
        )
    return found
