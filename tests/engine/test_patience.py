"""Prefect's client waits out restarts of the API and obeys the fence: on a real HTTP server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CLIENT = """
import asyncio, sys
from prefect.client.base import PrefectHttpxAsyncClient
from stix.engine.private import install_patience

async def main():
    install_patience(lambda reason: print("fenced:", reason))
    async with PrefectHttpxAsyncClient(base_url=sys.argv[1]) as client:
        try:
            response = await client.post("/thing", json={"n": 1})
            print(response.status_code, response.text)
        except Exception as error:
            print(type(error).__name__, getattr(error, "response", None))

asyncio.run(main())
"""
DROP, GARBAGE = -1, -2


class Scripted(BaseHTTPRequestHandler):
    """Gives the next answer of the script each time; the last one again and again."""

    script: Sequence[int]
    bodies: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        step = self.script[min(len(self.bodies), len(self.script) - 1)]
        self.bodies.append(body)
        if step == DROP:
            self.connection.shutdown(socket.SHUT_RDWR)
        elif step == GARBAGE:
            self.wfile.write(b"no HTTP at all\r\n\r\n")
            self.close_connection = True
        else:
            self._answer(step)

    def _answer(self, status: int) -> None:
        text = f"answer {len(self.bodies)}".encode()
        self.send_response(status)
        if status == 410:
            self.send_header("x-stix-fenced", "1")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def serving(script: Sequence[int]) -> Iterator[tuple[str, list[bytes]]]:
    bodies: list[bytes] = []
    handler = type("Handler", (Scripted,), {"script": script, "bodies": bodies})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def client(url: str) -> str:
    """What a process says that posts once, with patience."""
    env = {**os.environ, "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false", "PREFECT_API_URL": url}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, url], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "script",
    [[200], [500, 200], [503, 503, 200], [DROP, 200], [GARBAGE, 200], [500, DROP, 503, 429, 200]],
)
def test_the_call_is_made_again_until_it_is_answered(script: list[int]) -> None:
    with serving(script) as (url, bodies):
        assert client(url) == f"200 answer {len(script)}"
        assert len(bodies) == len(script)
        assert len(set(bodies)) == 1


@pytest.mark.parametrize("status", [404, 409, 422])
def test_a_refusal_is_not_asked_again(status: int) -> None:
    with serving([status]) as (url, bodies):
        assert f"[{status} " in client(url)
        assert len(bodies) == 1


def test_a_fenced_engine_hears_of_it() -> None:
    with serving([503, 410]) as (url, bodies):
        said = client(url)
        assert "fenced: the server refused a call" in said
        assert len(bodies) == 2


def test_a_server_that_comes_later_is_waited_for() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(client(f"http://127.0.0.1:{port}")))
    thread.start()
    bodies: list[bytes] = []
    handler = type("Handler", (Scripted,), {"script": [200], "bodies": bodies})
    threading.Event().wait(2.0)
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    serving_thread = threading.Thread(target=server.serve_forever)
    serving_thread.start()
    thread.join()
    server.shutdown()
    serving_thread.join()
    server.server_close()
    assert found == ["200 answer 1"]
