"""However a run ends, it leaves nothing behind: shown by listing what is there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import CONFIG
from tests.acceptance.leftovers import leftovers, prefect
from tests.acceptance.user import User, by_key, kinds, states
from tests.support.server import NewServer, ServerHome, eventually

pytestmark = pytest.mark.server

STUBBORN = """
name: stubborn
secrets: {KEY: null}
stages:
  one:
    secrets: {KEY: null}
    setup: |
      BEFORE
    run: |
      trap '' TERM INT HUP
      setsid nohup bash -c "trap '' TERM; cd /; exec sleep 987" >/dev/null 2>&1 &
      echo up
      while :; do sleep 600; done
    outputs: {a: a}
  two:
    inputs: {a: one.a}
    run: echo never
"""
SECRET = ("--secret", "KEY=hidden-from-all")


def cancelled(user: User, run: str) -> dict[str, object]:
    shown = user.end(run)
    assert shown["state"] == "cancelled"
    assert {stage["state"] for stage in shown["stages"]} <= {"cancelled", "succeeded"}
    assert "succeeded" not in {a["state"] for s in shown["stages"][-1:] for a in s["attempts"]}
    assert leftovers(user.server) == {}
    return shown


@pytest.mark.parametrize(("before", "word"), [("true", "up"), ("echo up; sleep 600", "up")])
def test_cancel_of_a_command(user: User, before: str, word: str) -> None:
    run = user.start(STUBBORN.replace("BEFORE", before), *SECRET)
    user.said(run, "one", word)
    assert user.cli("cancel", run).returncode == 0
    shown = cancelled(user, run)
    assert states(shown, "one") == ["cancelled"]
    assert kinds(shown, "one") == ["cancelled"]
    assert prefect_states(user.server, run) >= {"CANCELLED"}


def prefect_states(server: ServerHome, run: str) -> set[str]:
    """States of the run's flow runs in Prefect."""
    wanted = {"flow_runs": {"tags": {"all_": [f"stix-run:{run}"]}}, "limit": 200}
    return {row["state_type"] for row in prefect(server, "/flow_runs/filter", wanted)}


FULL = """
name: full
stages:
  holder:
    resources: {cpus: 8}
    run: echo up; sleep 600
"""
WAITER = """
name: waiter
stages:
  waiter:
    resources: {cpus: 8}
    run: echo never
"""


def test_cancel_while_it_waits_for_room(user: User) -> None:
    holder = user.start(FULL)
    user.said(holder, "holder", "up")
    waiter = user.start(WAITER)

    def waits() -> bool:
        return "waiting for room" in (user.stage(waiter, "waiter")["reason"] or "")

    eventually(waits, seconds=60)
    user.cli("cancel", waiter)
    assert user.server.wait_for_run(waiter)["state"] == "cancelled"
    assert user.stage(holder, "holder")["state"] == "running"
    user.cli("cancel", holder)
    cancelled(user, holder)


MOMENTS = {
    "name": "moments",
    "secrets": {"KEY": None},
    "stages": {
        "a": {
            "secrets": {"KEY": None},
            "setup": "echo set",
            "run": 'head -c 30000000 /dev/zero > big; exit "$((STIX_ATTEMPT < 2))"',
            "outputs": {"big": "big"},
            "cache": False,
            "recovery": {"user_error": {"retries": 1, "backoff": 0.3}},
        },
        "b": {"inputs": {"big": "a.big"}, "run": "wc -c inputs/big"},
    },
}


@pytest.mark.full
def test_cancel_at_any_moment(user: User) -> None:
    """Cancelled after every second event of the run in turn, so that each step is hit."""
    ends: list[str] = []
    for after in range(1, 80, 2):
        made = user.client.create_run({"spec": MOMENTS, "secrets": {"KEY": "hidden-from-all"}})
        run, events = str(made["id"]), 0
        while events < after and user.client.run(run)["state"] in ("queued", "running"):
            events += len(user.client.events(run, after=events, wait=5))
        user.client.cancel(run)
        ends.append(user.server.wait_for_run(run)["state"])
        if events < after:
            break
    assert set(ends) == {"cancelled", "succeeded"}
    assert ends.count("cancelled") > 8
    assert leftovers(user.server) == {}


def test_cancel_in_prefect(user: User) -> None:
    """The Cancel button of the Prefect UI, on a run and on one of its stages."""
    for name in ("pipeline", "stage"):
        run = user.start(STUBBORN.replace("BEFORE", "true"), *SECRET)
        user.said(run, "one", "up")
        row = user.client.run(run)
        of_stage = user.stage(run, "one")["flow_run_id"]
        flow_run = row["flow_run_id"] if name == "pipeline" else of_stage
        state = {"type": "CANCELLING", "name": "Cancelling"}
        answer = prefect(user.server, f"/flow_runs/{flow_run}/set_state", {"state": state})
        assert answer["status"] == "ACCEPT"
        shown = cancelled(user, run)
        assert "Prefect" in str(shown["reason"])
        assert prefect_states(user.server, run) == {"CANCELLED"}


