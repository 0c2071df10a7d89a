"""A pipeline in virtual time: its DAG, its policy, its checkpoints and its bill."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stix.clouds.sim.scenario import Fault, Scenario, Stock, Trace
from stix.plan.place import PlanError
from stix.rehearse.driver import How, Rehearsal, rehearse_many
from stix.rehearse.market import market_of, simulated
from stix.rehearse.record import spread
from stix.spec.loader import load_file
from stix.spec.models import PipelineSpec
from stix.spec.states import RunState
from tests.rehearse.support import attempts, go, kinds, offers, read, row, stage, states

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HOUR, DAY = 3600.0, 86_400.0
CALM = Scenario(boot_s=100, boot_spread=0, preempt_rate=0)
WILD = replace(CALM, preempt_rate=0.5)
SPOT = "    resources: {use_spot: true}\n"


@pytest.mark.parametrize(
    "file", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda p: str(p.relative_to(EXAMPLES))
)
def test_our_examples_can_be_rehearsed(file: Path) -> None:
    pipeline = load_file(file).pipeline
    done = go(pipeline, Scenario(seed=1))
    assert done.finished
    assert set(states(done).values()) == {"succeeded"}
    guessed = any(stage.estimate is None for stage in pipeline.resolved().stages.values())
    assert any("an hour is assumed" in note for note in done.notes) is guessed


# -- the DAG ------------------------------------------------------------------------------------

DIAMOND = """
name: d
stages:
  a: {run: "true", estimate: {time: 1h}}
  b: {run: "true", needs: [a], estimate: {time: 2h}, setup: "true"}
  c: {run: "true", needs: [a], estimate: {time: 4h}}
  d: {run: "true", needs: [b, c], estimate: {time: 1h}, num_nodes: 3}
"""


def test_stages_begin_when_what_they_need_has_ended(tmp_path: Path) -> None:
    done = go(read(tmp_path, DIAMOND), CALM)
    boot, setup = 100, 120
    ends = {stage.key: stage.attempts[0].end for stage in done.stages}
    assert ends == {
        "a": boot + HOUR,
        "b": 2 * boot + setup + 3 * HOUR,
        "c": 2 * boot + 5 * HOUR,
        "d": 3 * boot + 6 * HOUR,
    }
    assert (done.state, done.seconds, done.preemptions) == (RunState.SUCCEEDED, ends["d"], 0)
    lease = row(done, "d").attempts[0].lease
    assert lease is not None and lease.billed(done.seconds) == 3 * (boot + HOUR)


def test_only_so_many_run_at_a_time(tmp_path: Path) -> None:
    text = stage("    matrix: {x: [1, 2, 3, 4, 5]}\n    max_parallel: 2\n")
    pipeline = read(tmp_path, text)
    done = go(pipeline, CALM)
    starts = sorted(one.start for one in attempts(done))
    assert starts == [0, 0, 3700, 3700, 7400]
    narrow = go(pipeline.model_copy(update={"max_parallel": 1}), CALM)
    assert sorted(one.start for one in attempts(narrow)) == [n * 3700.0 for n in range(5)]


def test_a_lost_point_may_be_allowed(tmp_path: Path) -> None:
    text = stage("    matrix: {x: [1, 2, 3]}\n    allowed_failures: 1\n    recovery: none\n")
    text += "  after: {run: 'true', needs: [main]}\n  both: {run: 'true', needs: [after]}\n"
    pipeline = read(tmp_path, text)
    there = offers("c/r/1")
    two = replace(CALM, stock=(Stock(most=2),))
    done = go(pipeline, two, there)
    assert states(done) == {
        "main[x=1]": "succeeded",
        "main[x=2]": "succeeded",
        "main[x=3]": "failed",
        "after": "succeeded",
        "both": "succeeded",
    }
    assert done.finished
    one = go(pipeline, replace(CALM, stock=(Stock(most=1),)), there)
    assert states(one)["after"] == states(one)["both"] == "upstream_failed"
    assert one.reason == "failed: main[x=2], main[x=3]"
    assert row(one, "after").reason == "needs main[x=2], main[x=3]"


def test_conditions_on_results_are_taken_for_true_and_those_on_states_are_not(
    tmp_path: Path,
) -> None:
    text = """
name: w
stages:
  a: {run: "true"}
  b: {run: "true", needs: [a], when: stages.a.result.score > 0.5}
  c: {run: "true", needs: [a], when: stages.a.status == "failed"}
