"""Real repositories of git for tests, and the servers that they are fetched from."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

USER, TOKEN = "x-access-token", "tok-%7E-s3cret/+"
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "someone"), ("EMAIL", "someone@host"))
}
BARE = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


@dataclass(frozen=True)
class Repository:
    """A repository with its files, and the bare one that servers show."""

    folder: Path
    bare: Path

    def git(self, *arguments: str) -> str:
        """What git answers."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**os.environ, **BARE, **IDENTITY},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        """Write files (``_`` stands for a dot in their names) and publish them; the commit."""
        for name, text in files.items():
            path = self.folder / name.replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "more")
        return self.publish()

    def publish(self) -> str:
        """Show everything that is committed; the newest commit."""
        self.git("push", "-q", "--force", "--all", str(self.bare))
        self.git("push", "-q", "--force", "--tags", str(self.bare))
        return self.git("rev-parse", "HEAD")


def repository(folder: Path, name: str = "code.git", more: Sequence[str] = ()) -> Repository:
    """An empty one, with the branch ``main``; ``more``: options of ``git init``."""
    if shutil.which("git") is None:
        pytest.skip("no git: install git")
    work, bare = folder / "work", folder / "served" / name
    work.mkdir(parents=True)
    made = Repository(work, bare)
    made.git("init", "-q", "-b", "main", *more)
    made.git("init", "-q", "--bare", "-b", "main", *more, str(bare))
    return made


@dataclass
class GitServer:
    """``git http-backend`` behind HTTP.

    Attributes:
        asked: What came: the path, and who asked.
        frozen: Until it is set, nothing is answered.
    """

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    frozen: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve(root: Path, *, private: bool = True) -> Iterator[GitServer]:
    """Serve the repositories below ``root``; a private server wants `USER` and `TOKEN`."""
    backend = Path(subprocess.check_output(["git", "--exec-path"], text=True).strip())
    if not (backend / "git-http-backend").exists():
        pytest.skip("no git http-backend: install git")
    server = GitServer("")
    server.frozen.set()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            server.frozen.wait(60)
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            who = base64.b64decode(given).decode()
            server.asked.append((self.path, who))
            if private and who != f"{USER}:{TOKEN}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="code"')
                self.end_headers()
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            head, _, content = _backend(backend, root, self, body).partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{served.server_port}"
    try:
        yield server
    finally:
        server.frozen.set()
        served.shutdown()
        served.server_close()
        thread.join()


def _backend(backend: Path, root: Path, asked: BaseHTTPRequestHandler, body: bytes) -> bytes:
    """What ``git http-backend`` says to a request, by the rules of CGI."""
    path, _, query = asked.path.partition("?")
    env = {
        **os.environ,
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": asked.command,
        "CONTENT_TYPE": asked.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": asked.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": asked.headers.get("Git-Protocol", ""),
    }
    done = subprocess.run(
        [str(backend / "git-http-backend")],
        input=body,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.stdout
