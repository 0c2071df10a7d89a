"""A service: replicas of a task behind a load balancer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from stix.spec import forms, values
from stix.spec.base import bad
from stix.spec.exact import Exact, Flag, Json, Kind, Number, Text
from stix.spec.pool import PoolSpec
from stix.spec.probes import ReadinessProbe, Seconds, probe
from stix.spec.python.objects import Made

__all__ = ["LoadBalancer", "PoolSpec", "ReplicaPolicy", "ServiceSpec", "Tls"]

POLICIES = ("round_robin", "least_load", "instance_aware_least_load")
BY_GPU = "instance_aware_least_load"
_GPU = re.compile(r"[A-Z0-9]+(?::[0-9]+)?\Z")
_QPS = "write queries per second, such as 2.5, or a map such as {A100: 2, H100: 4}"
Replicas = Annotated[int | None, Number(least=0, whole=True, unit="replicas")]


class _Rate(Kind):
    """Queries per second of one replica: a number, or a number per GPU."""

    def check(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            for gpu, rate in value.items():
                self._gpu(gpu, rate)
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            said = f"{name} must be a number or a map, not {values.kind(value)}"
            raise bad(said, _QPS)
        return Number(least=0, unit="queries per second").check(value, name)

    def _gpu(self, gpu: Any, rate: Any) -> None:
        if not isinstance(gpu, str) or not _GPU.match(gpu):
            fix = "write GPU or GPU:COUNT in capital letters and digits, such as A100 or H100:8"
            raise bad(f"{gpu!r} is not a GPU here", fix, str(gpu))
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1e308:
            raise bad(f"the rate of {gpu} must be a number from 0", f"write {gpu}: 2", gpu)

    def schema(self) -> Json:
        rate = {"type": "number", "minimum": 0}
        names = {"pattern": "^[A-Z0-9]+(?::[0-9]+)?$"}
        per_gpu = {"type": "object", "propertyNames": names, "additionalProperties": rate}
        return {"anyOf": [rate, per_gpu]}


class ReplicaPolicy(Exact):
    """How many replicas run, and on what.

    Attributes:
        min_replicas: Least number of replicas.
        max_replicas: Largest number of replicas; None for a fixed number.
        num_overprovision: Replicas on top of those that the load asks for.
        target_qps_per_replica: Queries per second that one replica should get: a number, or a map
            of GPU to number.
        dynamic_ondemand_fallback: Whether on-demand replicas stand in for spot ones that are lost.
        base_ondemand_fallback_replicas: Replicas that always run on demand.
        spot_placer: How spot replicas are spread over places; ``dynamic_fallback``.
        upscale_delay_seconds: Seconds the load must be high before replicas are added.
        downscale_delay_seconds: Seconds the load must be low before replicas are removed.
    """

    rules: ClassVar[tuple[Json, ...]] = (forms.needs(["target_qps_per_replica"], "max_replicas"),)

    min_replicas: Annotated[int, Number(least=0, whole=True, unit="replicas")]
    max_replicas: Replicas = None
    num_overprovision: Replicas = None
    target_qps_per_replica: Annotated[float | dict[str, float] | None, _Rate()] = None
    dynamic_ondemand_fallback: Annotated[bool | None, Flag()] = None
    base_ondemand_fallback_replicas: Replicas = None
    spot_placer: Annotated[str | None, Text(words=("dynamic_fallback",), fold=True)] = None
    upscale_delay_seconds: Seconds = None
    downscale_delay_seconds: Seconds = None

    def agreed(self) -> ReplicaPolicy:
        """Itself; an error if its numbers do not fit each other."""
        least, most = self.min_replicas, self.max_replicas
        if most is not None and most < least:
            said = f"max_replicas {most} is below min_replicas {least}"
            raise bad(said, f"write max_replicas: {least} or more", "max_replicas")
        if self.target_qps_per_replica is not None and most is None:
            fix = "add max_replicas, or remove target_qps_per_replica for a fixed number"
            raise bad("target_qps_per_replica needs max_replicas", fix, "target_qps_per_replica")
        if self.target_qps_per_replica is None and most not in (None, least):
            said = f"replicas between {least} and {most} need a rate to scale by"
            fix = (
                f"add target_qps_per_replica: 1 (queries per second that one replica takes), "
                f"or remove max_replicas and write min_replicas: {max(least, 1)}"
            )
            raise bad(said, fix, "max_replicas")
        return self


class LoadBalancer(Exact):
    """Settings of the load balancer.

    Attributes:
        stream_timeout_seconds: Seconds without data after which a stream is cut; 120 if not given.
    """

    stream_timeout_seconds: Seconds = 120


class Tls(Exact):
    """The certificate that the load balancer shows.

    Attributes:
        keyfile: Local path of the private key.
        certfile: Local path of the certificate.
    """

    keyfile: Annotated[str, Text(example="key.pem")]
    certfile: Annotated[str, Text(example="cert.pem")]


class ServiceSpec(Made, Exact):
    """Replicas of a task that answer requests (SkyPilot's ``service``).

    Attributes:
        readiness_probe: Request that a replica answers once it is ready; a path, or a map.
        replicas: A fixed number of replicas.
        workers: The same as ``replicas``; with ``pool``, its number of workers.
        replica_policy: How many replicas run, where the number changes or spot nodes are used.
        load_balancing_policy: Which replica gets a request.
        load_balancer: Settings of the load balancer.
        ports: Port that the replicas listen on; the one of ``resources`` if not given.
        tls: Certificate of the load balancer.
        pool: A pool of workers instead of replicas.
    """

    blank: ClassVar[frozenset[str]] = frozenset(
        {
            "replicas",
            "workers",
            "replica_policy",
            "load_balancing_policy",
            "load_balancer",
            "ports",
            "tls",
            "pool",
        }
    )

    rules: ClassVar[tuple[Json, ...]] = (
        forms.not_both("replicas", "replica_policy"),
        forms.not_both("replicas", "workers"),
        {
            "if": {
                "required": ["replica_policy"],
                "properties": {
                    "replica_policy": {
                        "type": "object",
                        "required": ["target_qps_per_replica"],
                        "properties": {"target_qps_per_replica": {"type": "object"}},
                    }
                },
            },
            "then": {
                "required": ["load_balancing_policy"],
                "properties": {"load_balancing_policy": {"const": BY_GPU}},
            },
        },
    )

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    readiness_probe: Annotated[
        ReadinessProbe,
        BeforeValidator(probe),
    ] = Field(default_factory=ReadinessProbe)
    replicas: Replicas = None
    workers: Replicas = None
    replica_policy: ReplicaPolicy | None = None
    load_balancing_policy: Annotated[str | None, Text(words=POLICIES)] = None
    load_balancer: LoadBalancer | None = None
    ports: Annotated[int | None, Number(least=1, most=65535, whole=True)] = None
    tls: Tls | None = None
    pool: PoolSpec | None = None

    @field_validator("replica_policy")
    @classmethod
    def _policy(cls, value: ReplicaPolicy | None, info: ValidationInfo) -> ReplicaPolicy | None:
        # A number of workers stands instead of the policy.
        alone = info.data.get("workers") is None
        return value.agreed() if value is not None and alone else value

    @field_validator("pool")
    @classmethod
    def _pool(cls, value: PoolSpec | None, info: ValidationInfo) -> PoolSpec | None:
        return None if value is None else value.agreed(info.data.get("workers"))

    @model_validator(mode="after")
    def _agree(self) -> ServiceSpec:
        one = "keep one of the two"
        if self.replicas is not None and self.replica_policy is not None:
            raise bad("replicas and replica_policy exclude each other", one, "replicas")
        if self.replicas is not None and self.workers is not None:
            raise bad("replicas and workers are the same", one, "workers")
        if self.pool is not None:
            self._only_a_pool()
        else:
            self._rate_and_balancing()
        return self

    def _only_a_pool(self) -> None:
        """Refuse what a pool has no use for."""
        if self.replicas is not None:
            fix = "write workers below pool, and remove replicas"
            raise bad("a pool has workers, not replicas", fix, "replicas")
        for name in ("replica_policy", "load_balancing_policy", "ports", "tls"):
            if getattr(self, name) is not None:
                raise bad(f"a pool has no {name}", f"remove {name}", name)
        asked = self.readiness_probe
        if asked.post_data is not None or asked.headers is not None:
            raise bad(
                "a pool is not asked for readiness", "remove readiness_probe", "readiness_probe"
            )

    def _rate_and_balancing(self) -> None:
        """A rate per GPU and the balancing that knows GPUs need each other."""
        policy = None if self.fixed is not None else self.replica_policy
        per_gpu = policy is not None and isinstance(policy.target_qps_per_replica, dict)
        if per_gpu and self.load_balancing_policy != BY_GPU:
            fix = f"write load_balancing_policy: {BY_GPU}, or one number for all GPUs"
            at = "load_balancing_policy" if self.load_balancing_policy else "replica_policy"
            raise bad("rates per GPU need a load balancer that knows GPUs", fix, at)
        if self.load_balancing_policy == BY_GPU and not per_gpu:
            fix = "write replica_policy.target_qps_per_replica: {A100: 2}, or use least_load"
            raise bad(f"{BY_GPU} needs rates per GPU", fix, "load_balancing_policy")

    @property
    def fixed(self) -> int | None:
        """The fixed number of replicas, where one is given."""
        return self.workers if self.replicas is None else self.replicas


def apart(pool: PoolSpec | None, info: ValidationInfo) -> PoolSpec | None:
    """A stage's pool, which needs a size and excludes a service."""
    if pool is None:
        return None
    if info.data.get("service") is not None:
        raise bad("service and pool exclude each other", "keep one of the two")
    return pool.agreed()


def own_pool(stage: Any) -> PoolSpec | None:
    """The pool of a stage, written as ``pool`` or inside ``service``."""
    pool: PoolSpec | None = stage.pool
    if pool is None and stage.service is not None:
        pool = stage.service.pool
    return pool
