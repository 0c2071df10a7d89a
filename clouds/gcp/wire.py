"""Google's APIs over HTTPS: who we are, the project, pages, and operations that take a while.

Credentials are Google's Application Default Credentials, by google-auth: a file of
``$GOOGLE_APPLICATION_CREDENTIALS`` (service account, user, workload federation), the file that
``gcloud auth application-default login`` writes, or the metadata server of a Google machine.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stix.clouds.errors import AuthError, Throttled, TransientError
from stix.clouds.rented.http import Api

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
PROJECTS = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
BOARD = Path("/sys/class/dmi/id/product_name")
FIX = "run `gcloud auth application-default login`, or set $" + VARIABLE


class Login:
    """The account that STIX uses, and its tokens.

    Args:
        timeout_s: Seconds for one request for a token.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._found: tuple[Any, str] | None = None
        self._stale = False

    @staticmethod
    def source() -> str:
        """Where credentials are; empty where there are none."""
        if os.environ.get(VARIABLE):
            return f"${VARIABLE}"
        folder = os.environ.get("CLOUDSDK_CONFIG") or "~/.config/gcloud"
        file = f"{folder}/application_default_credentials.json"
        if Path(file).expanduser().is_file():
            return file
        try:
            on_google = BOARD.read_text().startswith("Google")
        except OSError:
            on_google = False
        return "the metadata server" if on_google else ""

    async def headers(self) -> Mapping[str, str]:
        async with self._turn:
            credentials, _ = await self._opened()
            if self._stale or not credentials.valid:
                await asyncio.to_thread(_asked, lambda: credentials.refresh(self._fetch))
                self._stale = False
            headers = {"Authorization": f"Bearer {credentials.token}"}
            payer = getattr(credentials, "quota_project_id", None)
            return headers | ({"X-Goog-User-Project": str(payer)} if payer else {})

    async def project(self) -> str:
        """The project that the credentials are of; empty where they do not say."""
        async with self._turn:
            return (await self._opened())[1]

    async def account(self) -> str:
        async with self._turn:
            credentials, _ = await self._opened()
        return str(getattr(credentials, "service_account_email", "") or "user account")

    def distrust(self) -> None:
        """The token was refused: get another before the next call."""
        self._stale = True

    async def _opened(self) -> tuple[Any, str]:
        found = self._found
        if found is None:
            if not self.source():
                raise AuthError("gcp: no credentials", fix=FIX)
            found = self._found = await asyncio.to_thread(self._default)
        return found

    def _default(self) -> tuple[Any, str]:
        from google.auth import default

        fetch: Any = self._fetch
        credentials, project = _asked(lambda: default(scopes=[SCOPE], request=fetch))
        return credentials, str(project or "")

    def _fetch(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        """How google-auth asks. It would try again what failed; here others do that, so that what
        it would repeat leaves it as a typed error."""
        import httpx
        from google.auth.exceptions import TransportError

        try:
            with httpx.Client(timeout=timeout or self._timeout_s) as client:
                said = client.request(method, url, content=body, headers=dict(headers or {}))
        except httpx.HTTPError as error:
            if method == "POST":
                raise TransientError(f"gcp: no token: {error or type(error).__name__}") from error
            raise TransportError(error) from error  # type: ignore[no-untyped-call]
        if said.status_code == 429:
            raise Throttled("gcp: too many requests for tokens")
        if said.status_code >= 500 or (method == "POST" and not said.text.startswith("{")):
            raise TransientError(f"gcp: no token: HTTP {said.status_code}")
        return _Answer(said.status_code, dict(said.headers), said.content)


@dataclass(frozen=True, repr=False)
class _Answer:
    """In the form of ``google.auth.transport.Response``."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def _asked(act: Any) -> Any:
    """``act()``, with google-auth's errors as ours; none of its answers is shown."""
    from google.auth import exceptions

    try:
        return act()
    except exceptions.RefreshError as error:
        raise AuthError("gcp: the credentials are refused", fix=FIX) from error
    except exceptions.TransportError as error:
        raise TransientError("gcp: no answer when asked for a token") from error
    except exceptions.GoogleAuthError as error:
        raise AuthError(f"gcp: the credentials cannot be used: {error}", fix=FIX) from error


@dataclass(frozen=True)
class Patience:
    """Seconds between two looks at an operation, and until it is left to itself."""

    pause_s: float = 1.0
    most_s: float = 60.0


class Google:
    """Compute Engine and TPUs of one project.

    Args:
        api: At the host of one of them; ``root`` is what all its paths begin with.
        project: Empty for that of the credentials.
    """

    def __init__(self, api: Api, root: str, login: Login, project: str, patience: Patience) -> None:
        self._api = api
        self._root = root
        self._login = login
        self._project = project
        self.patience = patience

    async def project(self) -> str:
        if not self._project:
            named = (os.environ.get(name, "") for name in PROJECTS)
            self._project = next(filter(None, named), "") or await self._login.project()
        if not self._project:
            raise AuthError(
                "gcp: no project is named", fix="set $GOOGLE_CLOUD_PROJECT or `gcp.project`"
            )
        return self._project

    async def call(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        """The answer; ``path`` is below the project."""
        where = f"{self._root}/projects/{await self.project()}{path}"
        try:
            return await self._api.call(method, where, json=json, params=params)
        except AuthError:
            self._login.distrust()
            raise

    async def pages(self, path: str, key: str, **params: Any) -> list[Any]:
        """All entries. Those of an aggregated list stand by place.

        ``returnPartialSuccess`` is not asked for: a list without the machines of a zone that is
        out of reach would be taken for the whole.
        """
        found: list[Any] = []
        token: str | None = None
        while True:
            page = await self.call("GET", path, pageToken=token, **params)
            entries = page.get("items" if "/v1" in self._root else key) or []
            if isinstance(entries, Mapping):
                entries = [each for place in entries.values() for each in place.get(key) or ()]
            found += entries
            token = page.get("nextPageToken")
            if not token:
                return found

    async def done(self, operation: Mapping[str, Any]) -> bool:
        """Wait for an operation; false where it takes longer than is waited for.

        Whether an order is filled is told by its operation alone: "no capacity" may come 30 s
        after the order was taken.

        Raises:
            CloudError: it went wrong.
        """
        until = time.monotonic() + self.patience.most_s
        while not (operation.get("done") or operation.get("status") == "DONE"):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(self.patience.pause_s)
            operation = await self.call("GET", _place(operation))
        if operation.get("error"):
            raise self._api.refusal(_status(operation), operation)
        return True


def _place(operation: Mapping[str, Any]) -> str:
    """Its path below the project. Those of TPUs are named by their whole path."""
    name = str(operation["name"])
    if "/" in name:
        return "/" + name.split("/", 2)[2]
    for kind in ("zone", "region"):
        if kind in operation:
            return f"/{kind}s/{last(operation[kind])}/operations/{name}"
    return f"/global/operations/{name}"


def _status(operation: Mapping[str, Any]) -> int:
    """What HTTP would say. A part that is missing is a reason, not a machine that is gone."""
    status = int(operation.get("httpErrorStatusCode") or 0)
    return 0 if status == 404 else status


def last(url: str) -> str:
    """The name at the end of an address of Google's."""
    return url.rpartition("/")[2]
