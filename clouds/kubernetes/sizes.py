"""What the nodes of a cluster offer, by their labels and what is free on them; pure.

Label families: GPU feature discovery (NVIDIA), GKE, Karpenter, CoreWeave, SkyPilot's; for spot
those of GKE, EKS, Karpenter and AKS.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stix.clouds.hosts import HostFacts, canonical_accelerator
from stix.clouds.kubernetes.settings import Settings
from stix.plan.offers import Offer

GIB = float(1 << 30)
HOME_LABEL = "stix-home"
ARCH_LABEL = "kubernetes.io/arch"
ZONE_LABEL = "topology.kubernetes.io/zone"
ARCHES = {"amd64": "x86_64", "arm64": "arm64"}
RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "google.com/tpu", "habana.ai/gaudi")
GPU_LABELS = (
    "skypilot.co/accelerator",
    "nvidia.com/gpu.product",
    "cloud.google.com/gke-accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "gpu.nvidia.com/class",
    "amd.com/gpu.product-name",
    "cloud.google.com/gke-tpu-accelerator",
)
SPOT_LABELS = {
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
BARE = {"amd.com/gpu": "AMD-GPU", "google.com/tpu": "TPU", "habana.ai/gaudi": "Gaudi"}
# Names of clouds that the product's own name does not contain.
_NAMES = (
    (r"a100.*80\s?gb", "A100-80GB"),
    (r"v100.*32\s?gb", "V100-32GB"),
    (r"(?:^|[-_ ])rtx[-_ ]?(\d{4})[-_ ]ada", r"RTX\1-Ada"),
    (r"(?:^|[-_ ])rtx[-_ ]?(a\d{4})(?:$|[-_ ])", r"\1"),
    (r"(?:^|[-_ ])rtx[-_ ]?(\d{4})(?:$|[-_ ])", r"RTX\1"),
    (r"(?:^|[-_ ])(gb\d00|gh200|[abhlptvk]\d{1,3}[a-z]?)(?:$|[-_ ])", r"\1"),
)
_SUFFIXES = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
}  # fmt: skip
Object = Mapping[str, Any]


def quantity(text: Any) -> float:
    """A Kubernetes quantity: ``500m`` is 0.5, ``1Gi`` is 2**30. What is none is 0."""
    found = re.fullmatch(r"([0-9.]+(?:[eE][+-]?\d+)?)([A-Za-z]{0,2})", str(text))
    if not found or found[2] not in _SUFFIXES:
        return 0.0
    return float(found[1]) * _SUFFIXES[found[2]]


def accelerator_name(label: str) -> str:
    """SkyPilot's name of a label's value: ``nvidia-tesla-t4`` and ``Tesla-T4`` are ``T4``."""
    if label.lower().startswith("tpu"):
        return label
    for pattern, short in _NAMES:
        found = re.search(pattern, label.lower())
        if found:
            return found.expand(short).upper().replace("ADA", "Ada")
    return canonical_accelerator(label.replace("-", " "))


def is_spot(labels: Mapping[str, str]) -> bool:
    return any(labels.get(key) == value for key, value in SPOT_LABELS.items())


@dataclass(frozen=True)
class KubeNode:
    """One node: what pods that are not ours leave of it, and what its labels say."""

    name: str
    labels: Mapping[str, str]
    whole: HostFacts
    free: HostFacts
    taints: Sequence[Mapping[str, str]] = ()
    resource: str = ""

    @property
    def spot(self) -> bool:
        return is_spot(self.labels)

    @property
    def arch(self) -> str:
        return ARCHES.get(self.labels.get(ARCH_LABEL, ""), "")

    def gpu_label(self) -> tuple[str, str]:
        """Key and value of the label that names its accelerators; empty where none does."""
        for key in GPU_LABELS:
            if self.labels.get(key):
                return key, self.labels[key]
        return "", ""


@dataclass(frozen=True)
class Survey:
    """What was seen of a cluster."""

    nodes: Sequence[KubeNode] = field(default_factory=tuple)

    def labels_of(self, accelerator: str) -> dict[str, list[str]]:
        """Label keys and values by which nodes with an accelerator are found."""
        found: dict[str, list[str]] = {}
        for node in self.nodes:
            key, value = node.gpu_label()
            if key and accelerator in node.whole.accelerators:
                values = found.setdefault(key, [])
                if value not in values:
                    values.append(value)
        return found

    def resource_of(self, accelerator: str) -> str:
        """The key to request an accelerator by."""
        for node in self.nodes:
            if accelerator in node.whole.accelerators:
                return node.resource
        for key, name in BARE.items():
            if accelerator == name:
                return key
        return RESOURCES[2] if accelerator.lower().startswith("tpu") else RESOURCES[0]

    def spot_labels(self) -> dict[str, str]:
        """Those that nodes carry, or all where no spot node is there."""
        seen = {
            key: value
            for key, value in SPOT_LABELS.items()
            if any(node.labels.get(key) == value for node in self.nodes)
        }
        return seen or SPOT_LABELS


def survey(nodes: Iterable[Object], pods: Iterable[Object], home: str) -> Survey:
    """From the listings of nodes and of pods; pods of ``home`` count as room."""
    taken: dict[str, Counter[str]] = {}
    for pod in pods:
        where = pod["spec"].get("nodeName")
        ours = (pod["metadata"].get("labels") or {}).get(HOME_LABEL) == home
        if where and not ours and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            taken.setdefault(where, Counter()).update(_requests(pod))
    seen = (_node(node, taken.get(node["metadata"]["name"], Counter())) for node in nodes)
    return Survey(tuple(node for node in seen if node is not None))


def _requests(pod: Object) -> dict[str, float]:
    total: Counter[str] = Counter()
    for container in pod["spec"].get("containers", ()):
        named = container.get("resources") or {}
        both = {**(named.get("limits") or {}), **(named.get("requests") or {})}
        total.update({key: quantity(value) for key, value in both.items()})
    return dict(total)


def _node(node: Object, taken: Mapping[str, float]) -> KubeNode | None:
    if (node.get("spec") or {}).get("unschedulable") or not _ready(node):
        return None
    labels = node["metadata"].get("labels") or {}
    has = {k: quantity(v) for k, v in (node["status"].get("allocatable") or {}).items()}
    resource = next((key for key in RESOURCES if has.get(key, 0) > 0), "")
    bare = KubeNode("", labels, HostFacts(0, 0), HostFacts(0, 0))
    value = bare.gpu_label()[1]
    name = accelerator_name(value) if value else BARE.get(resource, "GPU")

    def facts(left: Mapping[str, float]) -> HostFacts:
        count = max(0.0, left.get(resource, 0.0)) if resource else 0.0
        cpus = max(0.0, round(left.get("cpu", 0.0), 3))
        return HostFacts(cpus, max(0.0, round(left.get("memory", 0.0) / GIB, 2)),
                         {name: count} if count else {})  # fmt: skip

    free = {key: value - taken.get(key, 0.0) for key, value in has.items()}
    taints = tuple((node.get("spec") or {}).get("taints") or ())
    return KubeNode(node["metadata"]["name"], labels, facts(has), facts(free), taints, resource)


def takes_us(node: KubeNode, settings: Settings) -> bool:
    """Whether pods of ours tolerate its taints; those of control planes, say, none does."""
    own = [{"key": key, "operator": "Exists"} for key in (*SPOT_LABELS, *RESOURCES, ARCH_LABEL)]
    known: list[Object] = [*own, *settings.tolerations]
    hard = [taint for taint in node.taints if taint.get("effect") != "PreferNoSchedule"]
    return all(any(_tolerates(each, taint) for each in known) for taint in hard)


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    pair = toleration.get("key"), toleration.get("value") or ""
    return pair == (taint["key"], taint.get("value") or "")


def _ready(node: Object) -> bool:
    conditions = {c["type"]: c["status"] for c in node.get("status", {}).get("conditions") or ()}
    return bool(conditions.get("Ready", "True") == "True")


def offers_of(context: str, seen: Survey, settings: Settings) -> list[Offer]:
    """One offer for each size of node: nodes that share it, as empty as ours leave them."""
    groups: dict[tuple[str, str, bool], list[KubeNode]] = {}
    for node in seen.nodes:
        if not takes_us(node, settings):
            continue
        groups.setdefault((node.whole.size(), node.arch, node.spot), []).append(node)
    offers = []
    names: set[tuple[str, bool]] = set()
    for (size, arch, spot), members in groups.items():
        best = max((node.free for node in members), key=_room)
        if best.cpus <= 0 or best.memory_gib <= 0:
            continue
        name = f"{size}-{arch}" if (size, spot) in names else size
        names.add((size, spot))
        offers.append(
            Offer(
                cloud="kubernetes",
                region=context,
                zone=None,
                instance_type=name,
                cpus=best.cpus,
                memory_gib=best.memory_gib,
                accelerators=dict(best.accelerators),
                price=settings.price_of(name, best.accelerators),
                spot=spot,
                capacity=sum(node.free.cpus > 0 for node in members),
                shared=True,
                arch=arch,
            )
        )
    return offers + [_wished(context, size, settings) for size in settings.sizes]


def _wished(context: str, size: Any, settings: Settings) -> Offer:
    return Offer(
        cloud="kubernetes",
        region=context,
        zone=None,
        instance_type=size.name,
        cpus=size.cpus,
        memory_gib=size.memory,
        accelerators=dict(size.accelerators),
        price=settings.price_of(size.name, size.accelerators),
        spot=size.spot,
        shared=True,
        arch=size.arch,
    )


def _room(facts: HostFacts) -> tuple[float, float, float]:
    return sum(facts.accelerators.values()), facts.cpus, facts.memory_gib
