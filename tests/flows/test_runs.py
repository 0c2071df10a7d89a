"""Whole runs on an engine: a real ledger, real nodes, a real Prefect API."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

from stix.ledger import Fence, NewRun, NewStage
from stix.recovery.actions import Decision, GiveUp, RetryHere
from stix.recovery.events import UserError
from stix.spec.states import AttemptState, RunState, StageState
from tests.support.agents import eventually
from tests.support.yard import Ended, Yard

pytestmark = pytest.mark.server

ONE = "name: one\nstages:\n  main: {run: 'true'}\n"


def waiting(yard: Yard, more: str = "") -> tuple[str, Path, Path]:
    """A pipeline whose stage says that it runs, once, and waits until it is let go."""
    marks, go = yard.workshop.folder / "marks", yard.workshop.folder / "go"
    command = f"echo x >> {marks}; until test -e {go}; do sleep 0.05; done"
    return f"name: w\n{more}stages:\n  main: {{run: '{command}'}}\n", marks, go


async def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


async def running(marks: Path, count: int = 1) -> None:
    async def there() -> bool:
        return await lines(marks) >= count

    await eventually(there, "the command runs")


async def test_data_and_results_flow_down(yard: Yard) -> None:
    ended = await yard.run("""
name: flow
stages:
  make:
    matrix: {model: [svm, net], seed: [1]}
    outputs: {data: out.txt}
    run: echo $model > out.txt; echo '{"score":' 0.$seed '}' > $STIX_RESULT
  join:
    inputs: {parts: make.data}
    when: max(stages.make.results.score) > 0
    outputs: {all: all.txt}
    run: cat inputs/parts/*/* inputs/parts/* 2>/dev/null > all.txt; sort -u all.txt
""")
    assert ended.state == "succeeded", (ended.message, ended.stages)
    assert set(ended.states) == {"make[model=svm,seed=1]", "make[model=net,seed=1]", "join"}
    target = yard.workshop.folder / "all"
    yard.workshop.runtime.store.get(ended.stages["join"].outputs["all"], target)
    text = "".join(p.read_text() for p in ([target] if target.is_file() else target.rglob("*.txt")))
    assert {"svm", "net"} <= set(text.split())
    assert await yard.workshop.nodes() == []


async def test_failures_stop_what_needs_them_and_nothing_else(yard: Yard) -> None:
    ended = await yard.run("""
name: fails
stages:
  bad: {run: exit 3, outputs: {data: x}}
  few: {matrix: {x: [0, 1]}, allowed_failures: 1, run: exit $x}
  needs: {needs: [bad], run: "true"}
  below: {needs: [needs], run: "true"}
  after: {needs: [few], run: "true"}
  never: {needs: [after], when: 1 > 2, run: "true", outputs: {data: x}}
  skips: {inputs: {data: never.data}, run: "true"}
  waits: {needs: [never], run: "true"}
  wrong: {needs: [after], when: stages.after.result.nothing > 1, run: "true"}
""")
    assert ended.state == "failed"
    assert ended.states == {
        "bad": "failed",
        "few[x=0]": "succeeded",
        "few[x=1]": "failed",
        "needs": "upstream_failed",
        "below": "upstream_failed",
        "after": "succeeded",
        "never": "skipped",
        "skips": "skipped",
        "waits": "succeeded",
        "wrong": "failed",
    }
    reasons = {key: row.reason or "" for key, row in ended.stages.items()}
    assert reasons["bad"] == "the command ended with exit code 3"
    assert reasons["needs"] == "needs bad" and reasons["below"] == "needs needs"
    assert reasons["never"] == "when: 1 > 2" and reasons["skips"] == "skipped: never"
    assert reasons["wrong"].startswith("when: stages.after.result.nothing")
    assert ended.message == "stages failed: bad, wrong"


async def test_never_more_than_max_parallel(yard: Yard) -> None:
    here, log = yard.workshop.folder / "here", yard.workshop.folder / "log"
    here.mkdir()
    command = f"touch {here}/$x; ls {here} | wc -l >> {log}; sleep 0.3; rm {here}/$x"
    ended = await yard.run(f"""
name: par
max_parallel: 2
stages:
  many: {{matrix: {{x: [1, 2, 3, 4, 5]}}, run: "{command}"}}
  alone: {{matrix: {{y: [1, 2]}}, max_parallel: 1, run: "true"}}
""")
    assert ended.state == "succeeded"
    seen = [int(line) for line in log.read_text().split()]
    assert len(seen) == 5 and max(seen) <= 2


async def test_a_deadline_ends_the_run_with_its_teardown(yard: Yard) -> None:
    text, marks, _ = waiting(yard, "deadline: 4s\n")
    ended = await yard.run(text + "  later: {needs: [main], run: 'true'}\n")
    assert ended.state == "failed" and ended.message == "the deadline of 4 s passed"
    assert ended.states == {"main": "cancelled", "later": "cancelled"}
    assert {str(row.state) for row in ended.attempts} <= {"cancelled"}
    assert await lines(marks) <= 1 and await yard.workshop.nodes() == []


async def test_a_cancelled_run_leaves_nothing(yard: Yard) -> None:
    text, marks, _ = waiting(yard)
    run_id = await yard.start(text)
    await running(marks)
    await yard.ledger.request_cancel(run_id, "enough")
    ended = await yard.end(run_id)
    assert ended.state == "cancelled" and ended.states == {"main": "cancelled"}
    assert ended.stages["main"].reason == "enough"
    assert [str(row.state) for row in ended.attempts] == ["cancelled"]
    assert await yard.workshop.nodes() == []
    assert await flow_states(yard, run_id) == {"CANCELLED"}


async def flow_states(yard: Yard, run_id: str) -> set[str]:
    """States of all flow runs of a run."""
    wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[f"stix-run:{run_id}"]))
    rows = await yard.workshop.runtime.prefect.read_flow_runs(flow_run_filter=wanted)
    return {row.state.type.value for row in rows if row.state}


async def test_the_second_time_is_cached_unless_forced(yard: Yard) -> None:
    marks = yard.workshop.folder / "marks"
    text = f"""
name: cached
stages:
  a: {{run: "echo a >> {marks}; echo a > out", outputs: {{data: out}}}}
  b: {{inputs: {{x: a.data}}, run: "echo b >> {marks}; echo b > out", outputs: {{data: out}}}}
"""
    first = await yard.run(text)
    again = await yard.run(text)
    assert again.states == {"a": "cached", "b": "cached"} and await lines(marks) == 2
    assert again.stages["a"].reason == f"unchanged since run {first.run.id}"
    assert again.stages["b"].outputs == first.stages["b"].outputs
    forced = await yard.run(text, options={"force": ["a"]})
    assert forced.states == {"a": "succeeded", "b": "cached"} and await lines(marks) == 3
    whole = await yard.run(text, options={"no_cache": True})
    assert whole.states == {"a": "succeeded", "b": "succeeded"} and await lines(marks) == 5


async def test_a_resume_keeps_what_succeeded(yard: Yard) -> None:
    marks, go = yard.workshop.folder / "marks", yard.workshop.folder / "go"
    run_id = await yard.start(f"""
name: again
stages:
  a: {{run: "echo a >> {marks}"}}
  b: {{needs: [a], run: "echo b >> {marks}; test -e {go}"}}
  c: {{needs: [b], run: "echo c >> {marks}"}}
""")
    first = await yard.end(run_id)
    assert first.states == {"a": "succeeded", "b": "failed", "c": "upstream_failed"}
    go.touch()
    await yard.ledger.resume_run(run_id)
    ended = await yard.end(run_id)
    assert ended.state == "succeeded" and set(ended.states.values()) == {"succeeded"}
    assert marks.read_text().split() == ["a", "b", "b", "c"]
    assert ended.run.flow_run_id == first.run.flow_run_id
    assert [(r.number, r.resume) for r in ended.attempts if r.key == "b"] == [(1, 0), (2, 1)]
    assert await flow_states(yard, run_id) == {"COMPLETED"}


# -- takeover -----------------------------------------------------------------------------------


async def test_another_engine_goes_on_with_the_running_command(yard: Yard) -> None:
    text, marks, go = waiting(yard)
    run_id = await yard.start(text)
    await running(marks)
    [first] = yard.engines
    await first.leave()
    assert [str(row.state) for row in await yard.ledger.attempts(run_id)] == ["running"]
    await yard.engine()
    go.touch()
    ended = await yard.end(run_id)
    assert ended.state == "succeeded" and ended.numbers("main") == [1]
    assert await lines(marks) == 1
    assert await flow_states(yard, run_id) == {"COMPLETED"}
    assert len(await yard.ledger.receipts(run_id)) == 1


async def test_an_end_that_was_told_is_not_lived_twice(yard: Yard) -> None:
    claim, die = await yard.begun_elsewhere(ONE)
    await begin(yard, claim.fence)
    made = {"outputs": {}, "result": {"x": 1}}
    await yard.ledger.record_step(claim.fence, "main", 1, "collect", made)
    await yard.ledger.finish_attempt(claim.fence, "main", 1, AttemptState.SUCCEEDED)
    ended: Ended = await die()
    assert ended.states == {"main": "succeeded"} and ended.numbers("main") == [1]
    assert ended.stages["main"].result == {"x": 1}


async def test_a_policy_that_gave_up_is_not_asked_again(yard: Yard) -> None:
    claim, die = await yard.begun_elsewhere(ONE)
    await begin(yard, claim.fence)
    event = UserError(exit_code=3, detail="exit code 3")
    decision = Decision(GiveUp("no more"), "user_error", 0, 0, "no more")
    await yard.ledger.finish_attempt(
        claim.fence,
        "main",
        1,
        AttemptState.FAILED,
        event=event.to_dict(),
        action=decision.to_dict(),
    )
    ended = await die()
    assert ended.states == {"main": "failed"} and ended.numbers("main") == [1]
    assert ended.stages["main"].reason == "exit code 3"


async def test_a_retry_that_was_granted_is_taken(yard: Yard) -> None:
    claim, die = await yard.begun_elsewhere(ONE)
    await begin(yard, claim.fence)
    decision = Decision(RetryHere(0), "user_error", 1, 1, "again")
    await yard.ledger.finish_attempt(
        claim.fence,
        "main",
        1,
        AttemptState.FAILED,
        event=UserError(exit_code=3).to_dict(),
        action=decision.to_dict(),
    )
    ended = await die()
    assert ended.states == {"main": "succeeded"} and ended.numbers("main") == [1, 2]


async def test_a_failure_before_the_release_is_not_run_again(yard: Yard) -> None:
    claim, die = await yard.begun_elsewhere(ONE)
    await begin(yard, claim.fence)
    failure = UserError(exit_code=9, detail="exit code 9").to_dict()
    await yard.ledger.record_step(claim.fence, "main", 1, "failure", failure)
    ended = await die()
    assert ended.states == {"main": "failed"} and ended.numbers("main") == [1]
    assert ended.attempts[0].exit_code == 9
    assert await yard.ledger.receipts(claim.run_id) == []


async def test_nodes_that_were_swept_meanwhile_are_lost_ones(yard: Yard) -> None:
    claim, die = await yard.begun_elsewhere(ONE)
    await begin(yard, claim.fence)
    cluster = {
        "key": "main",
        "attempt": 1,
        "token": f"{claim.run_id}.main.1",
        "cloud": "local",
        "offer": {},
        "nodes": [],
        "price_usd_h": 0,
    }
    await yard.ledger.add_cluster(claim.fence, cluster)
    await yard.ledger.close_cluster(None, str(cluster["token"]), "swept")
    ended = await die()
    assert ended.states == {"main": "succeeded"} and ended.numbers("main") == [1, 2]
    assert ended.attempts[0].event["kind"] == "node_lost"
    assert len(await yard.ledger.receipts(claim.run_id)) == 1


async def begin(yard: Yard, fence: Fence) -> None:
    [offer] = await yard.workshop.runtime.clouds.get("local").offers()
    choice = {"offer": offer.to_dict(), "demand": {"cpus": 1}}
    await yard.ledger.update_stage(fence, "main", state=StageState.RUNNING)
    await yard.ledger.start_attempt(fence, "main", 1, choice)


async def test_a_run_whose_secrets_are_gone_fails_and_says_so(yard: Yard) -> None:
    text = "name: s\nstages:\n  main: {run: 'true', secrets: [TOKEN]}\n"
    claim, die = await yard.begun_elsewhere(text, TOKEN="very-secret-value")
    await begin(yard, claim.fence)
    yard.workshop.runtime.vault.delete(claim.run_id)
    ended = await die()
    assert ended.state == "failed" and "no value for TOKEN" in ended.message
    assert ended.states == {"main": "cancelled"}
    assert [str(row.state) for row in ended.attempts] == ["cancelled"]
    assert "RUNNING" not in await flow_states(yard, claim.run_id)
    assert "PENDING" not in await flow_states(yard, claim.run_id)


# -- the engine itself --------------------------------------------------------------------------


async def test_adopting_waits_for_whoever_has_the_run(yard: Yard) -> None:
    text, marks, go = waiting(yard)
    run_id = await yard.start(text)
    other = await yard.engine()
    await running(marks)
    adoptions = [asyncio.create_task(e.host.adopt(run_id)) for e in (yard.engines[0], other)]
    await asyncio.sleep(1)
    assert not any(task.done() for task in adoptions)
    go.touch()
    await yard.end(run_id)
    await asyncio.wait_for(asyncio.gather(*adoptions), 60)


async def test_a_run_that_is_resumed_at_its_end_does_not_end_the_engine(yard: Yard) -> None:
    marks = yard.workshop.folder / "marks"
    text = f"name: r\nstages:\n  main: {{run: 'echo x >> {marks}; exit 1'}}\n"
    run_id = await yard.start(text)
    for count in range(1, 4):
        await running(marks, count)
        while not (await yard.ledger.run(run_id)).state.final:
            await asyncio.sleep(0.005)
        await yard.ledger.resume_run(run_id)
    ended = await yard.end(run_id)
    assert ended.state == RunState.FAILED and ended.numbers("main") == [1, 2, 3, 4]
    assert not yard.engines[0].serving.done()


async def test_a_run_of_nonsense_fails_alone(yard: Yard) -> None:
    run_id = await yard.workshop.submit(ONE)
    ledger = yard.ledger
    broken = f"broken-{uuid.uuid4().hex[:8]}"
    row = await ledger.run(run_id)
    await ledger.create_run(NewRun(broken, "broken", {"no": "spec"}, [NewStage("a", "a")]))
    await yard.engine()
    assert (await yard.end(row.id)).state == "succeeded"
    ended = await yard.end(broken)
    assert ended.state == "failed" and ended.message.startswith("the engine failed")
    assert ended.states == {"a": "cancelled"}
