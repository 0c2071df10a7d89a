"""The steps of an attempt, one by one, on real nodes and a real ledger."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from stix.clouds.base import CanChaos, Selector
from stix.clouds.errors import TransientError
from stix.clouds.wrappers import Call, wrap
from stix.engine.runtime import ATTEMPT, Attempt
from stix.ledger import Fenced
from stix.plan.offers import Demand
from stix.plan.placement import Choice
from stix.recovery.events import NodeLost, SetupFailed, TimedOut, UserError
from stix.remote.base import ConnectionLost
from stix.tasks.collect import RESULT_LIMIT, collect, parse_result
from stix.tasks.failures import StepFailed
from stix.tasks.provision import provision
from stix.tasks.release import release
from stix.tasks.run import run as run_step
from stix.tasks.run import setup
from stix.tasks.sync import sync
from tests.support.workshop import Workshop

T = TypeVar("T")

pytestmark = pytest.mark.usefixtures("no_run_logger")


def stage(run: str, more: str = "") -> str:
    return f"name: p\nstages:\n  main:\n    run: {json.dumps(run)}\n{more}"


async def begin(workshop: Workshop, text: str, *steps: str, **secrets: str) -> Attempt:
    """An attempt with its nodes, after ``steps``."""
    attempt = await workshop.attempt(await workshop.context(text, **secrets))
    await do(attempt, "provision", *steps)
    return attempt


async def do(attempt: Attempt, *names: str) -> None:
    """Take steps of the attempt, as the stage's flow would."""
    tasks = {
        "provision": provision,
        "sync": sync,
        "setup": setup,
        "run": run_step,
        "collect": collect,
        "release": release,
    }
    ATTEMPT.set(attempt)
    for name in names:
        await tasks[name].fn(attempt.run.run_id, attempt.key, attempt.number)


def work(attempt: Attempt, rank: int = 0) -> Path:
    return Path(next(n.directory for n in attempt.nodes if n.rank == rank)) / "work"


# -- the way of an attempt ----------------------------------------------------------------------


async def test_all_steps_leave_outputs_logs_a_receipt_and_no_node(workshop: Workshop) -> None:
    text = stage(
        "echo to the log; mkdir out; echo data > out/f; echo '{\"score\": 0.5}' > $STIX_RESULT",
        "    outputs: {data: out}\n",
    )
    attempt = await begin(workshop, text, "run", "collect", "release")
    store, ledger = workshop.runtime.store, workshop.ledger
    made = attempt.steps["collect"]
    assert made["result"] == {"score": 0.5}
    target = workshop.folder / "fetched"
    store.get(made["outputs"]["data"], target)
    assert (target / "f").read_text() == "data\n"
    assert (attempt.log_dir / "run-0.log").read_text() == "to the log\n"
    assert await workshop.nodes() == [] and attempt.clients == {}
    assert len(await ledger.receipts(attempt.run.run_id)) == 1
    assert await ledger.open_intents() == []
    kinds = {(a.kind, a.name) for a in await ledger.artifacts(attempt.run.run_id)}
    assert kinds == {("output", "data"), ("log", "logs")}


async def test_provision_and_release_may_be_repeated(workshop: Workshop) -> None:
    attempt = await begin(workshop, stage("true", "    num_nodes: 2\n"))
    first = [node.ref.id for node in attempt.nodes]
    attempt.nodes = []
    await do(attempt, "provision")
    assert [node.ref.id for node in attempt.nodes] == first
    await do(attempt, "release", "release")
    assert len(await workshop.ledger.receipts(attempt.run.run_id)) == 2


async def test_release_finds_nodes_that_were_not_recorded(workshop: Workshop) -> None:
    attempt = await begin(workshop, stage("true"))
    attempt.nodes = []
    await do(attempt, "release")
    assert await workshop.nodes() == []


async def test_a_stale_fence_creates_nothing(workshop: Workshop) -> None:
    attempt = await workshop.attempt(await workshop.context(stage("true")))
    await workshop.ledger.release(attempt.run.fence)
    assert await workshop.ledger.claim_run(workshop.runtime.engine_id, attempt.run.run_id)
    with pytest.raises(Fenced):
        await do(attempt, "provision")
    assert await workshop.nodes() == []


