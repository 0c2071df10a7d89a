"""Each stage ends as its policy says, and the attempts, reasons and costs are shown."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from stix.spec.states import AttemptState
from tests.acceptance.conftest import PRICE_USD_H
from tests.acceptance.leftovers import leftovers
from tests.acceptance.user import User, by_key, kinds, states

pytestmark = pytest.mark.server


def seconds(row: dict[str, Any]) -> float:
    return (_moment(row["ended"]) - _moment(row["started"])).total_seconds()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def check_money(run: dict[str, Any]) -> None:
    """One receipt line per attempt and node, for the time it lived, adding up to the total."""
    lines = run["receipts"]
    attempts = {(s["key"], a["number"]): a for s in run["stages"] for a in s["attempts"]}
    assert {(line["key"], line["attempt"]) for line in lines} == set(attempts)
    for line in lines:
        hours = Decimal(str(line["quantity"]))
        assert Decimal(str(line["unit_price_usd"])) == Decimal(str(PRICE_USD_H))
        assert Decimal(str(line["usd"])) == round(hours * Decimal(str(PRICE_USD_H)), 6)
        # The node lives within its attempt, which begins before it and ends after it is gone.
        assert 0 < float(hours) * 3600 <= seconds(attempts[line["key"], line["attempt"]]) + 0.01
    total = sum(Decimal(str(line["usd"])) for line in lines)
    assert Decimal(str(run["cost_usd"])) == total > 0


def check_table(user: User, run: dict[str, Any]) -> str:
    """What ``stix runs show`` prints holds every stage, attempt, reason and the total."""
    text = user.cli("runs", "show", run["id"]).stdout
    lines = text.splitlines()
    for stage in run["stages"]:
        [row] = [x for x in lines if x.split()[:2] == [stage["key"], stage["state"]]]
        assert (stage["reason"] or "")[:40] in row
    if any(len(stage["attempts"]) > 1 for stage in run["stages"]):
        for stage in run["stages"]:
            for attempt in stage["attempts"]:
                start = [stage["key"], str(attempt["number"]), attempt["state"]]
                [row] = [x for x in lines if x.split()[:3] == start]
                detail = (attempt["event"] or {}).get("detail") or ""
                assert detail[:40] in row
    return text


def checked(user: User, run: dict[str, Any]) -> dict[str, Any]:
    """The run, after what holds for every ended run."""
    check_money(run)
    check_table(user, run)
    assert leftovers(user.server) == {}
    assert all(a["state"] != AttemptState.RUNNING for s in run["stages"] for a in s["attempts"])
    return run


LONG = """
name: long
stages:
  steady:
    run: |
      if [ "$STIX_ATTEMPT" = 1 ]; then echo up; sleep 600; fi
      echo "again on $STIX_NODE_ID"
    recovery: {recovery}
"""
BACK = "{preempted: {retries: 2, backoff: 0.1s}, node_lost: {retries: 2, backoff: 0.1s}}"


@pytest.mark.parametrize(("action", "kind"), [("preempt", "preempted"), ("kill", "node_lost")])
def test_a_lost_node_is_replaced(user: User, action: str, kind: str) -> None:
    run = user.start(LONG.replace("{recovery}", BACK))
    user.said(run, "steady", "up")
    node = user.node_of(run, "steady")
    user.cli("chaos", action, node)
    shown = checked(user, user.end(run))
    assert shown["state"] == "succeeded"
    assert states(shown, "steady") == ["failed", "succeeded"]
    assert kinds(shown, "steady") == [kind, None]
    first = by_key(shown)["steady"]["attempts"][0]
    assert node in first["event"]["detail"]
    assert first["action"]["rule"] == kind
    log = user.cli("logs", run, "steady").stdout
    assert "again on" in log and node not in log


@pytest.mark.parametrize(("action", "kind"), [("preempt", "preempted"), ("kill", "node_lost")])
def test_none_does_not_replace_a_lost_node(user: User, action: str, kind: str) -> None:
    run = user.start(LONG.replace("{recovery}", "none"))
    user.said(run, "steady", "up")
    user.cli("chaos", action, user.node_of(run, "steady"))
    shown = checked(user, user.end(run))
    assert shown["state"] == "failed"
    assert states(shown, "steady") == ["failed"]
    assert kinds(shown, "steady") == [kind]


SETUP = """
name: setup
stages:
  default:
    setup: echo preparing; exit 3
    run: echo never
  none:
    setup: exit 3
    run: echo never
    recovery: none
  patient:
    setup: test "$STIX_ATTEMPT" -ge 3
    run: echo "ready at $STIX_ATTEMPT"
    recovery: {setup_failed: {retries: 2, backoff: 0.1s}}
