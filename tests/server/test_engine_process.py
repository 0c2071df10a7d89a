"""Which processes count as engines of this host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from stix.server.engine import MODULE, is_engine
from tests.support.server import NewServer, eventually

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen([sys.executable, "-c", "input()", *arguments], stdin=subprocess.PIPE)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def test_a_process_that_has_an_engines_id_again_is_none() -> None:
    with process() as other:
        assert not is_engine(other.pid)


def test_an_engine_is_one_while_it_lives_even_stopped() -> None:
    with process("-m", MODULE) as engine:
        assert is_engine(engine.pid)
        engine.send_signal(signal.SIGSTOP)
        eventually(lambda: psutil.Process(engine.pid).status() == psutil.STATUS_STOPPED)
        assert is_engine(engine.pid)
        engine.kill()
        eventually(lambda: psutil.Process(engine.pid).status() == psutil.STATUS_ZOMBIE)
        assert not is_engine(engine.pid)
    assert not is_engine(engine.pid)


def test_this_process_is_not_an_engine_before_it() -> None:
    assert not is_engine(os.getpid())


@pytest.mark.server
def test_a_server_that_is_the_first_process_of_a_container_runs(new_server: NewServer) -> None:
    server = new_server(started=False)
    server.home.mkdir(exist_ok=True)
    with (server.home / "supervisor.out").open("ab") as log:
        server.supervisor = subprocess.Popen(
            [*NAMESPACE, sys.executable, "-m", "stix.server", "--foreground"],
            env={**os.environ, "STIX_HOME": str(server.home)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        server.wait_ready()
        stages = {"main": {"run": "true"}}
        run = server.api("POST", "/runs", {"spec": {"name": "one", "stages": stages}, "source": {}})
        assert server.wait_for_run(run["id"])["state"] == "succeeded"
    finally:
        server.supervisor.kill()  # and with the first process all others end
        server.supervisor.wait()