def test_a_deadline(user: User) -> None:
    text = STUBBORN.replace("BEFORE", "true").replace("name: stub", "deadline: 2s\nname: stub")
    run = user.start(text, *SECRET)
    shown = user.end(run)
    assert shown["state"] == "failed"
    assert "deadline of 2 s" in user.cli("runs", "show", run).stdout
    assert {stage["state"] for stage in shown["stages"]} == {"cancelled"}
    assert leftovers(user.server) == {}


def test_a_stage_timeout(user: User) -> None:
    text = STUBBORN.replace("BEFORE", "true").replace(
        "    run: |", "    timeout: 1s\n    run: |", 1
    )
    shown = user.run(text, *SECRET)
    assert shown["state"] == "failed"
    assert kinds(shown, "one") == ["timeout"]
    assert leftovers(user.server) == {}


FAULT = """
name: fault
stages:
  beside:
    run: echo up; sleep 600
  source:
    run: |
      echo '{"score": "high"}' > "$STIX_RESULT"
  odd:
    needs: [source]
    when: stages.source.result.score > 0.9
    run: echo never
  missing:
    needs: [source]
    when: stages.source.result.other > 0.9
    run: echo never
"""


def test_a_condition_without_a_value(user: User) -> None:
    """It fails its own stage, with the reason, and no other."""
    run = user.start(FAULT)
    user.said(run, "beside", "up")
    eventually(lambda: user.stage(run, "missing")["state"] == "failed", seconds=60)
    eventually(lambda: user.stage(run, "odd")["state"] == "failed", seconds=60)
    assert "result.score > 0.9: > does not fit 'high' and 0.9" in user.stage(run, "odd")["reason"]
    assert (
        "result.other > 0.9: stages.source.result.other has no value"
        in user.stage(run, "missing")["reason"]
    )
    assert user.stage(run, "beside")["state"] == "running"
    user.cli("cancel", run)
    user.server.wait_for_run(run)
    assert leftovers(user.server) == {}


@pytest.fixture
def small_disk(new_server: NewServer) -> Iterator[User]:
    """A server whose artifact store lies on a file system of 4 MiB."""
    server = new_server(CONFIG, started=False)
    store = server.home / "artifacts"
    store.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this machine cannot mount a tmpfs: {done.stderr}")
    folder = server.home / "work"
    folder.mkdir()
    try:
        yield User(server.start(), folder)
        server.stop()
    finally:
        subprocess.run(["umount", "-l", str(store)], check=True)


FILLING = """
name: filling
stages:
  big:
    run: |
      WHAT
    outputs: {big: big}
    recovery: none
  beside:
    run: echo beside
"""


def test_a_full_disk(small_disk: User) -> None:
    run = small_disk.run(FILLING.replace("WHAT", "head -c 20000000 /dev/urandom > big"))
    assert run["state"] == "failed"
    assert "space" in by_key(run)["big"]["reason"]
    assert by_key(run)["beside"]["state"] == "succeeded"
    assert leftovers(small_disk.server) == {}


def test_a_disk_that_is_full_of_logs(small_disk: User) -> None:
    """The logs of a failed, of a cancelled and of a good attempt have no room either."""
    (small_disk.server.home / "artifacts" / "filler").write_bytes(os.urandom(4 << 20)[: 4 << 20])
    for ends, state in (("exit 3", "failed"), ("sleep 600", "cancelled"), ("touch big", "failed")):
        what = f"head -c 3000000 /dev/urandom | base64; echo up; {ends}"
        run = small_disk.start(FILLING.replace("WHAT", what))
        if state == "cancelled":
            small_disk.said(run, "big", "up")
            small_disk.cli("cancel", run)
        shown = small_disk.end(run)
        assert shown["state"] == state
        assert leftovers(small_disk.server) == {}


def test_the_listing_sees_what_is_there(user: User, tmp_path: Path) -> None:
    """While a run lives, each kind of trace is found; or the tests above would prove nothing."""
    run = user.start(STUBBORN.replace("BEFORE", "true"), *SECRET)
    user.said(run, "one", "up")
    found = eventually(lambda: leftovers(user.server, seconds=0), seconds=30)
    expected = {"processes", "directories", "sockets", "vault", "flow runs", "task runs"}
    expected |= {"intents", "clusters", "attempts", "stages", "leases"}
    assert set(found) == expected
    assert len(found["processes"]) >= 4  # keeper, agent, the command, and what it detached
    user.cli("cancel", run)
    cancelled(user, run)