async def test_a_node_refuses_the_job_of_an_old_owner(workshop: Workshop) -> None:
    attempt = await begin(workshop, stage("true"), "run")
    stale = Attempt(**{**attempt.__dict__, "number": 2, "clients": {}, "steps": {}})
    stale.run.fence = type(attempt.run.fence)(attempt.run.run_id, attempt.run.fence.token - 1)
    with pytest.raises(Fenced):
        await do(stale, "run")
    for client in stale.clients.values():
        await client.close()


async def test_a_shortage_gives_a_new_token_that_survives_a_crash(workshop: Workshop) -> None:
    text = stage("true", "    resources: {cpus: 1+}\n    recovery: {capacity: {retries: 1}}\n")
    attempt = await workshop.attempt(await workshop.context(text))
    small, first = attempt.choice, attempt.token
    attempt.choice = Choice(small.offer, Demand(cpus=10_000))
    await do(attempt, "provision")  # too big here, then what the plan says
    assert attempt.choice == small and attempt.token == f"{first}.1"
    [row] = await workshop.ledger.attempts(attempt.run.run_id)
    assert Choice.from_dict(row.offer) == small
    again = Attempt(**{**attempt.__dict__, "shortages": [], "nodes": []})
    again.steps = {name: step["result"] for name, step in row.steps.items()}
    assert again.token == attempt.token
    await do(again, "provision")
    assert [n.ref for n in again.nodes] == [n.ref for n in attempt.nodes]


# -- commands -----------------------------------------------------------------------------------


async def test_the_first_failure_ends_the_other_nodes_and_is_the_answer(
    workshop: Workshop,
) -> None:
    command = "if [ $STIX_NODE_RANK = 1 ]; then exit 7; fi; sleep 600"
    attempt = await begin(workshop, stage(command, "    num_nodes: 3\n"))
    with pytest.raises(StepFailed) as failed:
        await do(attempt, "run")
    assert failed.value.event == UserError(exit_code=7)
    for client in attempt.clients.values():
        assert not any(s == "running" for s in (await client.hello())["jobs"].values())


async def test_output_of_several_nodes_is_kept_apart(workshop: Workshop) -> None:
    attempt = await begin(workshop, stage("echo $STIX_NODE_RANK", "    num_nodes: 3\n"), "run")
    assert [(attempt.log_dir / f"run-{r}.log").read_text() for r in range(3)] == [
        "0\n",
        "1\n",
        "2\n",
    ]


async def test_a_failed_setup_is_no_user_error(workshop: Workshop) -> None:
    attempt = await begin(workshop, stage("true", "    setup: exit 4\n"))
    with pytest.raises(StepFailed) as failed:
        await do(attempt, "setup")
    assert failed.value.event == SetupFailed(exit_code=4)


async def test_the_timeout_counts_from_the_first_start(workshop: Workshop) -> None:
    attempt = await begin(workshop, stage("sleep 600", "    timeout: 1h\n"))
    await attempt.finish_step("clock", {"started": 1.0})
    with pytest.raises(StepFailed) as failed:
        await do(attempt, "run")
    assert failed.value.event == TimedOut()
    assert "3600 s" in failed.value.message


async def test_a_preempted_node_is_told_from_a_lost_one(workshop: Workshop) -> None:
    cloud = workshop.runtime.clouds.get("local")
    assert isinstance(cloud, CanChaos)
    for hurt, kind in ((cloud.preempt, "preempted"), (cloud.kill, "node_lost")):
        attempt = await begin(workshop, stage("sleep 600"))
        await hurt(attempt.nodes[0].ref)
        with pytest.raises(StepFailed) as failed:
            await do(attempt, "run")
        assert failed.value.event.kind == kind
        await do(attempt, "release")


# -- sync ---------------------------------------------------------------------------------------


async def test_the_working_directory_and_mounts_arrive_on_every_node(workshop: Workshop) -> None:
    (workshop.folder / "src").mkdir()
    (workshop.folder / "src" / "main.py").write_text("print(1)")
    (workshop.folder / "one.txt").write_text("one")
    more = "    workdir: src\n    num_nodes: 2\n    file_mounts: {sub/two.txt: one.txt}\n"
    attempt = await begin(workshop, stage("true", more), "sync")
    for rank in (0, 1):
        assert (work(attempt, rank) / "main.py").read_text() == "print(1)"
        assert (work(attempt, rank) / "sub" / "two.txt").read_text() == "one"
    await do(attempt, "sync")  # again, after a takeover


