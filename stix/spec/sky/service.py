"""The canonical form of service."""

from __future__ import annotations

from typing import Any

from stix.spec.exact import given
from stix.spec.pool import PoolSpec
from stix.spec.probes import ReadinessProbe
from stix.spec.service import ServiceSpec
from stix.spec.stage import StageSpec


def service(stage: StageSpec) -> dict[str, Any] | None:
    """``service`` of a task (a pool lies in it); None where it has neither."""
    own = stage.service
    if own is None:
        return None if stage.pool is None else {"pool": _pool(stage.pool, None)}
    if own.pool is not None:
        return {"pool": _pool(own.pool, own.workers)}
    return _replicas(own)


def _pool(pool: PoolSpec, workers: int | None) -> dict[str, Any]:
    out = given(pool)
    if pool.max_workers is None:
        out["workers"] = pool.least(workers)
    else:
        out.setdefault("queue_length_threshold", 1)
        out["min_workers"] = pool.least(workers)
    return out


def _replicas(own: ServiceSpec) -> dict[str, Any]:
    if own.replica_policy is None or own.fixed is not None:
        policy = {"min_replicas": 1 if own.fixed is None else own.fixed}
    else:
        policy = given(own.replica_policy)
    out: dict[str, Any] = {"readiness_probe": _probe(own.readiness_probe), "replica_policy": policy}
    if own.load_balancer is not None and own.load_balancer.stream_timeout_seconds != 120:
        out["load_balancer"] = {"stream_timeout_seconds": own.load_balancer.stream_timeout_seconds}
    if own.load_balancing_policy is not None:
        out["load_balancing_policy"] = own.load_balancing_policy
    if own.ports is not None:
        out["ports"] = own.ports
    if own.tls is not None:
        out["tls"] = {"keyfile": own.tls.keyfile, "certfile": own.tls.certfile}
    return out


def _probe(probe: ReadinessProbe) -> dict[str, Any]:
    """With SkyPilot's defaults filled in, save those that older controllers do not know."""
    out = {
        "path": probe.path,
        "initial_delay_seconds": probe.initial_delay_seconds,
        "post_data": probe.post_data,
        "timeout_seconds": probe.timeout_seconds,
        "consecutive_failure_threshold_timeout": probe.consecutive_failure_threshold_timeout,
        "headers": probe.headers,
    }
    if probe.endpoint_probe_interval_seconds != 10:
        out["endpoint_probe_interval_seconds"] = probe.endpoint_probe_interval_seconds
    return {key: value for key, value in out.items() if value is not None}
