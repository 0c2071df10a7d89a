"""Calls and files that cannot work: one message with the fix, exit code 1 or 2, no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

HELLO = "name: hello\nstages:\n  a:\n    run: echo hi\n"


def stix(
    *arguments: str, home: Path, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with nothing configured but ``home``."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("STIX_", "PREFECT_"))}
    return subprocess.run(
        [sys.executable, "-m", "stix.cli.main", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env={**keep, "STIX_HOME": str(home), "NO_COLOR": "1", **env},
        timeout=60,
    )


def assert_refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr, done.stderr
    assert done.stderr.count("fix:") >= 1, done.stderr


FILES = {
    "bad_yaml": ("stages:\n  a:\n    run: 'open\n", ["file.yaml:3:10", "quotation"]),
    "tab": ("stages:\n\ta:\n    run: x\n", ["file.yaml:2:"]),
    "duplicate_key": ("stages:\n  a:\n    run: x\n    run: y\n", ["file.yaml:4:5", "run"]),
    "near_miss": ("stages:\n  a:\n    rnu: x\n", ["file.yaml:3:5", "rnu", "run"]),
    "near_miss_resources": (
        "stages:\n  a:\n    run: x\n    resources:\n      accelerator: A100\n",
        ["file.yaml:5:", "accelerators"],
    ),
    "cycle": (
        "stages:\n  a:\n    run: x\n    needs: [b]\n  b:\n    run: x\n    needs: [a]\n",
        ["file.yaml:", "a -> b -> a"],
    ),
    "unknown_need": (
        "stages:\n  prepare:\n    run: x\n  b:\n    run: x\n    needs: [prepar]\n",
        ["file.yaml:6:", "prepar", "'prepare'"],
    ),
    "unknown_output": (
        "stages:\n  a:\n    run: x\n  b:\n    run: x\n    inputs: {d: a.data}\n",
        ["file.yaml:6:", "data"],
    ),
    "wrong_type": (
        "stages:\n  a:\n    run: x\n    num_nodes: many\n",
        ["file.yaml:4:", "num_nodes"],
    ),
    "wrong_cpus": (
        "stages:\n  a:\n    run: x\n    resources: {cpus: lots}\n",
        ["file.yaml:4:", "cpus"],
    ),
    "bad_duration": (
        "stages:\n  a:\n    run: x\n    timeout: soon\n",
        ["file.yaml:4:", "duration"],
    ),
    "missing_workdir": (
        "stages:\n  a:\n    run: x\n    workdir: ./nowhere\n",
        ["file.yaml:4:", "nowhere"],
    ),
    "missing_mount": (
        "stages:\n  a:\n    run: x\n    file_mounts: {/data: ./gone.csv}\n",
        ["file.yaml:4:", "gone.csv"],
    ),
    "no_value": (
        "stages:\n  a:\n    run: x\n    envs: {KEY: null}\n",
        ["file.yaml:4:", "--env KEY"],
    ),
    "secret_missing": (
        "stages:\n  a:\n    run: x\n    secrets: {TOKEN: null}\n",
        ["file.yaml:4:", "--secret TOKEN"],
    ),
    "not_a_map": ("- a\n- b\n", ["file.yaml:1:", "map"]),
    "empty": ("", ["file.yaml:", "empty"]),
    "no_run": ("stages:\n  a: {}\n", ["file.yaml:2:", "run"]),
    "unsupported": (
        "stages:\n  a:\n    run: x\n    resources: {network_tier: best}\n",
        ["file.yaml:4:", "network_tier"],
    ),
    "bad_when": (
        "stages:\n  a:\n    run: x\n  b:\n    run: x\n    needs: [a]\n    when: __import__('os')\n",
        ["file.yaml:7:", "when"],
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_malformed_file(case: str, tmp_path: Path) -> None:
    text, words = FILES[case]
    (tmp_path / "file.yaml").write_text(text)
    done = stix("run", "file.yaml", home=tmp_path / "home", cwd=tmp_path)
    assert_refused(done, 1, *words)
    # Nothing was started to find that out.
    assert not (tmp_path / "home").exists()


def test_several_problems_at_once(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("stages:\n  a:\n    rnu: x\n    num_nodes: 0\n")
    done = stix("validate", "file.yaml", home=tmp_path / "home", cwd=tmp_path)
    assert_refused(done, 1, "file.yaml:3:5", "file.yaml:4:")


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_bytes(b"name: caf\xe9\nrun: x\n")
    assert_refused(stix("run", "file.yaml", home=tmp_path / "h", cwd=tmp_path), 1, "file.yaml:1:10")


def test_a_missing_file_and_its_near_name(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text(HELLO)
    done = stix("run", "trian.yaml", home=tmp_path / "home", cwd=tmp_path)
    assert_refused(done, 1, "trian.yaml", "train.yaml")


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert_refused(stix("run", str(tmp_path), home=tmp_path / "home"), 1, "folder")


PYTHON = {
    "no_pipeline": ("import stix\n", ["file.py:1:", "no pipeline"]),
    "syntax": ("x = 1\ny = (\n", ["file.py:2:", "not valid Python"]),
    "raises": ("import stix\n\n1 / 0\n", ["file.py:3:", "ZeroDivisionError"]),
    "cycle": (
        "import stix\npipeline = stix.Pipeline()\n"
        "pipeline.add('a', stix.Task(run='x', needs=['a']))\n",
        ["file.py: error", "cannot need itself"],
    ),
}


@pytest.mark.parametrize("case", PYTHON)
def test_a_malformed_python_file(case: str, tmp_path: Path) -> None:
    text, words = PYTHON[case]
    (tmp_path / "file.py").write_text(text)
    done = stix("run", "file.py", home=tmp_path / "home", cwd=tmp_path)
    assert_refused(done, 1, *words)


def test_a_python_file_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "side.py").write_text("COMMAND = 'echo hi'\n")
    (tmp_path / "file.py").write_text(
        "import stix\nfrom side import COMMAND\npipeline = stix.Pipeline(name='two')\n"
        "pipeline.add('a', stix.Task(run=COMMAND))\n"
        "if __name__ == '__main__':\n    raise SystemExit('run as a script')\n"
    )
    done = stix("validate", "file.py", home=tmp_path / "home", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "file.py: ok (two, 1 stage)\n")


USAGE = {
    "unknown_command": (["rnus"], ["'rnus'", "runs"]),
    "unknown_subcommand": (["server", "stpo"], ["'stpo'", "stop"]),
    "unknown_option": (["runs", "--limt", "3"], ["--limt"]),
    "bad_choice": (["runs", "--state", "dead"], ["dead", "succeeded"]),
    "bad_output": (["version", "--output", "xml"], ["xml", "json"]),
    "bad_number": (["runs", "--limit", "many"], ["many"]),
    "out_of_range": (["runs", "--limit", "0"], ["0"]),
    "missing_argument": (["run"], ["FILE"]),
    "bad_env": (["run", "file.yaml", "--env", "1A=3"], ["1A"]),
    "absent_env": (["run", "file.yaml", "--env", "STIX_TEST_NOT_THERE"], ["STIX_TEST_NOT_THERE"]),
    "absent_secret": (["run", "file.yaml", "--secret", "NOT_THERE"], ["NOT_THERE", "environment"]),
    "bad_action": (["chaos", "explode", "n1"], ["explode", "preempt"]),
    "unknown_log": (["server", "logs", "engine-9"], ["engine-9"]),
}


@pytest.mark.parametrize("case", USAGE)
def test_a_wrong_call(case: str, tmp_path: Path) -> None:
    arguments, words = USAGE[case]
    (tmp_path / "file.yaml").write_text(HELLO)
    done = stix(*arguments, home=tmp_path / "home", cwd=tmp_path)
    assert_refused(done, 2, *words)


def test_a_secret_in_a_wrong_call_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text(HELLO)
    done = stix("run", "file.yaml", "--secret", "1A=hunter2", home=tmp_path / "h", cwd=tmp_path)
    assert_refused(done, 2, "1A")
    assert "hunter2" not in done.stderr


def test_no_server_at_stix_url(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        done = stix("runs", home=tmp_path / "home", STIX_URL=url)
    assert_refused(done, 1, url, "STIX_URL")


def test_stix_url_is_no_url(tmp_path: Path) -> None:
    assert_refused(stix("runs", home=tmp_path / "home", STIX_URL="localhost"), 1, "localhost")


def test_the_state_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = stix("runs", home=tmp_path / "file" / "home")
    assert_refused(done, 1, str(tmp_path / "file"), "STIX_HOME")


def test_a_mistake_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("server:\n  idle_minuts: 3\n")
    done = stix("runs", home=tmp_path)
    assert_refused(done, 2, "config.yaml:2", "idle_minutes")


class Nonsense(BaseHTTPRequestHandler):
    """A server that answers JSON of another shape: no error message foresees it."""

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[1]")


def test_an_unexpected_error_is_a_message_with_a_log(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = stix("status", home=tmp_path, STIX_URL=url)
        shown = stix("status", home=tmp_path, STIX_URL=url, STIX_DEBUG="1")
        server.shutdown()
        thread.join()
    assert_refused(done, 1, "cli-error.log", "STIX_DEBUG=1")
    assert "Traceback" in (tmp_path / "logs" / "cli-error.log").read_text()
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stix.cli.main", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert said == b""