"""
    done = go(read(tmp_path, text), CALM)
    assert states(done) == {"a": "succeeded", "b": "succeeded", "c": "skipped"}
    assert "`when` on results is taken for true: b" in done.notes


def test_the_deadline_of_a_pipeline_ends_it(tmp_path: Path) -> None:
    pipeline = read(tmp_path, "deadline: 90m\n" + stage("    estimate: 2h\n"))
    done = go(pipeline, CALM)
    assert (done.state, done.seconds) == (RunState.FAILED, 5400.0)
    assert done.reason == "the deadline of 5400 s passed"
    assert states(done) == {"main": "cancelled"}
    lease = attempts(done)[0].lease
    assert lease is not None and lease.billed(9e9) == 5400.0


def test_what_does_not_end_within_its_days_is_not_finished(tmp_path: Path) -> None:
    pipeline = read(tmp_path, stage("    estimate: 3d\n"))
    done = go(pipeline, CALM, days=2)
    assert (done.state, done.seconds) == (RunState.RUNNING, 2 * DAY)
    assert done.reason == "not finished within 2 days"
    assert done.usd == attempts(done)[0].usd(done.seconds) > 0
    waits = go(pipeline, replace(CALM, faults=(Fault("stockout", ""),)), days=2)
    assert (waits.seconds, waits.usd, attempts(waits)[0].lease) == (2 * DAY, 0.0, None)
    assert attempts(waits)[0].tried > len(attempts(waits)[0].tries) == 100


def test_a_timeout_is_the_policys_to_answer(tmp_path: Path) -> None:
    more = "    estimate: 2h\n    timeout: 1h\n    recovery: {timeout: 2}\n"
    done = go(read(tmp_path, stage(more)), CALM)
    assert not done.finished
    assert kinds(one.event for one in attempts(done)) == ["timeout"] * 3
    assert "all 2 retries are used" in row(done).reason


# -- preemption ---------------------------------------------------------------------------------


def test_with_a_policy_it_finishes_in_spite_of_preemptions(tmp_path: Path) -> None:
    more = SPOT + "    estimate: {time: 40h, checkpoint: 1h}\n    recovery: {preempted: 100}\n"
    done = go(read(tmp_path, stage(more)), WILD)
    assert done.finished
    assert done.preemptions == len(attempts(done)) - 1 > 5
    assert kinds(one.event for one in attempts(done)[:-1]) == ["preempted"] * done.preemptions
    assert all(one.lease is not None and one.lease.lost for one in attempts(done)[:-1])
    places = [one.offer.infra for one in attempts(done)]
    assert all(one != other for one, other in pairwise(places))


def test_without_a_policy_the_first_preemption_ends_it(tmp_path: Path) -> None:
    more = SPOT + "    estimate: {time: 40h}\n    recovery: none\n"
    done = go(read(tmp_path, stage(more)), WILD)
    assert (done.state, done.preemptions, len(attempts(done))) == (RunState.FAILED, 1, 1)
    assert "the policy allows no retry" in row(done).reason


def test_a_budget_ends_with_its_last_retry(tmp_path: Path) -> None:
    more = SPOT + "    estimate: {time: 400h}\n    recovery: {preempted: 3}\n"
    done = go(read(tmp_path, stage(more)), WILD)
    assert len(attempts(done)) == 4
    assert "all 3 retries are used" in row(done).reason


def test_a_policy_that_stays_stays(tmp_path: Path) -> None:
    more = SPOT + "    estimate: {time: 20h, checkpoint: 30m}\n"
    more += "    recovery: {preempted: {retries: unlimited, next: same}}\n"
    done = go(read(tmp_path, stage(more)), WILD)
    assert done.finished and done.preemptions > 2
    assert len({one.offer.infra for one in attempts(done)}) == 1


def test_checkpoints_keep_what_was_done(tmp_path: Path) -> None:
    text = stage(SPOT + "    estimate: {time: 3h%s}\n    recovery: {preempted: unlimited}\n")
    # One preemption two and a half hours after the command began.
    moment = 100 + 2.5 * HOUR
    fault = replace(CALM, traces=(Trace("", ((moment, moment),)),))
    with_them = go(read(tmp_path, text % ", checkpoint: 1h"), fault)
    without = go(read(tmp_path, text % ""), fault)
    one, two = attempts(with_them)
    assert (one.kept_s, two.kept_s) == (2 * HOUR, 2 * HOUR)
    assert two.end is not None and two.ready is not None
    assert two.end - two.ready == HOUR
    again = attempts(without)[1]
    assert again.end is not None and again.ready is not None
    assert again.end - again.ready == 3 * HOUR


def test_checkpoints_take_their_time(tmp_path: Path) -> None:
    text = stage("    estimate: {time: 3h, checkpoint: 1h}\n")
    (one,) = attempts(go(read(tmp_path, text), CALM))
    assert one.end is not None and one.ready is not None
    assert one.end - one.ready == 3 * HOUR + 2 * 15


# -- the bill, and the seed -----------------------------------------------------------------------

MANY = """
name: m
stages:
  a: {run: "true", estimate: {time: 1h}, resources: {use_spot: true}, recovery: {preempted: 90}}
  b:
    run: "true"
    needs: [a]
    matrix: {x: [1, 2, 3, 4, 5, 6]}
    num_nodes: 2
    estimate: {time: 20h, checkpoint: 2h}
    resources: {use_spot: true, accelerators: A100}
    recovery: {preempted: %s}
  c: {run: "true", needs: [b], estimate: {time: 1h}}
