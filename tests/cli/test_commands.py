"""The commands against a real server: what people see, exit codes, signals."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_imports import HEAVY, SCRIPT
from tests.support.server import ServerHome

pytestmark = pytest.mark.server

COMMAND = [sys.executable, "-m", "stix.cli.main"]
HELLO = """\
name: hello
stages:
  greet:
    run: |
      echo "hello $WHO"
      echo '{"letters": 5}' > $STIX_RESULT
      mkdir out && echo hi > out/hi.txt
    envs: {WHO: world}
    outputs: {text: out}
  shout:
    run: tr a-z A-Z < $STIX_INPUT_TEXT/hi.txt
    inputs: {text: greet.text}
"""
FAILS = "name: fails\nrun: |\n  echo before\n  echo the cause >&2\n  exit 3\n"
SLEEPS = "name: sleeps\nrun: |\n  echo begun\n  sleep 600\n"


class Cli:
    """The command with the server's home, in a directory of its own."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder = folder
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("STIX_", "PREFECT_"))}
        self.env = {**keep, "STIX_HOME": str(home), "NO_COLOR": "1"}

    def file(self, text: str, name: str = "file.yaml") -> str:
        (self.folder / name).write_text(text)
        return name

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.env,
            timeout=120,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--output", "json", code=code).stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.env,
        )

    def wait_for(self, run: str, ready: Callable[[Any], bool]) -> Any:
        """The run, once it is as asked."""
        deadline = time.monotonic() + 60
        while True:
            found = self.json("runs", "show", run)
            if ready(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.2)


def begun(run: Any) -> bool:
    """True once the only stage's command runs."""
    return any(stage["attempts"] and stage["state"] == "running" for stage in run["stages"])


@pytest.fixture
def cli(stix_server: ServerHome, tmp_path: Path) -> Cli:
    return Cli(stix_server.home, tmp_path)


def test_a_run_ends_with_stages_results_receipt_and_hints(cli: Cli) -> None:
    done = cli("run", cli.file(HELLO), "--env", "WHO=you")
    lines = done.stdout.splitlines()
    # A quick stage may have ended before it was seen to run.
    assert any(re.match(r"\[ *\S+s\] greet: (running, local|succeeded)", line) for line in lines)
    assert any(re.match(r"greet +succeeded .* \$0\.00", line) for line in lines)
    assert any(re.match(r"STAGE +LETTERS", line) for line in lines)
    run = re.search(r"succeeded hello (\S+) in", done.stdout)
    assert run
    assert "receipt   $0.00" in done.stdout
    assert f"stix artifacts get greet.text --run {run[1]}" in done.stdout
    assert re.search(r"ui +http://127", done.stdout)
    assert cli("logs", run[1], "greet").stdout == "hello you\n"


def test_options_change_what_runs(cli: Cli) -> None:
    (cli.folder / "who.env").write_text("WHO=file\n")
    file = cli.file(HELLO)
    given = ["--env-file", "who.env", "--cpus", "1", "--no-cache", "--name", "other"]
    run = cli.json("run", file, *given, "--set", "shout.run=cat $STIX_INPUT_TEXT/hi.txt")
    assert run["name"] == "other"
    assert cli("logs", run["id"], "greet").stdout == "hello file\n"
    assert cli("logs", run["id"], "shout").stdout == "hi\n"


def test_json_is_alone_on_standard_output(cli: Cli) -> None:
    run = cli.json("run", cli.file(HELLO), "--no-cache")
    assert run["state"] == "succeeded"
    greet = next(stage for stage in run["stages"] if stage["key"] == "greet")
    assert greet["result"] == {"letters": 5}
    assert [a["state"] for a in greet["attempts"]] == ["succeeded"]


def test_an_unchanged_stage_is_not_run_again_and_why_says_so(cli: Cli) -> None:
    file = cli.file(HELLO.replace("hello $WHO", "unchanged $WHO"))
    cli("run", file)
    again = cli.json("run", file)
    states = {stage["key"]: stage["state"] for stage in again["stages"]}
    assert states["greet"] == "cached"
    assert "greet" in cli("why", again["id"], "greet").stdout
    assert "greet.text" in cli("artifacts", "ls", again["id"]).stdout
    cli("artifacts", "get", "greet.text", "cached", "--run", again["id"])
    assert [p.name for p in (cli.folder / "cached").rglob("*.txt")] == ["hi.txt"]
    assert cli.json("why", again["id"], "greet")
    forced = cli.json("run", file, "--force", "greet")
    assert next(s["state"] for s in forced["stages"] if s["key"] == "greet") == "succeeded"