async def test_what_lies_on_a_shared_host_is_never_overwritten(workshop: Workshop) -> None:
    (workshop.folder / "one.txt").write_text("one")
    taken = workshop.folder / "taken"
    taken.write_text("somebody's")
    attempt = await begin(workshop, stage("true", f"    file_mounts: {{{taken}: one.txt}}\n"))
    with pytest.raises(StepFailed, match="exists on the host already") as failed:
        await do(attempt, "sync")
    assert failed.value.event.kind == "setup_failed"
    await do(attempt, "release")
    assert taken.read_text() == "somebody's"


async def test_a_dangling_link_counts_as_somebodys(workshop: Workshop) -> None:
    (workshop.folder / "one.txt").write_text("one")
    taken = workshop.folder / "taken"
    taken.symlink_to("nowhere")
    attempt = await begin(workshop, stage("true", f"    file_mounts: {{{taken}: one.txt}}\n"))
    with pytest.raises(StepFailed, match="exists on the host already"):
        await do(attempt, "sync")


async def test_a_shared_target_is_ours_until_the_release(workshop: Workshop) -> None:
    (workshop.folder / "one.txt").write_text("one")
    target = workshop.folder / "shared" / "it's here"
    more = f"    num_nodes: 2\n    file_mounts: {{{json.dumps(str(target))}: one.txt}}\n"
    attempt = await begin(workshop, stage("true", more), "sync")
    assert target.read_text() == "one"
    del attempt.steps["sync"]
    await do(attempt, "sync")  # an engine that takes over knows its own half-done work
    await do(attempt, "release")
    assert not target.exists()
    again = await begin(workshop, stage("true", more), "sync", "release")
    assert again.run.run_id != attempt.run.run_id


async def test_a_target_below_a_file_fails_the_setup(workshop: Workshop) -> None:
    (workshop.folder / "one.txt").write_text("one")
    more = "    file_mounts: {a: one.txt, a/b: one.txt}\n"
    attempt = await begin(workshop, stage("true", more))
    with pytest.raises(StepFailed) as failed:
        await do(attempt, "sync")
    assert failed.value.event.kind == "setup_failed"


# -- collect ------------------------------------------------------------------------------------


async def test_a_missing_output_is_the_users_error(workshop: Workshop) -> None:
    attempt = await begin(workshop, stage("true", "    outputs: {model: out/model.bin}\n"), "run")
    with pytest.raises(StepFailed, match=r"output 'model' is missing.*no out/model.bin") as failed:
        await do(attempt, "collect")
    assert failed.value.event == UserError(exit_code=0)


async def test_an_output_that_no_store_takes_is_the_users_error(workshop: Workshop) -> None:
    text = stage("mkdir out; ln -s /etc/passwd out/x", "    outputs: {data: out}\n")
    attempt = await begin(workshop, text, "run")
    with pytest.raises(StepFailed, match="output 'data' cannot be stored"):
        await do(attempt, "collect")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("echo '[1]' > $STIX_RESULT", "not a JSON object"),
        ("echo '{\"a\": ' > $STIX_RESULT", "Expecting value"),
        ("printf '\\377' > $STIX_RESULT", "decode"),
        ("mkdir $STIX_RESULT", "not a file"),
        ("mkfifo $STIX_RESULT", "not a file"),
        ("ln -s /etc/passwd $STIX_RESULT", "not a file"),
        (f"head -c {RESULT_LIMIT + 1} /dev/zero > $STIX_RESULT", f"{RESULT_LIMIT + 1} bytes"),
    ],
)
async def test_a_result_of_no_use_is_the_users_error(
    workshop: Workshop, command: str, why: str
) -> None:
    attempt = await begin(workshop, stage(command), "run")
    with pytest.raises(StepFailed, match=rf"\$STIX_RESULT cannot be used.*{why}"):
        await do(attempt, "collect")


async def test_a_secret_in_the_result_is_masked(workshop: Workshop) -> None:
    text = stage('printf \'{"a": "%s!"}\' $TOKEN > $STIX_RESULT', "    secrets: [TOKEN]\n")
    attempt = await begin(workshop, text, "run", "collect", TOKEN="very-secret-value")
    assert attempt.steps["collect"]["result"] == {"a": "***!"}


