"""Oracle's way to prove who asks: every request is signed with an RSA key.

Source: docs.oracle.com ``API/Concepts/signingrequests`` (draft-cavage-http-signatures-08). Which
headers are signed depends on the method: those of the body only where there may be one.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from stix.clouds.errors import AuthError
from stix.clouds.rented.failures import ErrorTable
from stix.clouds.rented.http import Api

CONFIG = "~/.oci/config"
PLAIN = ("date", "(request-target)", "host")
WITH_BODY = (*PLAIN, "content-length", "content-type", "x-content-sha256")
BODY_METHODS = ("POST", "PUT", "PATCH")


@dataclass(frozen=True)
class Credentials:
    """A user of a tenancy, and his key.

    Attributes:
        region: Where the tenancy is at home, or where the file says.
        key: Of ``cryptography``; no text shows it.
        source: Where it was found.
    """

    tenancy: str
    user: str
    fingerprint: str
    region: str
    source: str
    key: Any = field(repr=False)

    @property
    def key_id(self) -> str:
        return f"{self.tenancy}/{self.user}/{self.fingerprint}"


def place() -> tuple[Path, str]:
    """The file of Oracle's own clients, and the profile in it."""
    file = os.environ.get("OCI_CONFIG_FILE") or os.environ.get("OCI_CLI_CONFIG_FILE") or CONFIG
    return Path(file).expanduser(), os.environ.get("OCI_CLI_PROFILE") or "DEFAULT"


def profile() -> Mapping[str, str]:
    """The profile; empty where there is none that can be read."""
    file, name = place()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text())
        return dict(parser[name])
    except (OSError, ValueError, KeyError, configparser.Error):
        return {}


def load() -> Credentials:
    """The credentials of the profile.

    Raises:
        AuthError: there are none, or the key cannot be read.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    file, name = place()
    found = profile()
    missing = [n for n in ("tenancy", "user", "fingerprint", "key_file") if not found.get(n)]
    if missing:
        raise AuthError(
            f"oci: no {', '.join(missing)} in the profile {name} of {file}",
            fix="write it there: `oci setup config` does",
        )
    phrase = found.get("pass_phrase") or None
    try:
        text = Path(found["key_file"]).expanduser().read_bytes()
        key = load_pem_private_key(text, phrase.encode() if phrase else None)
    except (OSError, ValueError, TypeError):
        # The error is not shown: it might tell of the key.
        raise AuthError(
            f"oci: the key {found['key_file']} cannot be read",
            fix="see `key_file` and `pass_phrase` in the profile",
        ) from None
    return Credentials(
        tenancy=found["tenancy"],
        user=found["user"],
        fingerprint=found["fingerprint"],
        region=found.get("region", ""),
        source=f"{file} [{name}]",
        key=key,
    )


def text_to_sign(method: str, target: str, headers: Mapping[str, str], names: Any) -> str:
    """The lines that are signed, in the order of ``names``."""
    special = {"(request-target)": f"{method.lower()} {target}"}
    return "\n".join(f"{name}: {special.get(name) or headers[name]}" for name in names)


def signed(
    who: Credentials, method: str, url: str, body: bytes, date: str | None = None
) -> dict[str, str]:
    """The headers of a request.

    Args:
        url: The whole address, with its query as it is sent.
        body: As it is sent; of methods that have none it is not looked at.
        date: Now, where it is not given.
    """
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {"date": date or formatdate(usegmt=True), "host": parts.netloc}
    names: tuple[str, ...] = PLAIN
    if method in BODY_METHODS:
        names = WITH_BODY
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers |= {
            "content-length": str(len(body)),
            "content-type": "application/json",
            "x-content-sha256": digest,
        }
    text = text_to_sign(method, target, headers, names)
    signature = base64.b64encode(who.key.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    proof = {
        "algorithm": "rsa-sha256",
        "headers": " ".join(names),
        "keyId": who.key_id,
        "signature": signature,
        "version": "1",
    }
    words = ",".join(f'{name}="{value}"' for name, value in proof.items())
    return {**headers, "authorization": f"Signature {words}"}


@dataclass(frozen=True)
class Page:
    """What was answered, and the mark of the next page where there is one."""

    body: Any
    following: str = ""


class Signed(Api):
    """One host of Oracle. ``call`` gives a ``Page``.

    Args:
        who: Gives the credentials; what it raises is raised by ``call``.
    """

    def __init__(
        self, base: str, who: Callable[[], Credentials], errors: ErrorTable, timeout_s: float
    ) -> None:
        super().__init__(base, _nothing, errors, timeout_s=timeout_s)
        self._who = who

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        asked = {name: value for name, value in (params or {}).items() if value is not None}
        query = urlencode(asked, quote_via=quote, safe="")
        where = f"{path}?{query}" if query else path
        body = b"" if json is None else _dumped(json)
        proof = signed(self._who(), method, f"{self.base}{where}", body)
        headers = {**more.pop("headers", {}), **proof}
        return await super().call(method, where, content=body or None, headers=headers, **more)

    def _value(self, answer: Any, where: str, text: bool) -> Page:
        body = super()._value(answer, where, text)
        return Page(body, answer.headers.get("opc-next-page") or "")


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


async def _nothing() -> Mapping[str, str]:
    return {}
