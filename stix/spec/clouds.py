"""What a task may change in the configuration of each cloud."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, model_validator

from stix.spec import serverkeys
from stix.spec.base import bad
from stix.spec.exact import (
    Either,
    Exact,
    Flag,
    Items,
    Json,
    Kind,
    Map,
    Null,
    Number,
    Text,
    needed,
    plain,
)
from stix.spec.problems import nearest

_STRING = Text()
_FREE = Map()
_TAGS = Map(without=("name", "namespace"), example="{labels: {team: ml}}")
_SECONDS = Number(whole=True, unit="seconds")
_LIST = Items(Text(), "[NAME, NAME]")
_DOCKER = ("ALL", "BUILD")
GIVEN = BeforeValidator(needed("write a map, or remove it"))
"""Marks a part that may be absent but not null."""


class Lenient(Exact):
    """A part that servers may extend by plugins: names unlike any known one pass as they are."""

    model_config = ConfigDict(extra="allow")

    elsewhere: ClassVar[frozenset[str]] = frozenset()
    """Names that are known to the server's configuration, though not for one task."""

    free: ClassVar[bool] = False
    """Whether servers take any further name, even one much like a known one."""

    @model_validator(mode="before")
    @classmethod
    def _misspelt(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.keys() <= cls.model_fields.keys():
            return data
        out: Json = {}
        for key, value in data.items():
            name = key if isinstance(key, str) else str(key)
            if name not in cls.model_fields:
                if name not in cls.elsewhere and not cls.free:
                    cls._not_near(name)
                value = plain(value)
            out[name] = value
        return out

    @classmethod
    def _not_near(cls, name: str) -> None:
        known = [*cls.model_fields, *cls.elsewhere]
        close = nearest(name, known)
        if close is not None and close != name and alike(name, close):
            raise bad(f"unknown field {name!r}", f"did you mean {close!r}?", name)


def alike(one: str, other: str) -> bool:
    """Whether two names differ by so little that one is the other misspelt."""
    from difflib import SequenceMatcher

    return SequenceMatcher(None, one.lower(), other.lower()).ratio() >= 0.8


class Docker(Exact):
    """Options of Docker.

    Attributes:
        run_options: Options of ``docker run``, as text or a list of text.
    """

    run_options: Annotated[
        str | list[str] | None,
        Either(
            ((str, _STRING), (list, Items(Text()))),
            "text or a list",
            'write run_options: ["--shm-size=16g"]',
        ),
    ] = None


class NvidiaGpus(Exact):
    """Settings of GPUs.

    Attributes:
        disable_ecc: Whether error correction of the memory is off, which is faster.
    """

    disable_ecc: Annotated[bool | None, Flag()] = None


class Ssh(Exact):
    """Pools of own machines.

    Attributes:
        custom_metadata: Labels and annotations of pods, without name and namespace.
        pod_config: Fields merged into the definition of each pod.
        provision_timeout: Seconds to wait for nodes; -1 waits for ever.
    """

    custom_metadata: Annotated[Json | None, _TAGS] = None
    pod_config: Annotated[Json | None, _FREE] = None
    provision_timeout: Annotated[int | None, _SECONDS] = None


class Kueue(Exact):
    """The queue of Kueue.

    Attributes:
        local_queue_name: Name of the queue.
        admission_timeout: Seconds to wait for admission; -1 waits for ever.
    """

    local_queue_name: Annotated[str | None, _STRING] = None
    admission_timeout: Annotated[int | None, _SECONDS] = None


class Dws(Exact):
    """Google's Dynamic Workload Scheduler.

    Attributes:
        enabled: Whether nodes come from it.
        max_run_duration: Longest run of a node: minutes, or text such as ``10m``, ``2h``.
    """

    enabled: Annotated[bool | None, Flag()] = None
    max_run_duration: Annotated[
        int | str | None,
        Either(
            (
                (str, Text(pattern="[0-9]+[mhdwMHDW]?", example='"2h"')),
                ((int, float), Number(whole=True, unit="minutes")),
            ),
            "minutes or text",
            'write max_run_duration: "2h"',
        ),
    ] = None


class Quota(Lenient):
    """The queue of a cluster that shares its machines.

    Attributes:
        queue: Name of the queue.
    """

    free = True

    queue: Annotated[str | None, _STRING] = None


class SlurmQuota(Lenient):
    """Whom Slurm charges.

    Attributes:
        queue: Quality of service the job is submitted with.
        account: Account that is charged.
    """

    free = True

    queue: Annotated[str | None, Text(least=1)] = None
    account: Annotated[str | None, Text(least=1)] = None


class _Docker(Kind):
    """Docker inside of pods: a flag, a mode, or a mode with a volume for its cache."""

    def check(self, value: Any, name: str) -> Any:
        if isinstance(value, bool) or value in _DOCKER:
            return value
        known = isinstance(value, dict) and value.keys() <= {"mode", "cache_volume"}
        if known and value.get("mode") in _DOCKER:
            return {k: v if k == "mode" else _STRING.check(v, k) for k, v in value.items()}
        fix = f"write {name}: true, {name}: BUILD, or {{mode: BUILD, cache_volume: NAME}}"
        raise bad(f"{name} must be true, false, ALL, BUILD or a map with mode", fix)

    def schema(self) -> Json:
        mode = {"type": "string", "enum": list(_DOCKER)}
        fields = {"mode": mode, "cache_volume": {"type": "string"}}
        whole = {"type": "object", "properties": fields, "required": ["mode"]}
        return {"anyOf": [{"type": "boolean"}, mode, whole | {"additionalProperties": False}]}


class Kubernetes(Lenient):
    """Kubernetes.

    Attributes:
        custom_metadata: Labels and annotations of objects, without name and namespace.
        pod_config: Fields merged into the definition of each pod.
        provision_timeout: Seconds to wait for pods; -1 waits for ever.
        dws: Google's Dynamic Workload Scheduler.
        kueue: The queue of Kueue.
        quota: The queue to submit to.
        remote_identity: Service account of pods, or a map of context to it.
        enable_docker: Whether Docker works inside of pods, and for what.
        set_pod_resource_limits: Limits of pods: false for none, true for what they ask for, or a
            factor of it from 1.
    """

    elsewhere = serverkeys.KUBERNETES

    custom_metadata: Annotated[Json | None, _TAGS] = None
    pod_config: Annotated[Json | None, _FREE] = None
    provision_timeout: Annotated[int | None, _SECONDS] = None
    dws: Annotated[Dws | None, GIVEN] = None
    kueue: Annotated[Kueue | None, GIVEN] = None
    quota: Annotated[Quota | None, GIVEN] = None
    remote_identity: Annotated[
        str | dict[str, str] | None,
        Either(
            ((str, _STRING), (dict, Map(Text()))),
            "text or a map",
            "write remote_identity: SERVICE_ACCOUNT",
        ),
    ] = None
    enable_docker: Annotated[bool | str | Json | None, _Docker()] = None
    set_pod_resource_limits: Annotated[
        bool | float | None,
        Either(
            ((bool, Flag()), ((int, float), Number(least=1))),
            "true, false or a factor",
            "write set_pod_resource_limits: true, or a factor such as 1.5",
        ),
    ] = None


class Azure(Exact):
    """Azure.

    Attributes:
        remote_identity: Identity of nodes: text, or a list of maps of cluster pattern to it.
        vpc_name: Name of the network; null for the default one.
    """

    null_means = ("vpc_name",)

    remote_identity: Annotated[
        str | list[dict[str, str]] | None,
        Either(
            ((str, Text(least=1)), (list, Items(Map(Text(least=1), size=1)))),
            "text or a list of maps",
            "write remote_identity: SERVICE_ACCOUNT",
        ),
    ] = None
    vpc_name: Annotated[
        str | None,
        Either(((str, _STRING), (type(None), Null())), "text or null", "write vpc_name: NAME"),
    ] = None


class InstanceGroup(Exact):
    """A managed instance group, which waits in Google's queue for nodes.

    Attributes:
        run_duration: Seconds that nodes run.
        provision_timeout: Seconds to wait for nodes.
    """

    run_duration: Annotated[int, _SECONDS]
    provision_timeout: Annotated[int | None, _SECONDS] = None


class Gcp(Exact):
    """Google Cloud.

    Attributes:
        vpc_name: Network, as ``NAME`` or ``PROJECT/NAME``; null for the default one.
        subnet_names: Subnets of the network; null for all.
        managed_instance_group: Wait for nodes in a managed instance group.
        enable_gvnic: Whether nodes use the faster network card.
        enable_gpu_direct: Whether GPUs use the network without the CPU.
        placement_policy: Name of a policy that places nodes near each other.
    """

    null_means = ("vpc_name", "subnet_names")

    vpc_name: Annotated[
        str | None,
        Either(
            (
                (str, Text(pattern="(?:[-a-z0-9]+/)?[-a-z0-9]+", example="project-1/vpc-1")),
                (type(None), Null()),
            ),
            "text or null",
            "write vpc_name: NAME",
        ),
    ] = None
    subnet_names: Annotated[
        str | list[str] | None,
        Either(
            ((str, _STRING), (list, _LIST), (type(None), Null())),
            "text, a list or null",
            "write subnet_names: [NAME, NAME]",
        ),
    ] = None
    managed_instance_group: Annotated[InstanceGroup | None, GIVEN] = None
    enable_gvnic: Annotated[bool | None, Flag()] = None
    enable_gpu_direct: Annotated[bool | None, Flag()] = None
    placement_policy: Annotated[str | None, _STRING] = None


class Vast(Exact):
    """Vast.ai.

    Attributes:
        datacenter_only: Whether only machines in data centers are rented.
        create_instance_kwargs: Further arguments of the call that makes an instance.
    """

    datacenter_only: Annotated[bool | None, Flag()] = None
    create_instance_kwargs: Annotated[Json | None, _FREE] = None


class _Option(Kind):
    """A value of an option of sbatch: one line of text, a number, a flag, or null."""

    def check(self, value: Any, name: str) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            if "\n" in value:
                raise bad(f"{name} must be one line", "write one line of text")
            return value
        return Number().check(value, name)

    def schema(self) -> Json:
        return {"type": ["string", "number", "boolean", "null"]}


class Slurm(Lenient):
    """Slurm.

    Attributes:
        sbatch_options: Options of sbatch: name to text, number, flag or null.
        quota: Whom the job is charged to.
        cpu_partition: Partition of jobs without GPUs.
    """

    elsewhere = serverkeys.SLURM

    sbatch_options: Annotated[Json | None, Map(_Option(), example='{qos: "high"}')] = None
    quota: Annotated[SlurmQuota | None, GIVEN] = None
    cpu_partition: Annotated[str | None, _STRING] = None