def test_a_failed_stage_ends_with_100_and_its_last_lines(cli: Cli) -> None:
    done = cli("run", cli.file(FAILS), code=100)
    assert "| the cause" in done.stderr
    assert "fix:" in done.stderr
    run = cli.json("runs", "show", "latest")
    shown = cli("runs", "show", run["id"][:-2]).stdout
    assert re.search(r"fails? .*failed", shown)
    assert "exit" in shown


def test_detach_list_show_cancel(cli: Cli) -> None:
    run = cli("run", cli.file(SLEEPS), "--detach", "--name", "nap").stdout.strip()
    cli.wait_for(run, begun)
    listed = {r["id"]: r for r in cli.json("runs")}
    assert (listed[run]["name"], listed[run]["state"]) == ("nap", "running")
    assert run in cli("status").stdout
    assert run in cli("nodes").stdout
    watcher = cli.start("runs", "show", run, "--watch")
    cli("cancel", run, "--wait")
    watcher.communicate(timeout=60)
    assert watcher.returncode == 103
    assert cli.json("runs", "show", run)["state"] == "cancelled"
    assert run not in cli("nodes").stdout
    assert run not in [r["id"] for r in cli.json("runs", "--state", "running")]


def test_resume_runs_what_did_not_succeed(cli: Cli) -> None:
    flag = cli.folder / "flag"
    text = HELLO.replace("tr a-z", f"test -e {flag} && tr a-z").replace("hello $", "resume $")
    cli("run", cli.file(text), code=100)
    run = cli.json("runs", "show", "latest")["id"]
    flag.touch()
    resumed = cli.json("resume", run)
    assert resumed["state"] == "succeeded"
    attempts = {stage["key"]: len(stage["attempts"]) for stage in resumed["stages"]}
    assert attempts == {"greet": 1, "shout": 2}


def test_artifacts(cli: Cli) -> None:
    run = cli.json("run", cli.file(HELLO), "--no-cache")["id"]
    assert "greet.text" in cli("artifacts", "ls", run).stdout
    assert cli.json("artifacts", "show", "greet.text", "--run", run)["digest"]
    cli("artifacts", "get", "greet.text", "copy", "--run", run)
    assert [p.read_text() for p in (cli.folder / "copy").rglob("hi.txt")] == ["hi\n"]
    refused = cli("artifacts", "get", "greet.text", "copy", "--run", run, code=2)
    assert "not an empty directory" in refused.stderr
    near = cli("artifacts", "get", "greet.txt", "--run", run, code=2)
    assert "'greet.text'" in near.stderr


def test_logs_of_all_stages_and_followed(cli: Cli) -> None:
    text = (
        "stages:\n  one:\n    run: for i in 1 2 3; do echo one $i; sleep 0.3; done\n"
        "  two:\n    needs: [one]\n    run: echo two\n"
    )
    run = cli("run", cli.file(text), "--detach").stdout.strip()
    followed = cli("logs", run, "--follow").stdout
    assert followed.splitlines() == ["[one] one 1", "[one] one 2", "[one] one 3", "[two] two"]
    assert cli("logs", run).stdout == followed
    assert cli("logs", run, "one", "--follow").stdout == "one 1\none 2\none 3\n"
    pieces = cli.json("logs", run, "two")
    assert "".join(piece["text"] for piece in pieces) == "two\n"


def test_what_is_not_there(cli: Cli) -> None:
    run = cli.json("run", cli.file(HELLO))["id"]
    cases = [
        (["runs", "show", "nothere"], 1, "nothere"),
        (["logs", run, "shuot"], 2, "'shout'"),
        (["logs", run, "shout", "--attempt", "9"], 2, "attempt 9"),
        (["logs", run, "shout", "--follow", "--output", "json"], 2, "--follow"),
        (["why", run, "shuot"], 2, "'shout'"),
        (["cancel", "nothere"], 1, "nothere"),
        (["resume", "nothere"], 1, "nothere"),
        (["artifacts", "ls", "nothere"], 1, "nothere"),
        (["artifacts", "show", "0" * 64], 1, "0000"),
        (["chaos", "kill", "no-such-node"], 1, "no-such-node"),
        (["run", "file.yaml", "--force", "shuot"], 2, "shout"),
    ]
    for arguments, code, word in cases:
        done = cli(*arguments, code=code)
        assert word in done.stderr, (arguments, done.stderr)
        assert done.stdout == ""