async def test_no_error_of_a_step_tells_a_secret(workshop: Workshop) -> None:
    text = stage('echo "$TOKEN" > $STIX_RESULT; echo "$TOKEN"', "    secrets: [TOKEN]\n")
    attempt = await begin(workshop, text, "run", TOKEN="very-secret-value")
    with pytest.raises(StepFailed) as failed:
        await do(attempt, "collect")
    assert "very-secret-value" not in str(failed.value) + repr(failed.value.event)
    assert (attempt.log_dir / "run-0.log").read_text() == "***\n"


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": ' + b"[" * 100_000,
        b"{" + b'"a": {' * 100_000,
        b'{"a": ' + b"9" * 10_000 + b"}",
        b"",
        b"null",
    ],
)
def test_what_is_no_result_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_result(data)


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ('{"a": "\\\\u0000 spelled out", "é": [1.5, null, true]}', None),
        ('{"n": 1000000000000000000, "e": "😀"}', None),
        ('{"loss": NaN, "a": 1}', {"loss": "nan", "a": 1}),
        ('{"loss": -Infinity, "b": 1e999}', {"loss": "-inf", "b": "inf"}),
        ('{"a": "\\u0000b"}', {"a": "\ufffdb"}),
        ('{"a": "\\ud800"}', {"a": "?"}),
        ("{" + '"a": {' * 200 + "}" * 201, None),
    ],
)
async def test_odd_results_are_kept(workshop: Workshop, data: str, kept: Any) -> None:
    attempt = await workshop.attempt(await workshop.context(stage("true")))
    await attempt.finish_step("collect", {"result": parse_result(data.encode())})
    [row] = await workshop.ledger.attempts(attempt.run.run_id)
    found = row.steps["collect"]["result"]["result"]
    assert found == (json.loads(data) if kept is None else kept)


# -- a cloud out of reach -----------------------------------------------------------------------


async def test_connections_are_closed_by_the_release(workshop: Workshop) -> None:
    attempt = await begin(workshop, stage("true"), "run")
    [client] = attempt.clients.values()
    before = len(os.listdir("/proc/self/fd"))
    await do(attempt, "release")
    assert len(os.listdir("/proc/self/fd")) < before
    assert await workshop.runtime.clouds.get("local").list(Selector()) == []
    with pytest.raises(ConnectionLost):
        await client.hello()


class Cable:
    """The way to a cloud, which can be cut."""

    def __init__(self) -> None:
        self.cut = False

    async def __call__(self, call: Call, proceed: Callable[[], Awaitable[T]]) -> T:
        if self.cut:
            raise TransientError(f"no way to {call.cloud}")
        return await proceed()


async def test_a_cloud_out_of_reach_does_not_hold_the_stage_up(workshop: Workshop) -> None:
    attempt = await begin(workshop, stage("true"))
    run, cable = attempt.run, Cable()
    cloud = workshop.runtime.clouds.get("local")
    workshop.runtime.clouds._open["local"] = wrap(cloud, [cable])
    cable.cut = True
    await attempt.finish_step("failure", NodeLost(detail="silent").to_dict())
    await do(attempt, "release")
    assert len(run.releases) == 1
    assert len(await workshop.nodes_of(cloud)) == 1
    [open_one] = await workshop.ledger.clusters(run.run_id, open_only=True)  # it costs money still
    assert open_one.token == attempt.token
    cable.cut = False
    await asyncio.wait(set(run.releases))
    assert await workshop.nodes_of(cloud) == []
    assert await workshop.ledger.clusters(run.run_id, open_only=True) == []
    assert await workshop.ledger.open_intents() == []


async def test_a_create_of_unknown_effect_leaves_its_intent_open(workshop: Workshop) -> None:
    attempt = await workshop.attempt(await workshop.context(stage("true")))
    cable = Cable()
    workshop.runtime.clouds._open["local"] = wrap(workshop.runtime.clouds.get("local"), [cable])
    cable.cut = True
    with pytest.raises(StepFailed, match="no way to local"):
        await do(attempt, "provision")
    [intent] = await workshop.ledger.open_intents()
    assert intent.token == attempt.token
    cable.cut = False
    await do(attempt, "release")
    assert await workshop.ledger.open_intents() == []
