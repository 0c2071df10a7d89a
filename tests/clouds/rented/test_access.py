"""Keys, credentials, the first boot and error tables of rented clouds."""

from __future__ import annotations

import asyncio
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    Throttled,
    TransientError,
)
from stix.clouds.rented.credentials import Key, line, whole
from stix.clouds.rented.failures import ErrorTable, Exists, Failure, NotThere, Rule
from stix.clouds.rented.first_boot import cloud_init, container_script, fitting
from stix.clouds.rented.http import Api
from stix.clouds.rented.keys import KeyPair
from stix.clouds.testing.wire import Answer, Asked, WireServer
from stix.spec.yaml.text import parse

TABLE = ErrorTable(
    "comet",
    (
        Rule(CapacityError, "sold_out", scope="region"),
        Rule(CapacityError, text="no more hosts", scope="type"),
        Rule(AuthError, "blocked", status=(400,), fix="pay the bill"),
    ),
)


def test_one_pair_whoever_asks_first(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        lines = set(pool.map(lambda _: KeyPair(tmp_path).public(), range(8)))
    assert len(lines) == 1
    pair = KeyPair(tmp_path)
    assert stat.S_IMODE(pair.private_file.stat().st_mode) == 0o600
    key = serialization.load_ssh_private_key(pair.private_file.read_bytes(), None)
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    assert key.public_key().public_bytes(encoding, form).decode() in lines.pop()


def test_a_key_is_found_where_people_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys"
    key = Key(("COMET_API_KEY",), ((str(file), line("api_key =")), (str(file), whole)))
    assert not key.find() and key.find().source == ""
    with pytest.raises(AuthError, match="comet: no credentials") as missing:
        key.need("comet")
    assert "$COMET_API_KEY" in missing.value.fix and str(file) in missing.value.fix
    file.write_text("# mine\napi_key = 'hidden-1'\n")
    assert (key.find().value, key.find().source) == ("hidden-1", str(file))
    file.write_text("hidden-2\n")
    assert key.find().value == "hidden-2"
    monkeypatch.setenv("COMET_API_KEY", " hidden-3 ")
    found = key.need("comet")
    assert (found.value, found.source) == ("hidden-3", "$COMET_API_KEY")
    assert "hidden" not in f"{found!r} {found!s}"


@pytest.mark.parametrize("user", ["root", "ubuntu"])
def test_cloud_init_lets_our_key_in(user: str) -> None:
    text = cloud_init("ssh-ed25519 AAAA stix", user)
    [document] = parse(text, "user-data")
    assert text.startswith("#cloud-config\n")
    assert document.value["ssh_authorized_keys"] == ["ssh-ed25519 AAAA stix"]
    if user == "root":
        assert document.value["disable_root"] is False
    else:
        assert document.value["users"][1]["name"] == user
    assert "AAAA" in container_script("ssh-ed25519 AAAA stix")


def test_a_script_that_is_too_long_is_refused() -> None:
    assert fitting("abc", 3, "comet") == "abc"
    with pytest.raises(InvalidRequest, match="has 6 bytes, and 5 are allowed"):
        fitting("größ", 5, "comet")


@pytest.mark.parametrize(
    ("failure", "kind", "more"),
    [
        (Failure(409, "sold_out", "x"), CapacityError, "region"),
        (Failure(500, "", "There are No More Hosts here"), CapacityError, "type"),
        (Failure(400, "blocked", "x"), AuthError, "pay the bill"),
        (Failure(500, "blocked", "x"), TransientError, ""),
        (Failure(401), AuthError, "see `stix check`"),
        (Failure(404), NotThere, ""),
        (Failure(409, "other"), Exists, ""),
        (Failure(429, retry_after=7.5), Throttled, 7.5),
        (Failure(503), TransientError, ""),
        (Failure(422, "", "wrong"), InvalidRequest, ""),
        (Failure(302), CloudError, ""),
    ],
)
def test_a_failure_means(failure: Failure, kind: type[CloudError], more: object) -> None:
    error = TABLE.classify(failure)
    assert type(error) is kind and error.message.startswith("comet: ")
    if isinstance(error, CapacityError):
        assert error.scope == more
    elif isinstance(error, Throttled):
        assert error.retry_after == more
    else:
        assert error.fix == more


def answering(asked: Asked) -> Answer:
    """A provider of few words."""
    if asked.path == "/moved":
        return Answer(302, None, {"Location": "http://127.0.0.1:9/"})
    if asked.path == "/page":
        return Answer(200, b"<html>", {"Content-Type": "text/html"})
    if asked.path == "/busy":
        return Answer(429, {"error": {"message": "slow"}}, {"Retry-After": "3"})
    if asked.path == "/empty":
        return Answer(204)
    return Answer(200, {"query": dict(asked.query), "key": asked.headers["authorization"]})


def test_an_answer_is_a_value_or_a_typed_error() -> None:
    async def headers() -> dict[str, str]:
        return {"Authorization": "hidden"}

    async def talk(url: str) -> None:
        api = Api(url + "/", headers, TABLE, timeout_s=2)
        said = await api.call("GET", "/x", params={"a": 1, "none": None})
        assert said == {"query": {"a": "1"}, "key": "hidden"}
        assert await api.call("GET", "/empty") is None
        assert await api.call("GET", "/page", text=True) == "<html>"
        for path, kind in (
            ("/page", TransientError),
            ("/busy", Throttled),
            ("/moved", CloudError),  # the key does not go along
            ("http://127.0.0.1:9/", TransientError),
        ):
            with pytest.raises(kind) as refused:
                await api.call("GET", path)
            assert "hidden" not in f"{refused.value!r} {refused.value}"
        await api.close()
        await api.close()

    with WireServer(answering).running() as url:
        asyncio.run(talk(url))
