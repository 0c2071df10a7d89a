"""What the ledger tells of a stage run that another engine, or an earlier resume, began."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stix.engine.runtime import RunContext
from stix.flows.history import History, inputs_of
from stix.recovery.actions import Action, Decision, GiveUp, NextOffer, RetryHere
from stix.recovery.events import Event, NodeLost, Preempted, UserError
from stix.spec.states import AttemptState, RunState, StageState
from stix.tasks.provision import request_for
from tests.support.workshop import Workshop

TEXT = "name: h\nstages:\n  main: {run: 'true'}\n"


@pytest.fixture
async def run(workshop: Workshop) -> RunContext:
    context = await workshop.context(TEXT)
    context.takeover = True
    return context


async def failed(
    workshop: Workshop, run: RunContext, number: int, event: Event, action: Action
) -> None:
    await workshop.attempt(run, number=number)
    decision = Decision(action, event.kind, 1, None, "because")
    await workshop.ledger.finish_attempt(
        run.fence,
        "main",
        number,
        AttemptState.FAILED,
        event=event.to_dict(),
        action=decision.to_dict(),
    )


async def test_a_new_run_has_none(workshop: Workshop) -> None:
    run = await workshop.context(TEXT)
    await workshop.attempt(run)
    assert await History.of(run, "main") == History()


async def test_finished_attempts_are_events_and_places(workshop: Workshop, run: RunContext) -> None:
    await failed(workshop, run, 1, Preempted(detail="x"), NextOffer(skip_scope="zone"))
    await failed(workshop, run, 2, UserError(exit_code=3), RetryHere(after_s=2.5))
    history = await History.of(run, "main")
    assert history.events == [Preempted(), UserError(exit_code=3)]
    assert [p.action for p in history.past] == [NextOffer(skip_scope="zone"), RetryHere(2.5)]
    assert history.past[0].choice == run.plan.stages["main"].chosen
    assert history.next_number == 3 and history.open_number is None
    assert history.last == Decision(RetryHere(2.5), "user_error", 1, None, "because")


@pytest.mark.parametrize("action", [RetryHere(1.5), NextOffer(2.0, "region"), GiveUp("enough")])
def test_a_decision_is_the_same_after_the_ledger(action: Action) -> None:
    for allowed in (None, 3):
        decision = Decision(action, "preempted", 2, allowed, "why")
        assert Decision.from_dict(decision.to_dict()) == decision


async def test_an_open_attempt_is_gone_on_with(workshop: Workshop, run: RunContext) -> None:
    await failed(workshop, run, 1, NodeLost(), NextOffer())
    attempt = await workshop.attempt(run, number=2)
    nodes = await attempt.cloud.create(request_for(attempt))
    await workshop.ledger.add_cluster(
        run.fence,
        {
            "key": "main",
            "attempt": 2,
            "token": attempt.token,
            "cloud": "local",
            "offer": attempt.choice.offer.to_dict(),
            "nodes": [node.to_dict() for node in nodes],
            "price_usd_h": 0,
        },
    )
    await attempt.finish_step("setup", {"ran": True})
    history = await History.of(run, "main")
    assert (history.open_number, history.next_number) == (2, 3)
    assert history.open_choice == attempt.choice
    assert history.open_steps == {"setup": {"ran": True}}
    assert history.open_nodes == nodes
    history.close()
    assert history.open_number is None and not history.open_nodes and history.next_number == 3


async def test_an_attempt_that_succeeded_is_known(workshop: Workshop, run: RunContext) -> None:
    attempt = await workshop.attempt(run)
    made = {"outputs": {"data": "d"}, "result": {"x": 1}}
    await attempt.finish_step("collect", made)
    await workshop.ledger.finish_attempt(run.fence, "main", 1, AttemptState.SUCCEEDED)
    history = await History.of(run, "main")
    assert history.made == made and history.next_number == 2


async def test_attempts_before_a_resume_only_count(workshop: Workshop, run: RunContext) -> None:
    await failed(workshop, run, 1, UserError(exit_code=1), GiveUp("no more"))
    await workshop.attempt(run, number=2)  # left open by a fault
    ledger = workshop.ledger
    await ledger.finish_run(run.fence, RunState.FAILED, {"message": "x"})
    await ledger.resume_run(run.run_id)
    claim = await ledger.claim_run(workshop.runtime.engine_id, run.run_id)
    assert claim is not None and not claim.takeover
    again = replace(run, fence=claim.fence, takeover=False, resumed=1)
    assert await History.of(again, "main") == History(next_number=3)


MATRIX = """
name: m
stages:
  many:
    matrix: {model: [svm, net], part: [a/b]}
    outputs: {data: out}
    run: "true"
  one: {run: "true", outputs: {data: out}}
  main:
    inputs: {parts: many.data, single: one.data}
    run: "true"
"""


async def test_inputs_of_a_matrix_are_named_by_their_point(workshop: Workshop) -> None:
    run = await workshop.context(MATRIX)
    for number, (key, row) in enumerate(list(run.stage_rows.items())):
        if row.stage != "main":
            run.stage_rows[key] = replace(
                row, state=StageState.SUCCEEDED, outputs={"data": f"d{number}"}
            )
    found = await inputs_of(run, run.points["main"])
    assert found.deliveries == {
        "parts": [("model=svm,part=a%2Fb", "d0"), ("model=net,part=a%2Fb", "d1")],
        "single": [("", "d2")],
    }
    assert found.digests == {
        "parts/model=svm,part=a%2Fb": "d0",
        "parts/model=net,part=a%2Fb": "d1",
        "single": "d2",
    }


async def test_points_without_the_output_are_left_out(workshop: Workshop) -> None:
    run = await workshop.context(MATRIX)
    keys = [key for key, row in run.stage_rows.items() if row.stage == "many"]
    rows = run.stage_rows
    rows[keys[0]] = replace(rows[keys[0]], state=StageState.FAILED, outputs={"data": "d"})
    rows[keys[1]] = replace(rows[keys[1]], state=StageState.CACHED, outputs={"data": "d1"})
    found = await inputs_of(run, run.points["main"])
    assert found.deliveries == {"parts": [("model=net,part=a%2Fb", "d1")], "single": []}