def test_no_room_for_the_upload(cli: Cli) -> None:
    (cli.folder / "code").mkdir()
    (cli.folder / "code" / "big").write_bytes(b"x" * 3_000_000)
    file = cli.file("run: x\nworkdir: code\n")
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 1024; exec "$@"', "-", *COMMAND, "run", file],
        capture_output=True,
        text=True,
        cwd=cli.folder,
        env=cli.env,
        timeout=60,
    )
    assert done.returncode == 1
    assert "code could not be packed" in done.stderr
    assert "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_be_sent(cli: Cli) -> None:
    (cli.folder / "code").mkdir()
    (cli.folder / "code" / "out").symlink_to("/etc")
    done = cli("run", cli.file("run: x\nworkdir: code\n"), code=1)
    assert "code/out" in done.stderr
    assert ".skyignore" in done.stderr


def test_a_stage_that_fits_nowhere_says_so(cli: Cli) -> None:
    file = cli.file("run: x\nresources: {accelerators: H100:8}\n")
    assert "H100" in cli("plan", file, code=1).stderr


def test_plan_check_status_version(cli: Cli) -> None:
    assert "local" in cli("plan", cli.file(HELLO)).stdout
    assert len(cli.json("plan", "file.yaml")["stages"]) == 2
    assert any(cloud["enabled"] for cloud in cli.json("check"))
    assert "local" in cli("check").stdout
    processes = {p["name"]: p["pid"] for p in cli.json("server", "status")["processes"]}
    assert {"supervisor", "server", "postgres", "engine-1"} <= set(processes)
    for pid in processes.values():
        os.kill(pid, 0)
    assert cli.json("status")["running"] is True
    assert "already" in cli("server", "start").stderr


def test_chaos_takes_a_node_away_and_the_stage_recovers(cli: Cli) -> None:
    text = "run: |\n  echo attempt $STIX_ATTEMPT\n  test $STIX_ATTEMPT = 2 || sleep 600\n"
    run = cli("run", cli.file(text), "--detach").stdout.strip()
    cli.wait_for(run, begun)
    node = next(n for n in cli.json("nodes") if run in json.dumps(n))
    cli("chaos", "preempt", str(node.get("id") or node["ref"]["id"]))
    ended = cli.wait_for(run, lambda r: r["state"] in ("succeeded", "failed"))
    assert ended["state"] == "succeeded"
    assert len(ended["stages"][0]["attempts"]) == 2
    shown = cli("runs", "show", run).stdout
    assert "preempted" in shown
    assert "attempt 2" in cli("logs", run).stdout
    assert "attempt 1" in cli("logs", run, ended["stages"][0]["key"], "--attempt", "1").stdout


def interrupt(process: subprocess.Popen[str], word: str) -> str:
    """Ctrl-C once ``word`` was printed; gives what was printed."""
    assert process.stdout is not None
    said = ""
    while word not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    return said


def test_ctrl_c_detaches(cli: Cli) -> None:
    process = cli.start("run", cli.file(SLEEPS))
    interrupt(process, "running")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the run goes on" in said
    run = re.search(r"run (\S+) \(", said)
    assert run
    assert cli.json("runs", "show", run[1])["state"] == "running"
    cli("cancel", run[1], "--wait")


def test_a_second_ctrl_c_cancels(cli: Cli) -> None:
    process = cli.start("run", cli.file(SLEEPS))
    interrupt(process, "running")
    assert process.stderr is not None
    while "again within" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 103
    assert "cancelled" in said


def test_a_terminal_gets_a_live_tree(cli: Cli) -> None:
    file = cli.file(HELLO.replace("mkdir out", "sleep 1 && mkdir out"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cli.folder)
        env = {**cli.env, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "30"}
        os.execve(sys.executable, [*COMMAND, "run", file, "--no-cache"], env)
    said = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            break
        if not data:
            break
        said += data
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"\x1b[1A" in said  # the cursor goes up: drawn in place
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode())
    assert "└─ shout" in text
    assert "hello world" in text  # the last line of output
    assert "Ctrl-C detaches" in text
    assert re.search(r"greet +succeeded", text)


@pytest.mark.parametrize("command", ["runs", "status", "server status", "runs show latest"])
def test_what_cheap_commands_load(command: str, cli: Cli) -> None:
    cli("run", cli.file("run: echo hi\n"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(heavy=HEAVY), *command.split()],
        capture_output=True,
        text=True,
        env=cli.env,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "heavy=")
