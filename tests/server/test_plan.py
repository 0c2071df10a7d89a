"""``POST /plan``: what it takes, what it tells, and how it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from stix.plan.amount import ZERO
from stix.plan.jointplan import JointPlan
from tests.support.server import ServerHome

pytestmark = pytest.mark.server

TWO: dict[str, Any] = {
    "name": "two",
    "stages": {
        "a": {
            "run": "true",
            "outputs": {"x": "out"},
            "estimate": {"time": 60, "outputs": {"x": 5}},
        },
        "b": {"run": "true", "inputs": {"x": "a.x"}, "estimate": 120},
    },
}


def ask(server: ServerHome, **body: Any) -> Any:
    return server.api("POST", "/plan", {"spec": TWO, **body})


def test_the_answer_is_a_plan_with_what_older_scripts_read(stix_server: ServerHome) -> None:
    answer = ask(stix_server)
    for stage in answer["stages"]:
        assert stage["chosen"] == stage["choice"] and stage["chosen"]["offer"]["cloud"] == "local"
        assert stage["usd_per_hour"] == 0.0
        assert stage["rejected"] == stage["nearest"]
        assert stage["rejected_count"] == sum(stage["excluded"].values())
    assert answer["name"] == "two" and answer["minimize"] == "cost" and answer["gap"] == 0
    assert JointPlan({}, (), ZERO, ZERO).to_dict().keys() <= answer.keys()


def test_time_and_data_are_those_of_the_stages(stix_server: ServerHome) -> None:
    answer = ask(stix_server)
    first, second = answer["stages"]
    assert first["cost"]["parts"]["run_s"] == 60 and second["cost"]["parts"]["run_s"] == 120
    assert answer["seconds"]["value"] == second["end"] > 180
    [edge] = answer["edges"]
    assert (edge["source"], edge["target"], edge["gb"]["value"]) == ("a", "b", 5.0)


def test_a_front_is_given_where_it_is_asked_for(stix_server: ServerHome) -> None:
    assert "front" not in ask(stix_server)
    front = ask(stix_server, pareto=True)["front"]
    assert front["chosen"] == 0 and front["plans"][0]["offers"]["b"]["cloud"] == "local"


def test_bounds_that_nothing_meets(stix_server: ServerHome) -> None:
    answer = stix_server.call("POST", "/plan", {"spec": TWO, "deadline": 10})
    assert answer.status == 422
    assert answer.body["error"]["code"] == "Unmet"
    assert "no plan ends within 10s" in answer.body["error"]["message"]
    assert "--deadline" in answer.body["error"]["fix"]


@pytest.mark.parametrize(
    "wrong",
    [{"minimize": "fun"}, {"deadline": -1}, {"budget": -0.5}, {"alternatives": -1}, {"dead": 1}],
)
def test_wrong_questions_are_refused(stix_server: ServerHome, wrong: dict[str, Any]) -> None:
    answer = stix_server.call("POST", "/plan", {"spec": TWO, **wrong})
    assert answer.status == 400
    assert next(iter(wrong)) in answer.body["error"]["message"]


def test_other_offers_are_told_as_far_as_asked(stix_server: ServerHome) -> None:
    spec = {"name": "x", "stages": {"a": {"run": "true", "resources": {"infra": "aws"}}}}
    body = {"spec": spec, "catalog": True}
    [whole] = stix_server.api("POST", "/plan", body)["stages"]
    [few] = stix_server.api("POST", "/plan", {**body, "alternatives": 3})["stages"]
    assert len(whole["alternatives"]) > 3
    assert few["alternatives"] == whole["alternatives"][:3]
    assert few["others"] == whole["others"] >= len(whole["alternatives"])


def test_what_earlier_runs_took_counts(stix_server: ServerHome) -> None:
    spec = {"name": "plan-learns", "stages": {"a": {"run": "sleep 1", "estimate": "5h"}}}
    before = stix_server.api("POST", "/plan", {"spec": spec})["stages"][0]["cost"]
    assert before["basis"] == "your estimate" and before["parts"]["run_s"] == 18000
    run = stix_server.api("POST", "/runs", {"spec": spec})["id"]
    assert stix_server.wait_for_run(run)["state"] == "succeeded"
    after = stix_server.api("POST", "/plan", {"spec": spec})["stages"][0]["cost"]
    assert after["basis"] == "history" and after["runs"] == 1
    assert 0.9 < after["parts"]["run_s"] < 60
