"""Services: what is taken, what is refused, and where the mistake is."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.loader import load_text
from stix.spec.problems import SpecErrors
from stix.spec.service import ServiceSpec, own_pool
from stix.spec.stage import StageSpec
from tests.spec.refused import refusal


def test_defaults() -> None:
    service = ServiceSpec.model_validate({})
    assert service.readiness_probe.path == "/"
    assert service.readiness_probe.initial_delay_seconds == 1200
    assert service.fixed is None
    assert service.replica_policy is None


def test_a_probe_may_be_its_path() -> None:
    assert ServiceSpec.model_validate({"readiness_probe": "/v1"}).readiness_probe.path == "/v1"


def test_a_body_may_be_json_text() -> None:
    probe = {"path": "/", "post_data": '{"a": [1, null]}'}
    service = ServiceSpec.model_validate({"readiness_probe": probe})
    assert service.readiness_probe.post_data == {"a": [1, None]}


def test_null_counts_as_absent_beside_the_probe() -> None:
    given = {"replicas": None, "tls": None, "pool": None, "replica_policy": {"min_replicas": 2}}
    service = ServiceSpec.model_validate(given)
    assert service.replica_policy is not None
    assert service.replica_policy.min_replicas == 2


def test_numbers_stay_as_written() -> None:
    given = {"readiness_probe": {"path": "/", "timeout_seconds": 2.5, "initial_delay_seconds": 60}}
    probe = ServiceSpec.model_validate(given).readiness_probe
    assert repr(probe.timeout_seconds) == "2.5"
    assert repr(probe.initial_delay_seconds) == "60"


POLICY = {"min_replicas": 1, "max_replicas": 2}


@pytest.mark.parametrize(
    ("service", "path", "fix"),
    [
        ({"readiness_probe": "health"}, "readiness_probe", "write /health"),
        ({"readiness_probe": {"timeout_seconds": 5}}, "readiness_probe", "add path"),
        ({"readiness_probe": None}, "readiness_probe", "write readiness_probe: /health"),
        ({"readiness_probe": {"path": None}}, "readiness_probe.path", "write path: /health"),
        (
            {"readiness_probe": {"path": "/", "initial_delay_seconds": "20m"}},
            "readiness_probe.initial_delay_seconds",
            "write initial_delay_seconds: 1200",
        ),
        (
            {"readiness_probe": {"path": "/", "timeout_seconds": 0}},
            "readiness_probe.timeout_seconds",
            "above 0",
        ),
        (
            {"readiness_probe": {"path": "/", "post_data": "{bad"}},
            "readiness_probe.post_data",
            "JSON text",
        ),
        (
            {"readiness_probe": {"path": "/", "post_data": "[1]"}},
            "readiness_probe.post_data",
            "JSON text",
        ),
        (
            {"readiness_probe": {"path": "/", "post_data": '{"a": 1e999}'}},
            "readiness_probe.post_data",
            "JSON text",
        ),
        (
            {"readiness_probe": {"path": "/", "headers": {"A": 1}}},
            "readiness_probe.headers.A",
            "in quotes",
        ),
        ({"replica": 1}, "replica", "did you mean 'replicas'?"),
        ({"replicas": "2"}, "replicas", "write replicas: 2"),
        ({"replicas": True}, "replicas", "a whole number"),
        ({"replicas": -1}, "replicas", "from 0"),
        ({"replicas": 1, "workers": 1}, "workers", "keep one"),
        ({"replicas": 1, "replica_policy": POLICY | {"max_replicas": 1}}, "replicas", "keep one"),
        ({"replica_policy": {"max_replicas": 2}}, "replica_policy", "add min_replicas"),
        ({"replica_policy": {"min_replicas": None}}, "replica_policy.min_replicas", "a whole"),
        (
            {"replica_policy": {"min_replicas": 3, "max_replicas": 2}},
            "replica_policy.max_replicas",
            "write max_replicas: 3 or more",
        ),
        ({"replica_policy": POLICY}, "replica_policy.max_replicas", "target_qps_per_replica: 1"),
        (
            {"replica_policy": {"min_replicas": 1, "target_qps_per_replica": 1}},
            "replica_policy.target_qps_per_replica",
            "add max_replicas",
        ),
        (
            {"replica_policy": POLICY | {"target_qps_per_replica": {"A100-80GB": 1}}},
            "replica_policy.target_qps_per_replica.A100-80GB",
            "capital letters",
        ),
        (
            {"replica_policy": POLICY | {"target_qps_per_replica": {"A100": 1}}},
            "replica_policy",
            "load_balancing_policy: instance_aware_least_load",
        ),
        (
            {"replicas": 1, "load_balancing_policy": "instance_aware_least_load"},
            "load_balancing_policy",
            "target_qps_per_replica",
        ),
        (
            {"replica_policy": {"min_replicas": 1, "spot_placer": "magic"}},
            "replica_policy.spot_placer",
            "dynamic_fallback",
        ),
        ({"load_balancing_policy": "Least_Load"}, "load_balancing_policy", "'least_load'"),
        ({"ports": 99999}, "ports", "from 1 to 65535"),
        ({"tls": {"keyfile": "k"}}, "tls", "add certfile"),
        ({"pool": {}}, "pool", "workers: 2"),
        ({"pool": {}, "workers": 2}, "pool", "workers: 2"),
        ({"pool": {"workers": 2}, "replicas": 2}, "replicas", "below pool"),
        ({"pool": {"workers": 2}, "ports": 80}, "ports", "remove ports"),
        ({"pool": {"max_workers": 2}, "workers": 3}, "pool.max_workers", "larger"),
    ],
)
def test_refused(service: dict[str, Any], path: str, fix: str) -> None:
    problem = refusal({"run": "x", "service": service})
    assert problem.path == f"service.{path}"
    assert fix in problem.fix


def test_deep_json_is_refused_without_a_traceback() -> None:
    for text in ('{"a":' * 100 + "1" + "}" * 100, '{"a":' * 100_000):
        probe = {"path": "/", "post_data": text}
        assert refusal({"service": {"readiness_probe": probe}}).path.endswith("post_data")


def test_values_of_headers_are_not_shown() -> None:
    probe = {"path": "/", "headers": {"Authorization": ["Bearer hush"]}}
    assert "hush" not in str(refusal({"service": {"readiness_probe": probe}}))


def test_all_problems_at_once() -> None:
    text = "run: x\nservice: {readiness_probe: x, replicas: 1.5, ports: 0, tls: 5, foo: 1}\n"
    with pytest.raises(SpecErrors) as refused:
        load_text(text)
    wrong = [problem.path for problem in refused.value.problems]
    assert wrong == [
        "service.readiness_probe",
        "service.replicas",
        "service.ports",
        "service.tls",
        "service.foo",
    ]


def test_service_and_pool_exclude_each_other() -> None:
    assert refusal({"service": {}, "pool": {"workers": 1}}).path == "pool"
    assert StageSpec.model_validate({"service": None, "pool": {"workers": 1}}).pool is not None


def test_a_pool_is_found_in_both_places() -> None:
    pool = {"workers": 2}
    for data in ({"pool": pool}, {"service": {"pool": pool}}):
        found = own_pool(StageSpec.model_validate(data))
        assert found is not None
        assert found.least() == 2
    assert own_pool(StageSpec.model_validate({"run": "x"})) is None
