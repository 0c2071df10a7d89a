"""A web server for tests: files from memory, with ranges or without, over TLS or not."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Web:
    """A running server.

    Attributes:
        files: Path (with its query) to content.
        headers: Path to more headers of the answer.
        token: What a request must bear, where it is not empty.
        ranges: Whether ranges are honoured.
        asked: Method, path and range of each request.
    """

    url: str = ""
    ca_file: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, Mapping[str, str]] = field(default_factory=dict)
    token: str = field(default="", repr=False)
    ranges: bool = True
    asked: list[tuple[str, str, str]] = field(default_factory=list)


@contextmanager
def serve(folder: Path, *, tls: bool = True) -> Iterator[Web]:
    """Run a server; ``folder`` takes its certificate."""
    web = Web()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(web))
    if tls:
        web.ca_file = str(_certificate(folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(web.ca_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    web.url = f"http{'s' * tls}://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked = self.headers.get("Range", "")
            web.asked.append((self.command, self.path, asked))
            data = web.files.get(self.path)
            if web.token and self.headers.get("Authorization") != f"Bearer {web.token}":
                return self._send(401, b"", {})
            if data is None:
                return self._send(404, b"", {})
            more = {"ETag": f'"{hashlib.md5(data).hexdigest()}"', **web.headers.get(self.path, {})}
            found = _RANGE.fullmatch(asked) if web.ranges else None
            if found is None:
                return self._send(200, data, more)
            first, last = int(found[1]), int(found[2] or len(data) - 1)
            if first >= len(data):
                return self._send(416, b"", more)
            last = min(last, len(data) - 1)
            more["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            return self._send(206, data[first : last + 1], more)

        def _send(self, code: int, data: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _certificate(folder: Path) -> Path:
    """A key and its own certificate for 127.0.0.1, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "server.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    path.chmod(0o600)
    return path
