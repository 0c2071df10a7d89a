"""Secrets reach the commands that name them and nothing else: everything is searched."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.acceptance.conftest import CONFIG
from tests.acceptance.leftovers import prefect
from tests.acceptance.traces import Dump, Watch, dump, files, forms, holding
from tests.acceptance.user import User, by_key
from tests.support.server import NewServer, ServerHome, eventually

pytestmark = pytest.mark.server

PIPELINE = """
name: leaky
stages:
  setup:
    setup: echo "in setup $ALPHA"
    run: echo "$ALPHA"; echo "$ALPHA" >&2; env | sort
  halves:
    run: |
      printf 'first %s' "${ALPHA:0:11}"; sleep 0.7; printf '%s then\\n' "${ALPHA:11}"
      for i in $(seq 0 $((${#BETA} - 1))); do printf '%s' "${BETA:$i:1}"; sleep 0.02; done
      echo; printf '%s' "${BETA:0:9}"
  encoded:
    run: |
      printf '%s' "$ALPHA" | base64 -w0; echo
      printf 'user:%s' "$BETA" | base64 -w0; echo
      python3 -c 'import os, urllib.parse; print(urllib.parse.quote(os.environ["BETA"], safe=""))'
      python3 -c 'import json, os; print(json.dumps({"token": os.environ["BETA"]}))'
  traced:
    run: |
      set -x; : "$ALPHA" "$BETA"; set +x
      python3 -c 'import os; raise SystemExit(os.environ["BETA"])'
    recovery: none
  result:
    run: |
      printf '{"said": "%s", "note": "a %s b"}' "$ALPHA" "$ALPHA" > "$STIX_RESULT"
      echo harmless > out
    outputs: {out: out}
  slow:
    run: echo "$ALPHA"; echo up; while [ ! -e "$GO" ]; do sleep 0.1; done
"""


def everything_said(user: User, run: str) -> list[Dump]:
    """What the command line and both APIs tell of a run."""
    pages: list[Dump] = []
    wanted = {"sort": "TIMESTAMP_ASC", "limit": 200}
    while True:
        page = prefect(user.server, "/logs/filter", {**wanted, "offset": 200 * len(pages)})
        pages.append(Dump("prefect logs", json.dumps(page).encode()))
        if len(page) < 200:
            break
    commands = [
        ("runs", "show", run),
        ("runs", "show", run, "--output", "json"),
        ("logs", run),
        *(("logs", run, key) for key in by_key(user.show(run))),
        *(("why", run, key) for key in by_key(user.show(run))),
        ("artifacts", "ls", "--output", "json"),
    ]
    for command in commands:
        done = user.cli(*command)
        pages.append(Dump("stix " + " ".join(command), (done.stdout + done.stderr).encode()))
    for kind in ("flow_runs", "task_runs", "artifacts"):
        rows = prefect(user.server, f"/{kind}/filter", {"limit": 200})
        pages.append(Dump(f"prefect {kind}", json.dumps(rows).encode()))
    return pages


def stored(user: User, run: str) -> list[Dump]:
    """The content of every artifact of a run, unpacked from the store."""
    found = []
    for artifact in user.show(run)["artifacts"]:
        target = user.folder / f"{artifact['key']}-{artifact['name']}.tar"
        with target.open("wb") as file:
            user.client.artifact_tar(artifact["digest"], file)
        found.append(Dump(f"artifact {target.name}", target.read_bytes()))
    return found


def test_secrets_stay_where_they_belong(own_server: ServerHome, tmp_path: Path) -> None:
    user = User(own_server, tmp_path)
    alpha, beta = secrets.token_urlsafe(24), f"{secrets.token_hex(9)}/+&= {secrets.token_hex(9)}"
    needles = forms([alpha, beta])
    go = tmp_path / "go"
    options = ("--secret", f"ALPHA={alpha}", "--secret", f"BETA={beta}", "--env", f"GO={go}")
    run = user.start(PIPELINE, *options)
    with Watch(needles) as watch:
        user.said(run, "slow", "up")
        eventually(lambda: user.stage(run, "traced")["state"] == "failed", seconds=60)
        while_it_runs = holding(files(own_server.home), needles)
        go.touch()
        row = own_server.wait_for_run(run)
    assert {key: stage["state"] for key, stage in by_key(row).items()} == {
        "setup": "succeeded",
        "halves": "succeeded",
        "encoded": "succeeded",
        "traced": "failed",
        "result": "succeeded",
        "slow": "succeeded",
    }
    assert watch.looks > 10
    assert watch.in_argv == set()
    assert watch.environs, "the commands were never seen with their secrets"
    for argv, environ in watch.environs.items():
        assert b"STIX_STAGE=" in environ, argv
    # What a command itself writes lies on its node, for as long as that is there.
    assert [n for n in while_it_runs if not Path(n).match("nodes/*/result.json")] == []
    own_server.stop()
    assert holding(files(own_server.home), needles) == []
    own_server.start()
    assert holding(everything_said(user, run), needles) == []
    assert holding(stored(user, run), needles) == []
    for database in ("prefect", "stix"):
        assert holding(dump(own_server, database), needles) == []


def test_the_search_finds_what_is_there(own_server: ServerHome, tmp_path: Path) -> None:
    """The same text without ``--secret`` is found in every place; so the search is no sham."""
    user = User(own_server, tmp_path)
    value = secrets.token_urlsafe(24)
    text = """
name: open
stages:
  one:
    run: |
      echo "$ALPHA"; echo '{"said": "'$ALPHA'"}' > "$STIX_RESULT"; echo "$ALPHA" > out
    outputs: {out: out}
"""
    run = user.start(text, "--env", f"ALPHA={value}")
    assert own_server.wait_for_run(run)["state"] == "succeeded"
    needles = forms([value])
    assert {"stix.public.runs", "stix.public.stages"} <= set(
        holding(dump(own_server, "stix"), needles)
    )

    def in_prefect() -> bool:
        return "prefect.public.log" in holding(dump(own_server, "prefect"), needles)

    eventually(in_prefect, hint="the output in Prefect's logs")
    said = holding(everything_said(user, run), needles)
    assert {"prefect logs", f"stix logs {run} one", f"stix runs show {run}"} <= set(said)
    assert len(holding(stored(user, run), needles)) == 2
    assert any(name.startswith("logs/runs/") for name in holding(files(own_server.home), needles))


@dataclass(frozen=True)
class Shell(User):
    """A user whose environment holds ALPHA."""

    value: str = ""

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "ALPHA": self.value}


def test_a_server_does_not_inherit_a_secret(new_server: NewServer, tmp_path: Path) -> None:
    """``stix run --secret NAME`` takes the value from the environment, and may start a server."""
    server = new_server(CONFIG, started=False)
    value = secrets.token_urlsafe(24)
    user = Shell(server, tmp_path, value)
    try:
        with Watch([value.encode()]) as watch:
            text = "name: own\nstages: {one: {run: 'test -n \"$ALPHA\"; sleep 1'}}\n"
            user.cli("run", user.write(text), "--secret", "ALPHA")
        assert watch.in_argv == set()
        inherited = [
            argv
            for argv, environ in watch.environs.items()
            if b"STIX_STAGE=" not in environ and b"stix.cli.main" not in argv
        ]
        assert inherited == []
        assert holding(files(server.home), [value.encode()]) == []
    finally:
        replace(user, value="").cli("server", "stop")
