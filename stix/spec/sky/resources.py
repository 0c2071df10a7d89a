"""The canonical form of resources."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from stix.spec.exact import given
from stix.spec.recovery import JobRecovery
from stix.spec.resources import Resources
from stix.spec.sky.config import cluster_overrides
from stix.spec.sky.storage import disks, requires_fuse
from stix.spec.stage import StageSpec
from stix.spec.words import docker, images, instances
from stix.spec.words.alternatives import GKE_TPUS, cloud_of
from stix.spec.words.autostop import Autostop
from stix.spec.words.disks import ATTACH_MODES, DISK_TIERS, STORAGE_TYPES

_OLD_DISK_SIZE = 256
"""SkyPilot takes its former default for a size that nobody asked for."""
_HOOK_TIMEOUT = 3600
_KUBERNETES = ("kubernetes", "ssh")


@dataclass
class _Around:
    """What the rest of a task puts into each of its resources."""

    fuse: bool
    overrides: dict[str, Any]
    login: dict[str, str] | None
    runpod_user: str | None


def resources(stage: StageSpec) -> dict[str, Any]:
    """``resources`` of a task: one map, or ``any_of`` or ``ordered`` with complete maps."""
    base = stage.resources
    around = _Around(
        requires_fuse(stage) if stage.file_mounts else False,
        cluster_overrides(stage),
        docker.login(stage),
        docker.variable(stage, docker.RUNPOD_USER),
    )
    attached = disks(stage) if stage.file_mounts else []
    if not base.model_fields_set and not any(vars(around).values()) and not attached:
        return {}
    choices = base.alternatives()
    labels = _shared_labels(base)
    entries = base.any_of or base.ordered or [base]
    out = []
    for choice, entry in zip(choices, entries, strict=True):
        form = _one(choice, around)
        if labels is not None:
            form["labels"] = labels
        if attached and (entry is base or "volumes" not in entry.model_fields_set):
            form["volumes"] = [_disk(disk) for disk in attached]
        out.append(form)
    if len(out) == 1:
        return out[0]
    return {"ordered" if base.ordered else "any_of": out}


def autostop_hooks(stage: StageSpec) -> list[dict[str, Any]]:
    """Complete hooks that the file wrote as ``autostop.hook``."""
    if not stage.resources.model_fields_set:
        return []
    for choice in stage.resources.alternatives():
        stop = choice.autostop
        if isinstance(stop, Autostop) and stop.hook is not None:
            event = "down" if stop.down else "stop"
            timeout = stop.hook_timeout or _HOOK_TIMEOUT
            return [{"run": stop.hook, "events": [event], "timeout": timeout}]
    return []


def _shared_labels(base: Resources) -> dict[str, str] | None:
    """Labels of all alternatives where there are common ones: in SkyPilot they share one map."""
    if "labels" not in base.model_fields_set or not (base.any_of or base.ordered):
        return None
    out = dict(base.labels)
    for entry in base.any_of or base.ordered:
        out |= entry.labels
    return out


_PLAIN = (
    "instance_type",
    "cpus",
    "use_spot",
    "disk_tier",
    "network_tier",
    "local_disk",
    "max_hourly_cost",
    "priority",
    "priority_class",
)
"""Fields that the canonical form holds as they are."""


def _one(one: Resources, around: _Around) -> dict[str, Any]:
    out: dict[str, Any] = {}
    given = one.model_fields_set
    for name in _PLAIN:
        if name in given and (value := getattr(one, name)) is not None:
            out[name] = value
    place = _placed(one, out)
    if one.memory is not None:
        out["memory"] = one.memory
    elif one.instance_type is not None and place.cloud is not None:
        memory = instances.memory_gib(place.cloud, one.instance_type)
        if memory is not None:
            out["memory"] = str(memory)
    if one.job_recovery is not None and one.job_recovery.strategy != "none":
        out["job_recovery"] = _recovery(one.job_recovery)
    if one.disk_size not in (None, _OLD_DISK_SIZE):
        out["disk_size"] = one.disk_size
    if one.image_id is not None:
        out["image_id"] = _image(one.image_id, place, one.cloud in _KUBERNETES)
    if one.ports:
        out["ports"] = list(one.ports)
    if "labels" in given:
        out["labels"] = dict(one.labels)
    if one.volumes:
        out["volumes"] = [_disk(disk.model_dump(exclude_unset=True)) for disk in one.volumes]
    if one.autostop is not None:
        out["autostop"] = _autostop(one.autostop)
    _internal(one, around, out)
    if around.login is not None and _is_container(out.get("image_id"), place.region):
        out["_docker_login_config"] = around.login
    return out


@dataclass
class _Place:
    cloud: str | None
    region: str | None


def _placed(one: Resources, out: dict[str, Any]) -> _Place:
    """Write ``infra`` and the accelerators, which may choose the cloud."""
    cloud, region, zone = one.cloud, one.region, one.zone
    if one.accelerators or one.accelerator_args is not None:
        cloud = _accelerators(one, cloud, out)
    if cloud == "ssh":
        rest = one.infra.partition("/")[2] if one.infra else ""
        if one.infra is not None:
            out["infra"] = one.infra
        return _Place(cloud, f"ssh-{rest}" if rest else None)
    if region is not None and region.startswith("ssh-"):
        shown: str | None = region.removeprefix("ssh-")
    else:
        shown = region
    parts = [part or "*" for part in (cloud, shown, zone)]
    while parts and parts[-1] == "*":
        parts.pop()
    if parts:
        out["infra"] = "/".join(parts)
    return _Place(cloud, region)


def _accelerators(one: Resources, cloud: str | None, out: dict[str, Any]) -> str | None:
    if one.accelerators:
        out["accelerators"] = {
            name: int(count) if count == int(count) else count
            for name, count in one.accelerators.items()
        }
    args = one.accelerator_args
    given = None if args is None else args.model_dump(exclude_unset=True)
    name = next(iter(one.accelerators), "")
    if "tpu" in name.lower():
        cloud = cloud_of(one)
        given = given or {}
        if cloud == "gcp" and name not in GKE_TPUS:
            given.setdefault("runtime_version", _runtime(name, given.get("tpu_vm", True)))
    if given is not None:
        out["accelerator_args"] = given
    return cloud


def _runtime(name: str, tpu_vm: bool) -> str:
    if not tpu_vm:
        return "2.12.0"
    if name.startswith("tpu-v5"):
        return "v2-alpha-tpuv5"
    return "v2-alpha-tpuv6e" if name.startswith("tpu-v6e") else "tpu-vm-base"


def _recovery(recovery: JobRecovery) -> dict[str, Any]:
    limits = {
        "max_restarts_on_errors": recovery.max_restarts_on_errors,
        "recover_on_exit_codes": recovery.recover_on_exit_codes,
    }
    given = {key: value for key, value in limits.items() if value is not None}
    return {"strategy": recovery.strategy, **given}


def _image(image: str | dict[str, str], place: _Place, containers: bool) -> dict[str, str]:
    given = {images.ANYWHERE: image} if isinstance(image, str) else image
    out = {}
    for region, name in given.items():
        key = (place.region or region) if region == images.ANYWHERE else region
        if containers and region != images.CONTAINER and not name.startswith("docker:"):
            name = f"docker:{name}"
        out[key] = name
    return out


def _is_container(image: dict[str, str] | None, region: str | None) -> bool:
    """Whether SkyPilot would pull this image from a registry."""
    if not image or images.CONTAINER in image:
        return bool(image)
    key, name = next(iter(image.items()))
    here = key == (region or images.ANYWHERE)
    return len(image) == 1 and here and name.startswith("docker:")


def _disk(given: dict[str, Any]) -> dict[str, Any]:
    """A disk with SkyPilot's defaults; it replaces words that it does not know by them."""
    out = dict(given)
    out["storage_type"] = _word(out.get("storage_type"), STORAGE_TYPES, "network")
    out["attach_mode"] = _word(out.get("attach_mode"), ATTACH_MODES, "read_write")
    out.setdefault("auto_delete", False)
    network = out["storage_type"] == "network"
    if not network:
        out.pop("name", None)
    if network or "disk_tier" in out:
        out["disk_tier"] = _word(out.get("disk_tier"), DISK_TIERS, "best")
    return out


def _word(value: Any, known: tuple[str, ...], default: str) -> str:
    return value.lower() if isinstance(value, str) and value.lower() in known else default


def _autostop(stop: Autostop | bool) -> Any:
    if not isinstance(stop, Autostop):
        return False
    wait = {} if stop.wait_for is None else {"wait_for": stop.wait_for}
    return {"idle_minutes": stop.idle_minutes, "down": stop.down, **wait}


def _internal(one: Resources, around: _Around, out: dict[str, Any]) -> None:
    """SkyPilot's own fields."""
    if one.docker_login_config is not None:
        out["_docker_login_config"] = json.loads(one.docker_login_config.get_secret_value())
    user = around.runpod_user or one.docker_username_for_runpod
    if user is not None:
        out["_docker_username_for_runpod"] = user
    own = one.cluster_config_overrides
    if own is not None:
        out["_cluster_config_overrides"] = given(own)
    elif around.overrides:
        out["_cluster_config_overrides"] = around.overrides
    if around.fuse or one.requires_fuse is not None:
        out["_requires_fuse"] = around.fuse or one.requires_fuse
    for name in ("is_image_managed", "no_missing_accel_warnings"):
        if (value := getattr(one, name)) is not None:
            out[f"_{name}"] = value
