"""What a store signs, somebody without credentials may do, and nothing else."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from stix.storage.base import CanSign, CanSignPut, Signed, Store
from stix.storage.registry import open_store
from tests.support.azurite import AzureServer
from tests.support.gcs import GoogleServer
from tests.support.s3 import S3Server

NAME = "a folder/caf\u00e9 + 1%.bin"


def send(signed: Signed, data: bytes | None = None, **more: str) -> bytes:
    request = urllib.request.Request(
        signed.url,
        data=data,
        headers={**signed.headers, **more},
        method="GET" if data is None else "PUT",
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        body: bytes = answer.read()
        return body


def get_of(store: Store, url: str) -> Signed | None:
    assert isinstance(store, CanSign)
    return store.sign(url, seconds=60)


def put_of(store: Store, url: str, data: bytes) -> Signed:
    assert isinstance(store, CanSignPut)
    signed = store.sign_put(url, sha256=hashlib.sha256(data).hexdigest())
    assert signed is not None
    return signed


def read(store: Store, url: str, options: Mapping[str, object]) -> None:
    """A GET that works, also of a part, and says nothing of itself."""
    store.put(url, b"0123456789")
    signed = get_of(store, url)
    assert signed is not None
    assert send(signed) == b"0123456789"
    assert send(signed, Range="bytes=2-4") == b"234"
    shown = repr(signed)
    assert all(str(value) not in shown for value in options.values())
    assert signed.url not in shown


def test_s3(s3_server: S3Server) -> None:
    options = s3_server.options()
    url = s3_server.url(NAME)
    store = open_store(url, **options)
    read(store, url, options)
    signed = get_of(store, url)
    assert signed is not None
    assert options["secret"] not in signed.url
    other = Signed(signed.url.replace("bin?", "bim?"))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        send(other)


def test_s3_takes_only_the_bytes_that_were_signed(s3_server: S3Server) -> None:
    url = s3_server.url("chunks", NAME)
    store = open_store(url, **s3_server.options())
    good = b"what it should be"
    signed = put_of(store, url, good)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        send(signed, b"something else")
    without = {k: v for k, v in signed.headers.items() if k != "x-amz-checksum-sha256"}
    with pytest.raises(urllib.error.HTTPError, match="403"):
        send(Signed(signed.url, without), b"something else")
    assert not store.filesystem().exists(store.path(url))
    send(signed, good)
    assert store.filesystem().cat_file(store.path(url)) == good


def test_who_may_only_read_signs_no_put_that_works(s3_server: S3Server) -> None:
    url = s3_server.url("forbidden")
    store = open_store(url, **s3_server.reading())
    data = b"data"
    signed = put_of(store, url, data)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        send(signed, data)


def test_azure(azure_server: AzureServer) -> None:
    options = azure_server.options()
    url = azure_server.url(NAME)
    store = open_store(url, **options)
    read(store, url, options)
    assert not isinstance(store, CanSignPut), "its server compares no SHA-256"
    signed = get_of(store, url)
    assert signed is not None
    with pytest.raises(urllib.error.HTTPError, match="403"):
        send(Signed(signed.url), b"no", **{"x-ms-blob-type": "BlockBlob"})
    lent = open_store(url, **azure_server.signed("r"))
    assert get_of(lent, url) is None, "a signature for all is not given away"


def test_google(google_server: GoogleServer) -> None:
    """The emulator knows no signatures: without credentials, a URL is what anybody may ask."""
    url = google_server.url("plain.bin")
    store = open_store(url, **google_server.options())
    store.put(url, b"0123456789")
    signed = get_of(store, url)
    assert signed is not None
    assert send(signed) == b"0123456789"


def test_a_local_store_signs_nothing() -> None:
    assert not isinstance(open_store("file:///tmp"), CanSign)


def test_google_signs_with_the_key_of_a_service_account(tmp_path: Path) -> None:
    """Offline: the signature is of the key, which is not in the URL."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    mail = "tester@project.iam.gserviceaccount.com"
    account = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": mail,
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account))
    store = open_store("gs://bucket/a b", token=str(file), project="project")
    signed = get_of(store, "gs://bucket/a b")
    assert signed is not None
    parts = urlsplit(signed.url)
    fields = parse_qs(parts.query)
    assert (parts.netloc, parts.path) == ("storage.googleapis.com", "/bucket/a%20b")
    assert fields["X-Goog-Expires"] == ["60"]
    assert fields["X-Goog-Credential"][0].startswith(f"{mail}/")
    assert len(bytes.fromhex(fields["X-Goog-Signature"][0])) == 256
