"""Recovery policies: partial rules, none, and SkyPilot's job_recovery."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from stix.spec.models import PipelineSpec, Resources, StageSpec
from stix.spec.recovery import KINDS, JobRecovery, Next, RecoveryPolicy, Rule


def effective(**fields: Any) -> RecoveryPolicy:
    return RecoveryPolicy.effective(StageSpec(run="x", **fields))


def test_defaults() -> None:
    retries = {kind: effective().rule(kind).retries for kind in KINDS}
    assert retries == {
        "capacity": None,
        "preempted": 10,
        "node_lost": 3,
        "setup_failed": 1,
        "user_error": 0,
        "timeout": 0,
    }
    assert effective().capacity.next is Next.NEXT_OFFER
    assert effective().setup_failed.next is Next.SAME


def test_a_partial_rule_keeps_its_kinds_default() -> None:
    policy = effective(
        recovery={"preempted": {"backoff": "1m"}, "node_lost": 7, "capacity": "none"}
    )
    assert (policy.preempted.retries, policy.preempted.backoff) == (10, 60.0)
    assert policy.preempted.next is Next.NEXT_OFFER
    assert policy.node_lost.retries == 7
    assert policy.capacity.retries == 0


def test_none_means_none() -> None:
    assert {effective(recovery="none").rule(kind).retries for kind in KINDS} == {0}
    skypilot = effective(resources={"job_recovery": "none"})
    assert {skypilot.rule(kind).retries for kind in KINDS} == {0}


def test_delays_double_up_to_the_limit() -> None:
    rule = Rule(backoff=2, max_backoff="10s")
    assert [rule.delay(n) for n in range(1, 6)] == [2, 4, 8, 10, 10]
    assert rule.delay(10**6) == 10


@pytest.mark.parametrize(
    ("strategy", "place"), [("failover", "same"), ("eager_next_region", "next_offer")]
)
def test_strategies(strategy: str, place: str) -> None:
    policy = effective(resources={"use_spot": True, "job_recovery": strategy})
    assert (policy.preempted.retries, policy.preempted.next) == (None, place)
    assert policy.user_error.retries == 0


def test_restarts_and_exit_codes() -> None:
    policy = JobRecovery(max_restarts_on_errors=3, recover_on_exit_codes=33).policy()
    assert policy.user_error.retries == 3
    assert policy.user_error.free_exit_codes == [33]
    assert policy.setup_failed.retries == 3
    assert policy.preempted.next is Next.NEXT_OFFER


def test_job_recovery_of_alternatives_is_found() -> None:
    resources = Resources(job_recovery="FAILOVER", any_of=[{"cpus": 1}, {"cpus": 2}])
    assert RecoveryPolicy.effective(StageSpec(resources=resources)).preempted.next is Next.SAME


def test_rules_of_defaults_merge_field_by_field() -> None:
    pipeline = PipelineSpec(
        defaults={"recovery": {"preempted": {"retries": 5}, "timeout": 2}},
        stages={
            "a": {"run": "x", "recovery": {"preempted": {"backoff": 1}}},
            "b": {"run": "x", "recovery": "none"},
        },
    )
    stages = pipeline.resolved().stages
    a, b = (RecoveryPolicy.effective(stages[name]) for name in "ab")
    assert (a.preempted.retries, a.preempted.backoff, a.timeout.retries) == (5, 1.0, 2)
    assert {b.rule(kind).retries for kind in KINDS} == {0}


@pytest.mark.parametrize(
    "given",
    [
        "always",
        {"unknown": 1},
        {"preempted": -1},
        {"preempted": True},
        {"preempted": {"next": "elsewhere"}},
        {"preempted": {"exit_codes": [1]}},
        {"user_error": {"exit_codes": [256]}},
        {"user_error": {"exit_codes": "75"}},
        {"capacity": {"backoff": -1}},
    ],
)
def test_refused(given: Any) -> None:
    with pytest.raises(ValueError):
        StageSpec(run="x", recovery=given)


def test_unknown_kind() -> None:
    with pytest.raises(KeyError):
        RecoveryPolicy().rule("nonsense")


def test_every_form_of_a_rule_survives_the_dump() -> None:
    counts, places = [0, 4, "unlimited", None], ["same", "next_offer"]
    for retries, place in itertools.product(counts, places):
        policy = RecoveryPolicy(preempted={"retries": retries, "next": place})
        assert RecoveryPolicy.model_validate(policy.model_dump()) == policy
