"""SkyPilot's form of services and pools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stix.spec.sky import canonical

PROBE = {"path": "/", "initial_delay_seconds": 1200, "timeout_seconds": 15}
RATE = {"min_replicas": 1, "max_replicas": 3, "target_qps_per_replica": 2.5}


def form(task: dict[str, Any]) -> dict[str, Any]:
    """The service of a task's form, which is the same of the form itself."""
    (once,) = canonical(json.dumps(task))
    assert canonical(json.dumps(once)) == [once]
    service: dict[str, Any] = once["service"]
    return service


@pytest.mark.parametrize(
    ("service", "wanted"),
    [
        ({}, {}),
        ({"replicas": 3}, {"replica_policy": {"min_replicas": 3}}),
        ({"workers": 3}, {"replica_policy": {"min_replicas": 3}}),
        ({"workers": 3, "replica_policy": RATE}, {"replica_policy": {"min_replicas": 3}}),
        ({"replica_policy": RATE}, {"replica_policy": RATE}),
        (
            {"readiness_probe": {"path": "/v", "post_data": '{"a": 1}', "timeout_seconds": 2.5}},
            {"readiness_probe": PROBE | {"path": "/v", "post_data": {"a": 1}}
             | {"timeout_seconds": 2.5}},
        ),
        (
            {"readiness_probe": {"path": "/", "endpoint_probe_interval_seconds": 10}},
            {"readiness_probe": PROBE},
        ),
        (
            {"readiness_probe": {"path": "/", "endpoint_probe_interval_seconds": 5,
                                 "consecutive_failure_threshold_timeout": 180}},
            {"readiness_probe": PROBE | {"endpoint_probe_interval_seconds": 5,
                                         "consecutive_failure_threshold_timeout": 180}},
        ),
        ({"load_balancer": {"stream_timeout_seconds": 120}}, {}),
        ({"load_balancer": {}}, {}),
        (
            {"load_balancer": {"stream_timeout_seconds": 60}},
            {"load_balancer": {"stream_timeout_seconds": 60}},
        ),
        (
            {"ports": 80, "load_balancing_policy": "round_robin", "tls": None},
            {"ports": 80, "load_balancing_policy": "round_robin"},
        ),
        (
            {"tls": {"keyfile": "k", "certfile": "c"}},
            {"tls": {"keyfile": "k", "certfile": "c"}},
        ),
    ],
)  # fmt: skip
def test_service(service: dict[str, Any], wanted: dict[str, Any]) -> None:
    whole = {"readiness_probe": PROBE, "replica_policy": {"min_replicas": 1}, **wanted}
    assert form({"run": "x", "service": service}) == whole


@pytest.mark.parametrize(
    ("pool", "wanted"),
    [
        ({"workers": 2}, {"workers": 2}),
        ({"max_workers": 5}, {"max_workers": 5, "min_workers": 1, "queue_length_threshold": 1}),
        (
            {"workers": 2, "max_workers": 5, "queue_length_threshold": 3},
            {"workers": 2, "max_workers": 5, "min_workers": 2, "queue_length_threshold": 3},
        ),
        (
            {"min_workers": 0, "max_workers": 5, "upscale_delay_seconds": 2.5},
            {"min_workers": 0, "max_workers": 5, "upscale_delay_seconds": 2.5,
             "queue_length_threshold": 1},
        ),
    ],
)  # fmt: skip
def test_pool(pool: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert form({"run": "x", "pool": pool}) == {"pool": wanted}
    assert form({"run": "x", "service": {"pool": pool}}) == {"pool": wanted}


def test_workers_beside_a_pool_are_its_workers() -> None:
    assert form({"service": {"workers": 3, "pool": {"workers": 2}}}) == {"pool": {"workers": 3}}


def test_what_a_pool_has_no_use_for_is_dropped() -> None:
    service = {"pool": {"workers": 2}, "readiness_probe": "/x", "load_balancer": {}}
    assert form({"service": service}) == {"pool": {"workers": 2}}


def test_variables_are_replaced_in_a_service() -> None:
    probe = {"path": "/$M", "headers": {"T": "Bearer ${T}"}, "post_data": {"model": "$M"}}
    task = {"envs": {"M": 'a"b'}, "secrets": {"T": "t"}, "service": {"readiness_probe": probe}}
    asked = form(task)["readiness_probe"]
    assert asked["path"] == '/a"b'
    assert asked["post_data"] == {"model": 'a"b'}
    assert asked["headers"] == {"T": "Bearer t"}
