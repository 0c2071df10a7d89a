"""The supervisor: what dies comes back, what is left over goes, nothing stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from stix.config import Config
from tests.support.server import NewServer, ServerHome, eventually, make_home

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server() -> Iterator[ServerHome]:
    """A server for the tests after which it runs as before."""
    made = ServerHome(make_home())
    try:
        yield made.start()
    finally:
        made.clean()


def back(server: ServerHome, name: str, old: int) -> int:
    """The pid of the process that took the place of ``old``."""

    def other() -> Any:
        pid = server.processes().get(name, {}).get("pid")
        return pid if pid and pid != old else None

    return int(eventually(other, hint=f"restart of {name}"))


def test_what_is_killed_comes_back(new_server: NewServer) -> None:
    server = new_server()
    url = server.url
    for name in ("server", "postgres", "engine-1"):
        old = server.kill(name)
        back(server, name, old)
        assert server.processes()[name]["restarts"] >= 1
        run = server.api("POST", "/runs", {"spec": {"name": "x", "stages": {"a": {"run": "true"}}}})
        assert server.wait_for_run(run["id"])["state"] == "succeeded", name
    assert server.url == url
    assert server.stop() == 0
    assert server.everything() == []


@pytest.mark.full
def test_callers_wait_while_the_server_restarts(new_server: NewServer) -> None:
    server = new_server()
    old = server.kill("server")
    # No pause and no second try: the socket is the supervisor's, and listens all the time.
    assert server.call("GET", "/health").status == 200
    assert back(server, "server", old) != old


def test_postmaster_alone_killed(server: ServerHome) -> None:
    pid = server.pid("postgres")
    os.kill(pid, signal.SIGKILL)  # its children live on for a moment
    back(server, "postgres", pid)
    assert server.api("GET", "/runs") == []


def test_a_second_supervisor_refuses(server: ServerHome) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "stix.server", "--foreground"],
        env={**os.environ, "STIX_HOME": str(server.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "already running" in second.stderr and "fix:" in second.stderr
    assert str(server.pid("supervisor")) in second.stderr
    assert server.call("GET", "/health").status == 200


def test_children_die_with_a_killed_supervisor_and_a_new_one_takes_over(
    new_server: NewServer,
) -> None:
    server = new_server()
    url = server.url
    run = server.api("POST", "/runs", {"spec": {"name": "x", "stages": {"a": {"run": "true"}}}})
    server.wait_for_run(run["id"])
    assert server.supervisor is not None
    server.supervisor.kill()
    server.supervisor.wait()
    (server.home / "server.json").unlink()
    server.start()
    assert server.url == url
    assert server.api("GET", f"/runs/{run['id']}")["state"] == "succeeded"
    pids = {row["pid"] for row in server.processes().values()}
    ours = [p for p in server.everything() if p.ppid() not in pids and p.pid not in pids]
    assert ours == []
    assert server.stop() == 0
    assert server.everything() == []


@pytest.mark.skipif(sys.platform != "linux", reason="children learn of it by polling elsewhere")
@pytest.mark.full
def test_children_of_a_killed_supervisor_end_by_themselves(new_server: NewServer) -> None:
    server = new_server()
    assert server.supervisor is not None
    server.supervisor.kill()
    server.supervisor.wait()
    eventually(lambda: not server.everything(), hint="end of all children")


@pytest.mark.full
def test_a_stopped_child_of_a_killed_supervisor_is_removed(new_server: NewServer) -> None:
    """SIGTERM does not reach a stopped engine, so the next supervisor must find it."""
    server = new_server()
    engine = server.kill("engine-1", signal.SIGSTOP)
    assert server.supervisor is not None
    server.supervisor.kill()
    server.supervisor.wait()
    (server.home / "server.json").unlink()
    server.start()
    assert not psutil.pid_exists(engine)


def connections(server: ServerHome) -> list[Any]:
    """Internet sockets of all processes of the home."""
    found = []
    for process in server.everything():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += process.net_connections(kind="inet")
    return found


def test_nothing_listens_but_loopback(server: ServerHome) -> None:
    eventually(lambda: [c for c in connections(server) if c.raddr], hint="calls of the engine")
    found = connections(server)
    listening = {(c.laddr.ip, c.laddr.port) for c in found if c.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", server.about["port"])}
    assert {c.raddr.ip for c in found if c.raddr} == {"127.0.0.1"}


def test_stops_when_idle(new_server: NewServer) -> None:
    server = new_server("server: {idle_minutes: 0.05}\n", arguments=["--auto"])
    assert server.about["auto"] is True
    assert server.supervisor is not None
    assert server.supervisor.wait(timeout=90) == 0
    assert not (server.home / "server.json").exists()
    assert server.everything() == []
    assert "idle" in (server.home / "logs" / "server" / "server.log").read_text()


@pytest.mark.full
def test_a_run_keeps_an_idle_server_up(new_server: NewServer) -> None:
    server = new_server("server: {idle_minutes: 0.05}\n", arguments=["--auto"])
    spec = {"name": "x", "stages": {"a": {"run": "sleep 8"}}}
    run = server.api("POST", "/runs", {"spec": spec})["id"]
    eventually(lambda: not server.everything(), seconds=120, every=0.5, hint="end when idle")
    server.arguments = ()
    server.start()
    assert server.api("GET", f"/runs/{run}")["state"] == "succeeded"


def test_stop_by_the_api(new_server: NewServer) -> None:
    server = new_server()
    sockets = Config.load(server.home).socket_dir()
    assert (sockets / "pg").exists()
    assert server.call("POST", "/stop").status == 202
    assert server.supervisor is not None
    assert server.supervisor.wait(timeout=60) == 0
    assert server.everything() == []
    assert not sockets.exists()


@pytest.mark.full
def test_a_database_that_is_not_there_is_told(new_server: NewServer) -> None:
    url = "postgresql://me:hidden-password@127.0.0.1:1/postgres"
    server = new_server(f"server: {{database_url: '{url}'}}\n", started=False)
    assert server.spawn().wait(timeout=200) == 1
    assert "127.0.0.1:1" in server.said() and "fix:" in server.said()
    assert "Traceback" not in server.said()
    assert "hidden-password" not in server.said()
    assert server.everything() == []


def test_a_home_that_cannot_be_written_is_told(new_server: NewServer) -> None:
    server = new_server(started=False)
    (server.home / "logs").write_text("in the way")
    assert server.spawn().wait(timeout=60) == 1
    assert str(server.home / "logs") in server.said()
    assert "Traceback" not in server.said()


def test_a_stop_during_the_start(new_server: NewServer) -> None:
    server = new_server(started=False)
    process = server.spawn()
    eventually(lambda: server.processes().get("postgres"), hint="start of PostgreSQL")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert not (server.home / "server.json").exists()
    assert server.everything() == []


def test_a_taken_port_is_told(new_server: NewServer) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = new_server(f"server: {{port: {port}}}\n", started=False)
        process = server.spawn()
        assert process.wait(timeout=60) == 1
        assert f"port {port}" in server.said()
        assert "Traceback" not in server.said()


def test_a_wrong_setting_is_told_with_its_line(new_server: NewServer) -> None:
    server = new_server("local: {cpus: 2}\nserver:\n  idle_minuts: 3\n", started=False)
    assert server.spawn().wait(timeout=60) == 2
    assert f"{server.home}/config.yaml:3" in server.said()
    assert "idle_minutes" in server.said()


def test_an_engine_that_ends_at_once_is_started_again_with_pauses(new_server: NewServer) -> None:
    server = new_server("server: {engines: 2}\n")
    pid = server.pid("engine-2")
    for _ in range(3):
        os.kill(pid, signal.SIGKILL)
        pid = back(server, "engine-2", pid)
    assert server.processes()["engine-2"]["restarts"] == 3
    assert server.processes()["engine-1"]["restarts"] == 0
