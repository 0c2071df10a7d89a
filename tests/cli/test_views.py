"""Runs as text: tables, progress lines, the live tree."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from stix.cli import output, view
from stix.cli.follow import Lines
from stix.cli.live import LiveView, nested
from stix.client.api import Client

STARTED, ENDED = "2026-11-20T10:00:00+00:00", "2026-11-20T10:01:05+00:00"
OFFER = {
    "offer": {"cloud": "ssh", "region": "lab", "zone": "n1", "instance_type": "big", "spot": True}
}


def stage(key: str, state: str = "pending", **more: Any) -> dict[str, Any]:
    return {"key": key, "state": state, "needs": [], "attempts": [], "outputs": None, **more}


def attempt(number: int, state: str, **more: Any) -> dict[str, Any]:
    return {"number": number, "state": state, "offer": OFFER, "started": STARTED, **more}


def a_run(*stages: dict[str, Any], state: str = "running") -> dict[str, Any]:
    return {
        "id": "r1",
        "name": "train",
        "state": state,
        "stages": list(stages),
        "receipts": [
            {"usd": "0.25", "key": "b", "attempt": 1},
            {"usd": "0.01", "key": "b", "attempt": 2},
        ],
        "artifacts": [{"key": "b", "name": "model", "kind": "output", "digest": "d"}],
        "started": STARTED,
        "ended": ENDED,
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.04, "0.0s"),
        (9.96, "10.0s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (185, "3m05s"),
        (7620, "2h07m"),
        (273600, "3d04h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert output.duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, "-"), (0, "$0.00"), ("1.239", "$1.24"), (0.0001, "$0.000100"), (12, "$12.00")],
)
def test_money(amount: Any, text: str) -> None:
    assert output.usd(amount) == text


def test_times_of_the_api_are_utc() -> None:
    assert output.between(STARTED, ENDED) == 65
    assert output.between("2026-11-20T10:00:00", ENDED) == 65
    assert output.between(0, 5) is None
    assert output.between(100, 105.5) == 5.5


def test_a_table_is_aligned_and_has_no_colour_off_a_terminal() -> None:
    text = output.table(["name", "state"], [("a", "failed"), ("longer", None)])
    assert text == "NAME    STATE\na       failed\nlonger  -"


def test_the_stage_table_says_where_and_why() -> None:
    failed = stage(
        "b",
        "failed",
        attempts=[attempt(1, "failed"), attempt(2, "failed")],
        reason="the command ended with exit code 3",
        started=STARTED,
        ended=ENDED,
    )
    text = view.stage_table(a_run(stage("a"), failed))
    row = text.splitlines()[2]
    assert row.split()[:4] == ["b", "failed", "1m05s", "2"]
    assert "ssh/lab/n1 big spot" in row
    assert row.endswith("exit code 3")
    assert "$0.26" in row


def test_attempts_name_what_ended_them() -> None:
    lost = attempt(1, "failed", event={"kind": "node_lost", "detail": ""}, ended=ENDED)
    left = attempt(2, "failed", event={"kind": "user_error", "exit_code": 75}, ended=ENDED)
    lines = view.attempts_table(a_run(stage("b", attempts=[lost, left]))).splitlines()
    assert lines[1].endswith("node lost")
    assert lines[2].endswith("user error, exit code 75")


def test_what_an_attempt_went_on_from_is_shown() -> None:
    taken = {"number": 12, "attempt": 1, "bytes": 2048, "taken": STARTED, "digest": "d"}
    second = {**attempt(2, "running"), "steps": {"sync": {"result": {"checkpoint": taken}}}}
    first = {**attempt(1, "failed"), "steps": {"sync": {"result": {}}}}
    text = view.checkpoints_table(a_run(stage("a"), stage("b", attempts=[first, second])))
    (row,) = text.splitlines()[1:]
    when = f"{output.moment(STARTED):%H:%M:%S}"
    assert row.split() == f"b 2 checkpoint 12 of attempt 1 {when} {output.size(2048)}".split()
    assert view.checkpoints_table(a_run(stage("b", attempts=[first]))) == ""


def test_mounts_are_shown_with_their_tool_and_what_was_flushed() -> None:
    mounts = [
        {"target": "data", "rank": 0, "url": "s3://b", "mode": "MOUNT", "tool": "rclone 1.75.2"},
        {"target": "in", "rank": 0, "url": "s3://c", "mode": "STREAM", "tool": "rclone 1.75.2"},
    ]
    flushed = [{"target": "data", "rank": 0, "files": 2, "bytes": 2048}]
    steps = {
        "mounts": {"result": {"mounted": mounts}},
        "flush": {"result": {"flushed": flushed}},
    }
    text = view.mounts_table(a_run(stage("a", attempts=[{"number": 1, "steps": steps}])))
    assert "s3://b" in text and "rclone 1.75.2" in text and "2 files, 2.0 KiB" in text
    assert view.mounts_table(a_run(stage("a"))) == ""


def test_what_was_asked_for_in_vain_is_shown() -> None:
    tried = {
        "infra": "aws/us-east-1",
        "instance_type": "p4d.24xlarge",
        "spot": True,
        "event": {"kind": "denied", "scope": "cloud", "detail": "the login is refused"},
        "decision": "the cloud refused the login: the next offer at once, retry 1",
    }
    asked = {
        **attempt(1, "running"),
        "steps": {"shortages": {"result": {"count": 1, "tried": [tried]}}},
    }
    lines = view.tried_table(a_run(stage("a"), stage("b", attempts=[asked]))).splitlines()
    assert lines[1].startswith("b      1        aws/us-east-1 p4d.24xlarge spot  denied, the login")
    assert lines[1].endswith("the next offer at once, retry 1")
    assert view.tried_table(a_run(stage("a", attempts=[attempt(1, "running")]))) == ""


def test_results_are_a_table_with_a_column_per_name() -> None:
    run = a_run(
        stage("a", result={"score": 0.98765432, "model": "svm"}),
        stage("b"),
        stage("c", result={"n": 3}),
    )
    lines = view.results_table(run).splitlines()
    assert lines[0].split() == ["STAGE", "SCORE", "MODEL", "N"]
    assert lines[1].split() == ["a", "0.987654", "svm", "-"]
    assert lines[2].split() == ["c", "-", "-", "3"]


@pytest.mark.parametrize(("state", "code"), [("succeeded", 0), ("failed", 100), ("cancelled", 103)])
def test_exit_codes(state: str, code: int) -> None:
    run = a_run(stage("a", state, attempts=[attempt(1, state, ended=ENDED)]), state=state)
    assert view.exit_code(run) == code


def test_a_run_that_never_began_could_not_run() -> None:
    assert view.exit_code(a_run(stage("a", "cancelled"), state="failed")) == 1
    assert view.exit_code(a_run(stage("a", "failed"), state="failed")) == 100
    assert view.exit_code(a_run(stage("a", "cancelled"), state="cancelled")) == 103


def test_lines_tell_each_change_once() -> None:
    out = io.StringIO()
    lines = Lines(out)
    first = stage("a", "running", attempts=[attempt(1, "running")], started=STARTED)
    lines.update(a_run(first, stage("b")))
    lines.update(a_run(first, stage("b")))
    again = {**first, "attempts": [attempt(1, "failed"), attempt(2, "running")]}
    lines.update(a_run(again, stage("b")))
    lines.update(a_run({**again, "state": "succeeded", "ended": ENDED}, stage("b")))
    said = [line.partition("] ")[2] for line in out.getvalue().splitlines()]
    assert said == [
        "a: running, ssh/lab/n1 big spot",
        "a: running, attempt 2, ssh/lab/n1 big spot",
        "a: succeeded, attempt 2, 1m05s",
    ]


def test_stages_are_drawn_under_what_they_need() -> None:
    stages = [
        stage("prepare"),
        stage("train[a]", needs=["prepare"]),
        stage("train[b]", needs=["prepare"]),
        stage("compare", needs=["train[a]", "train[b]"]),
        stage("alone"),
    ]
    assert [(guide, s["key"]) for guide, s in nested(stages)] == [
        ("", "prepare"),
        ("├─ ", "train[a]"),
        ("└─ ", "train[b]"),
        ("   └─ ", "compare"),
        ("", "alone"),
    ]


def test_a_long_chain_is_drawn_without_recursion() -> None:
    stages = [stage("s0"), *(stage(f"s{i}", needs=[f"s{i - 1}"]) for i in range(1, 3000))]
    assert len(nested(stages)) == 3000


def draw(run: dict[str, Any], height: int = 12) -> str:
    console = Console(file=io.StringIO(), width=110, height=height, force_terminal=True)
    live = LiveView(Client("http://127.0.0.1:9"), "r1", console=console)
    live.update(run)
    with console.capture() as capture:
        console.print(live.render())
    return Console(file=io.StringIO()).render_str(capture.get()).plain


def test_the_frame_shows_state_place_attempts_and_reason() -> None:
    done = stage("a", "succeeded", started=STARTED, ended=ENDED, attempts=[attempt(1, "succeeded")])
    bad = stage("b", "failed", needs=["a"], attempts=[attempt(1, "failed"), attempt(2, "failed")])
    text = draw(a_run(done, {**bad, "reason": "exit code 3"}))
    assert "a" in text
    assert "1m05s" in text
    assert "attempt 2" in text
    assert "exit code 3" in text
    assert "Ctrl-C detaches" in text


def test_a_frame_fits_the_terminal_and_keeps_what_matters() -> None:
    many = [stage(f"done{i}", "succeeded") for i in range(200)]
    text = draw(a_run(*many, stage("broken", "failed"), stage("waits")), height=12)
    assert len(text.rstrip().splitlines()) <= 12
    assert "broken" in text
    assert "waits" in text
    assert "succeeded" in text