"""


def test_a_setup_that_fails(user: User) -> None:
    run = checked(user, user.run(SETUP))
    assert run["state"] == "failed"
    assert states(run, "default") == ["failed", "failed"]
    assert kinds(run, "default") == ["setup_failed", "setup_failed"]
    assert [a["exit_code"] for a in by_key(run)["default"]["attempts"]] == [3, 3]
    assert by_key(run)["default"]["reason"] == "setup ended with exit code 3"
    assert by_key(run)["default"]["attempts"][1]["action"]["action"]["kind"] == "give_up"
    assert states(run, "none") == ["failed"]
    assert states(run, "patient") == ["failed", "failed", "succeeded"]
    assert by_key(run)["patient"]["state"] == "succeeded"
    assert "never" not in user.cli("logs", run["id"], "default").stdout


EXIT_75 = """
name: exits
stages:
  passing:
    run: test "$STIX_ATTEMPT" -ge 3 || exit 75
    recovery: {user_error: {retries: 2, exit_codes: [75], backoff: 0.1s}}
  exhausted:
    run: exit 75
    recovery: {user_error: {retries: 2, exit_codes: [75], backoff: 0.1s}}
  other:
    run: exit 76
    recovery: {user_error: {retries: 2, exit_codes: [75], backoff: 0.1s}}
  none:
    run: exit 75
    recovery: none
  default:
    run: exit 75
  after:
    needs: [passing]
    run: echo after
  never:
    needs: [none]
    run: echo never
"""


def test_exit_codes(user: User) -> None:
    run = checked(user, user.run(EXIT_75))
    stages = by_key(run)
    ended = {key: (stage["state"], len(stage["attempts"])) for key, stage in stages.items()}
    assert ended == {
        "passing": ("succeeded", 3),
        "exhausted": ("failed", 3),
        "other": ("failed", 1),
        "none": ("failed", 1),
        "default": ("failed", 1),
        "after": ("succeeded", 1),
        "never": ("upstream_failed", 0),
    }
    assert [a["exit_code"] for a in stages["exhausted"]["attempts"]] == [75, 75, 75]
    last = stages["exhausted"]["attempts"][-1]["action"]
    assert (last["rule"], last["used"], last["allowed"]) == ("user_error", 2, 2)
    assert stages["other"]["attempts"][0]["action"]["rule"] == "user_error.exit_codes"
    assert "none" in stages["never"]["reason"]
    assert user.cli("run", "pipeline.yaml", code=100).returncode == 100


TIMEOUT = """
name: timeout
stages:
  slow:
    timeout: 1s
    run: |
      trap '' TERM
      echo "attempt $STIX_ATTEMPT"
      (trap '' TERM; sleep 600) & sleep 600; wait
  again:
    timeout: 1s
    run: if [ "$STIX_ATTEMPT" = 1 ]; then sleep 600; fi
    recovery: {timeout: {retries: 1, backoff: 0.1s}}
  setup:
    timeout: 1s
    setup: sleep 600
    run: echo never
