"""What the doubles of Google's APIs share: tokens for a signed JWT, operations and pages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from stix.clouds.testing.double import PAGE, Double, Refused, route
from stix.clouds.testing.wire import Asked

PROJECT = "comet-1"
AUDIENCE = "https://oauth2.googleapis.com/token"
TOKEN = "ya29.secret-token-of-the-double"
ACCOUNT = f"robot@{PROJECT}.iam.gserviceaccount.com"
ROOT = f"/compute/v1/projects/{PROJECT}"
ZONE = r"/zones/(?P<zone>[^/]+)"


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem() -> str:
    return (
        _key()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def key_file(folder: Path, url: str) -> Path:
    """The file of a service account, whose tokens are those of the double at ``url``."""
    file = folder / "robot.json"
    content = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": private_pem(),
        "client_email": ACCOUNT,
        "client_id": "1",
        "token_uri": f"{url}/token",
    }
    file.write_text(json.dumps(content))
    return file


def failure(status: int, reason: str, message: str, grpc: str = "") -> dict[str, Any]:
    """The body of an error of HTTP."""
    errors = [{"message": message, "domain": "global", "reason": reason}]
    body: dict[str, Any] = {"code": status, "message": message, "errors": errors}
    return {"error": body | ({"status": grpc} if grpc else {})}


def broken(code: str, message: str) -> dict[str, Any]:
    """The error of an operation."""
    return {"errors": [{"code": code, "message": message}]}


@dataclass
class Operation:
    """Something that takes a while.

    Attributes:
        looks: How often it is still seen unfinished.
        error: What went wrong.
    """

    name: str
    kind: str
    place: str
    target: str
    target_id: str = "0"
    looks: int = 1
    error: Mapping[str, Any] | None = None
    status: int = 0
    words: str = ""
    born: str = field(default_factory=lambda: datetime.now(UTC).isoformat())


class GoogleDouble(Double):
    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.operations: dict[str, Operation] = {}
        self.slow = 1
        """How often an operation is seen unfinished."""
        self.token_now = TOKEN

    def authorised(self, asked: Asked) -> bool:
        return (
            asked.path == "/token"
            or asked.headers.get("authorization", "") == f"Bearer {self.token_now}"
        )

    # Tokens.

    @route("POST", "/token")
    def token(self, asked: Asked) -> Any:
        form = dict(parse_qsl(asked.body.decode()))
        public = _key().public_key()
        try:
            claims = jwt.decode(form["assertion"], public, algorithms=["RS256"], audience=AUDIENCE)
        except jwt.InvalidTokenError as error:
            body = {"error": "invalid_grant", "error_description": str(error)}
            raise Refused(400, body) from error
        if claims["iss"] != ACCOUNT or "cloud-platform" not in claims["scope"]:
            raise Refused(400, {"error": "invalid_scope"})
        return {"access_token": self.token_now, "expires_in": 3599, "token_type": "Bearer"}

    # Operations.

    @route("GET", rf"{ROOT}(?P<place>/zones/[^/]+|/global)/operations/(?P<name>[^/]+)")
    def operation(self, asked: Asked, place: str, name: str) -> Any:
        found = self.operations.get(name)
        if found is None or found.place != place:
            raise Refused(*self.UNKNOWN)
        found.looks = max(0, found.looks - 1)
        return self.shown(found)

    @route("GET", rf"{ROOT}{ZONE}/operations")
    def all_operations(self, asked: Asked, zone: str) -> Any:
        kind = re.fullmatch(r'operationType = "([\w.]+)"', asked.query["filter"])
        assert kind, "compound filters of operations do not work at the provider"
        place = f"/zones/{zone}"
        found = [o for o in self.operations.values() if o.place == place and o.kind == kind[1]]
        return self.paged(asked, [self.shown(each) for each in found])

    def begun(
        self, kind: str, place: str, target: str, target_id: str = "0", **more: Any
    ) -> Operation:
        name = f"operation-{len(self.operations) + 1}"
        self.operations[name] = Operation(
            name, kind, place, target, target_id, **{"looks": self.slow, **more}
        )
        return self.operations[name]

    def shown(self, operation: Operation) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "kind": "compute#operation",
            "name": operation.name,
            "operationType": operation.kind,
            "targetLink": self.link(f"{operation.place}/{operation.target}"),
            "targetId": operation.target_id,
            "insertTime": operation.born,
            "status": "RUNNING" if operation.looks else "DONE",
        }
        if operation.place.startswith("/zones/"):
            shown["zone"] = self.link(operation.place)
        if operation.words:
            shown["statusMessage"] = operation.words
        if operation.error and not operation.looks:
            shown["error"], shown["httpErrorStatusCode"] = operation.error, operation.status
        return shown

    # Pages.

    def zones(self) -> Sequence[str]:
        """Those that an aggregated list names."""
        return ()

    @staticmethod
    def link(path: str) -> str:
        return f"https://www.googleapis.com/compute/v1/projects/{PROJECT}{path}"

    def paged(self, asked: Asked, entries: Sequence[Any]) -> dict[str, Any]:
        page, more = cut(asked, entries)
        return {"items": page, **more} if page else more

    def by_zone(self, asked: Asked, key: str, entries: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        page, more = cut(asked, entries)
        empty = {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results."}}
        items: dict[str, Any] = {f"zones/{zone}": empty for zone in self.zones()}
        for zone, entry in page:
            place = items.get(f"zones/{zone}", {})
            items[f"zones/{zone}"] = {key: [*place.get(key, ()), entry]}
        return {"items": items, **more}


def cut(asked: Asked, entries: Sequence[Any]) -> tuple[Sequence[Any], dict[str, str]]:
    start = int(asked.query.get("pageToken", "page-0").removeprefix("page-"))
    end = start + PAGE
    return entries[start:end], {"nextPageToken": f"page-{end}"} if end < len(entries) else {}