"""


@settings(deadline=None, max_examples=20)
@given(
    st.integers(0, 2**40),
    st.sampled_from(["unlimited", "2", "none"]),
    st.floats(0, 0.6),
    st.one_of(st.none(), st.integers(0, 12)),
)
def test_the_bill_is_the_sum_of_billed_time_and_the_seed_says_all(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    policy: str,
    rate: float,
    most: int | None,
) -> None:
    pipeline = read(tmp_path_factory.getbasetemp(), MANY % policy)
    stock = () if most is None else (Stock(most=most, least=0),)
    scenario = Scenario(seed=seed, preempt_rate=rate, stock=stock, price_swing=0.3)
    done = go(pipeline, scenario, days=1.5)
    leases = [one.lease for one in attempts(done) if one.lease is not None]
    paid = sum(
        lease.count
        * ((done.seconds if lease.until is None else lease.until) - lease.since)
        * lease.rate
        / HOUR
        for lease in leases
    )
    assert done.usd == pytest.approx(paid)
    assert done.preemptions == sum(lease.lost for lease in leases)
    if done.state is not RunState.RUNNING:
        assert all(lease.until is not None for lease in leases)
    again = go(pipeline, scenario, days=1.5)
    assert again.to_dict() == done.to_dict()


def test_the_same_seed_gives_the_same_digest_and_another_seed_another(tmp_path: Path) -> None:
    pipeline = read(tmp_path, MANY % "unlimited")
    market = market_of(pipeline)
    runs = rehearse_many(pipeline, market, replace(WILD, seed=7), 5)
    assert [run.seed for run in runs] == [7, 8, 9, 10, 11]
    assert len({run.digest for run in runs}) == 5
    assert [r.digest for r in rehearse_many(pipeline, market, replace(WILD, seed=7), 5)] == [
        run.digest for run in runs
    ]
    numbers = spread(runs)
    assert numbers["finished"] == numbers["runs"] == 5
    costs = sorted(run.usd for run in runs)
    assert numbers["usd"] == {
        "min": costs[0],
        "median": costs[2],
        "p95": costs[4],
        "max": costs[4],
    }


def test_a_log_is_kept_and_time_never_goes_back(tmp_path: Path) -> None:
    pipeline = read(tmp_path, MANY % "unlimited")
    paced: list[float] = []
    told: list[tuple[float, str]] = []
    how = How(pace=paced.append, tell=lambda at, text: told.append((at, text)))
    rehearsal = Rehearsal(pipeline, market_of(pipeline), WILD, how)
    done = rehearsal.go()
    moments = [entry.at for entry in rehearsal.world.log]
    assert moments == sorted(moments) and paced == sorted(paced)
    assert sum(entry.what == "preempt" for entry in rehearsal.world.log) == done.preemptions
    assert told[0][1] == "a: attempt 1 runs at sim-a/north/north-1"
    assert told[-1][1] == "c: attempt 1 succeeded"


def test_a_month_with_thousands_of_preemptions(tmp_path: Path) -> None:
    text = stage(
        f"    matrix: {{x: {list(range(50))}}}\n"
        + SPOT
        + "    estimate: {time: 15d, checkpoint: 30m}\n    recovery: {preempted: unlimited}\n"
    )
    done = go(read(tmp_path, text), replace(WILD, preempt_rate=0.2))
    assert done.finished
    assert done.preemptions > 3000
    assert 15 * DAY < done.seconds < 30 * DAY


# -- where it can be rehearsed ------------------------------------------------------------------


def test_made_up_machines_stand_in_every_zone_and_market() -> None:
    there = simulated()
    assert len({(o.infra, o.instance_type, o.spot) for o in there}) == len(there)
    assert {o.cloud for o in there} == {"sim-a", "sim-b", "sim-c"}
    assert all(o.cpus > 0 and o.memory_gib > 0 and o.price > 0 for o in there)


def test_where_they_do_not_serve_the_catalog_does(tmp_path: Path) -> None:
    pipeline = read(tmp_path, stage("    resources: {infra: aws}\n"))
    market = market_of(pipeline)
    assert market.source == "catalog"
    assert market.notes == ("no simulated machine serves main: the catalog does",)
    assert market.plan.stages["main"].offer.cloud == "aws"
    assert market_of(read(tmp_path, stage()), catalog=True).source == "catalog"
    with pytest.raises(PlanError):
        market_of(read(tmp_path, stage("    resources: {infra: aws/nowhere}\n")))


def test_machines_of_ones_own_are_there_and_cost_nothing(tmp_path: Path) -> None:
    pipeline: PipelineSpec = read(
        tmp_path, stage("    resources: {infra: ssh/lab, accelerators: A100:2}\n")
    )
    done = go(pipeline, Scenario())
    assert done.finished and done.usd == 0
    assert attempts(done)[0].offer.infra == "ssh/lab"