"""


def test_a_timeout(user: User) -> None:
    run = checked(user, user.run(TIMEOUT))
    assert run["state"] == "failed"
    assert kinds(run, "slow") == ["timeout"]
    assert "timeout of 1 s" in by_key(run)["slow"]["reason"]
    assert kinds(run, "again") == ["timeout", None]
    assert kinds(run, "setup") == ["timeout"]


MATRIX = """
name: matrix
stages:
  train:
    matrix: {seed: [1, 2, 3, 4]}
    allowed_failures: ALLOWED
    run: |
      mkdir -p out; echo "$seed" > out/model
      echo "{\\"score\\": $seed}" > "$STIX_RESULT"
      test "$seed" != 3
    outputs: {model: out/model}
    recovery: none
  compare:
    inputs: {models: train.model}
    run: cat inputs/models/*; ls inputs/models
"""


def test_failures_that_are_allowed(user: User) -> None:
    run = checked(user, user.run(MATRIX.replace("ALLOWED", "1")))
    assert run["state"] == "succeeded"
    assert by_key(run)["train[seed=3]"]["state"] == "failed"
    assert by_key(run)["compare"]["state"] == "succeeded"
    said = user.cli("logs", run["id"], "compare").stdout
    assert [word for word in said.split() if word.isdigit()] == ["1", "2", "4"]
    assert "seed=4" in said and "seed=3" not in said


def test_failures_that_are_not_allowed(user: User) -> None:
    run = checked(user, user.run(MATRIX.replace("ALLOWED", "0"), "--no-cache"))
    assert run["state"] == "failed"
    assert by_key(run)["compare"]["state"] == "upstream_failed"
    assert "train[seed=3]" in by_key(run)["compare"]["reason"]


WHEN = """
name: when
envs: {MODE: quick}
stages:
  score:
    run: |
      echo made > made
      echo '{"accuracy": 0.5}' > "$STIX_RESULT"
    outputs: {made: made}
    cache: false
  good:
    needs: [score]
    when: stages.score.result.accuracy > 0.9
    run: echo never
    outputs: {thing: thing}
  behind:
    inputs: {thing: good.thing}
    run: echo never
  waiting:
    needs: [good]
    run: echo "it only waits"
  bad:
    needs: [score]
    when: stages.score.result.accuracy < 0.9 and envs.MODE == "quick"
    run: echo "it is bad"
"""


def test_when(user: User) -> None:
    run = checked(user, user.run(WHEN))
    assert run["state"] == "succeeded"
    ended = {stage["key"]: stage["state"] for stage in run["stages"]}
    assert ended == {
        "score": "succeeded",
        "good": "skipped",
        "behind": "skipped",
        "waiting": "succeeded",
        "bad": "succeeded",
    }
    assert "accuracy > 0.9" in by_key(run)["good"]["reason"]


PARALLEL = """
name: parallel
max_parallel: 3
stages:
  narrow:
    matrix: {n: [1, 2, 3, 4]}
    max_parallel: 1
    run: &count |
      echo in; sleep 0.5; echo out
  wide:
    matrix: {n: [1, 2, 3, 4]}
    run: *count
"""


def overlap(spans: list[tuple[datetime, datetime]]) -> int:
    """How many spans hold one moment at most."""
    return max(sum(a <= start < b for a, b in spans) for start, _ in spans)


def test_max_parallel(user: User) -> None:
    run = checked(user, user.run(PARALLEL))
    assert run["state"] == "succeeded"
    spans = {
        stage["key"]: (_moment(a["started"]), _moment(a["ended"]))
        for stage in run["stages"]
        for a in stage["attempts"]
    }
    assert overlap([span for key, span in spans.items() if key.startswith("narrow")]) == 1
    assert 2 <= overlap(list(spans.values())) <= 3


NODES = """
name: nodes
stages:
  together:
    num_nodes: 3
    resources: {cpus: 1}
    run: |
      echo "rank $STIX_NODE_RANK of $STIX_NUM_NODES ips $(echo "$STIX_NODE_IPS" | wc -l)"
      echo "sky $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES"
  falling:
    num_nodes: 3
    resources: {cpus: 1}
    recovery: none
    run: |
      echo "rank $STIX_NODE_RANK"
      if [ "$STIX_NODE_RANK" = 1 ]; then sleep 1; exit 9; fi
      sleep 600; echo survived
"""


def test_several_nodes(user: User) -> None:
    run = checked(user, user.run(NODES))
    stages = by_key(run)
    assert stages["together"]["state"] == "succeeded"
    assert stages["falling"]["state"] == "failed"
    assert kinds(run, "falling") == ["user_error"]
    assert stages["falling"]["attempts"][0]["exit_code"] == 9
    for rank in range(3):
        said = user.server.api("GET", f"/runs/{run['id']}/logs?stage=together&rank={rank}")["data"]
        assert said == f"rank {rank} of 3 ips 3\nsky {rank} of 3\n"
        said = user.server.api("GET", f"/runs/{run['id']}/logs?stage=falling&rank={rank}")["data"]
        assert f"rank {rank}\n" in said and "survived" not in said
    for key in stages:
        lines = [line for line in run["receipts"] if line["key"] == key]
        assert [line["rank"] for line in lines] == [0, 1, 2]
