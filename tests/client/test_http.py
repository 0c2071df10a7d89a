"""The transport against a real socket: what answers, refuses, breaks off or is not there."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stix.client.http import ApiError, Http, Request, ServerAway
from stix.errors import StixError


class Answers(BaseHTTPRequestHandler):
    """Echoes, refuses or breaks off, by the path."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/refused":
            error = {"message": "no such run 'x'", "fix": "see stix runs", "code": "not_found"}
            self._send(404, json.dumps({"error": error}).encode())
        elif path == "/plain":
            self._send(500, b"<html>sorry</html>")
        elif path == "/login":
            self._send(401, b"{}")
        elif path == "/text":
            self._send(200, b"hello")
        elif path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"{")
            self.close_connection = True
        elif path == "/silent":
            self.server.released.wait(30)  # type: ignore[attr-defined]
            self.close_connection = True
        else:
            said = {"path": self.path, "token": self.headers.get("Authorization")}
            self._send(200, json.dumps(said).encode())

    def do_POST(self) -> None:
        body = self._body()
        kind = self.headers.get("Content-Type")
        self._send(200, json.dumps({"bytes": len(body), "type": kind}).encode())


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.released = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.released.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def test_query_and_token(url: str) -> None:
    said = Http(url + "/base/", "s3cret").json(
        Request("GET", "/runs/a", query={"stage": "t[a=1,b=x y]", "none": None, "n": 0})
    )
    assert said["path"] == "/base/runs/a?stage=t%5Ba%3D1%2Cb%3Dx+y%5D&n=0"
    assert said["token"] == "Bearer s3cret"
    assert Http(url).json(Request("GET", "/"))["token"] is None


def test_bodies_whole_and_in_chunks(url: str) -> None:
    http = Http(url)
    assert http.json(Request("POST", "/", body=b"{}"))["bytes"] == 2
    chunks = (b"x" * 100_000 for _ in range(30))
    said = http.json(Request("POST", "/", body=chunks, content_type="application/x-tar"))
    assert said == {"bytes": 3_000_000, "type": "application/x-tar"}


def test_a_refusal_keeps_the_servers_words(url: str) -> None:
    with pytest.raises(ApiError) as caught:
        Http(url).json(Request("GET", "/refused"))
    error = caught.value
    assert (error.message, error.fix) == ("no such run 'x'", "see stix runs")
    assert (error.code, error.status) == ("not_found", 404)


def test_an_answer_that_is_not_ours(url: str) -> None:
    with pytest.raises(ApiError) as caught:
        Http(url).json(Request("GET", "/plain"))
    assert caught.value.status == 500
    with pytest.raises(ApiError, match="no STIX server"):
        Http(url).json(Request("GET", "/text"))


def test_a_refused_token_names_the_fix(url: str) -> None:
    with pytest.raises(ApiError, match="STIX_TOKEN"):
        Http(url).json(Request("GET", "/login"))


def test_nobody_there() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        http = Http(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(ServerAway, match="server start"):
            http.json(Request("GET", "/"))


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(ServerAway):
        Http("http://nowhere.invalid:1").json(Request("GET", "/"))


def test_an_answer_cut_off(url: str) -> None:
    with pytest.raises(ServerAway):
        Http(url).json(Request("GET", "/cut"))
    with pytest.raises(ServerAway):
        Http(url).download(Request("GET", "/cut"), io.BytesIO())


def test_silence_ends_with_the_timeout(url: str) -> None:
    with pytest.raises(ServerAway, match=r"within 0\.2 s"):
        Http(url).json(Request("GET", "/silent", timeout=0.2))


@pytest.mark.parametrize("bad", ["localhost:4200", "ftp://x", "http://", "http://x:port"])
def test_what_is_no_url(bad: str) -> None:
    with pytest.raises(StixError, match="address"):
        Http(bad)
