"""Azure Resource Manager over HTTPS: who we are, the subscription, pages, and what takes a while.

Credentials, by azure-identity: the variables of a service principal or of workload identity, a
managed identity, the login of the Azure CLI; the first that is found. It has a class that tries
all of them, but then nobody can tell a refusal from a wire that is cut.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stix.clouds.errors import AuthError, CloudError, TransientError
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.http import Api

HOST = "https://management.azure.com"
SCOPE = f"{HOST}/.default"
FIX = "run `az login`, or set $AZURE_TENANT_ID, $AZURE_CLIENT_ID and $AZURE_CLIENT_SECRET"
MARGIN_S = 300.0
PRINCIPAL = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE")
IDENTITY = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST")
MANAGED = "the managed identity"
BOARD = Path("/sys/class/dmi/id/chassis_asset_tag")
AZURES_BOARD = "7783-7084-3265-9085-8269-3286-77"
"""How a machine of Azure names its chassis: learn.microsoft.com, "Detect Azure VMs"."""
VERSIONS = {
    "Microsoft.Compute/virtualMachines": "2024-07-01",
    "Microsoft.Compute/disks": "2024-03-02",
    "Microsoft.Compute": "2024-07-01",
    "Microsoft.Network": "2024-05-01",
    "Microsoft.Insights": "2015-04-01",
    "": "2022-09-01",
}
"""Versions of the API by what they are of, the longest fitting name counts; "" is for groups."""


class Login:
    """The account that STIX uses, and its tokens.

    Args:
        timeout_s: Seconds without an answer when asked for a token.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._credential: Any = None
        self._trouble: list[str] = []
        self._token: Any = None

    @staticmethod
    def source() -> str:
        """Where credentials are; empty where there are none."""
        named = os.environ.get("AZURE_CLIENT_ID") and os.environ.get("AZURE_TENANT_ID")
        for name in PRINCIPAL if named else ():
            if os.environ.get(name):
                return f"${name}"
        for name in IDENTITY:
            if os.environ.get(name):
                return f"{MANAGED} of ${name}"
        if (_folder() / "azureProfile.json").expanduser().is_file():
            return str(_folder())
        try:
            on_azure = BOARD.read_text().strip() == AZURES_BOARD
        except OSError:
            on_azure = False
        return f"{MANAGED} of this machine" if on_azure else ""

    async def headers(self) -> Mapping[str, str]:
        async with self._turn:
            if self._token is None or self._token.expires_on < time.time() + MARGIN_S:
                self._token = await asyncio.to_thread(self._ask)
            return {"Authorization": f"Bearer {self._token.token}"}

    def distrust(self) -> None:
        """The token was refused: get another before the next call."""
        self._token = None

    def close(self) -> None:
        credential, self._credential = self._credential, None
        if credential is not None:
            credential.close()

    def _ask(self) -> Any:
        from azure.core.exceptions import AzureError

        if self._credential is None:
            self._credential = self._opened()
        self._trouble.clear()
        try:
            return self._credential.get_token(SCOPE)
        except AzureError as error:
            self.close()  # it would give the same answer again for a minute, without asking
            if self._trouble:
                words = f"azure: no token: {self._trouble[-1]}"[:300]
                raise TransientError(words) from error
            raise AuthError("azure: the credentials are refused", fix=FIX) from error

    def _opened(self) -> Any:
        """The kind of credentials that were found. None of them tries again: others do that."""
        from azure import identity

        source = self.source()
        how = {"retry_total": 0, "transport": _noticing(self._trouble, self._timeout_s)}
        if not source:
            raise AuthError("azure: no credentials", fix=FIX)
        if source == f"${PRINCIPAL[-1]}":
            return identity.WorkloadIdentityCredential(**how)
        if source.startswith("$"):
            return identity.EnvironmentCredential(**how)
        if source.startswith(MANAGED):
            client = os.environ.get("AZURE_CLIENT_ID")
            return identity.ManagedIdentityCredential(client_id=client, **how)
        return identity.AzureCliCredential()


def _noticing(trouble: list[str], timeout_s: float) -> Any:
    """A transport that keeps what went wrong with the wire or the server."""
    from azure.core.exceptions import AzureError
    from azure.core.pipeline.transport import RequestsTransport

    transport: Any = RequestsTransport(connection_timeout=timeout_s, read_timeout=timeout_s)
    plain = transport.send

    def send(request: Any, **how: Any) -> Any:
        try:
            answer = plain(request, **how)
        except AzureError as error:
            trouble.append(type(error).__name__)
            raise
        if answer.status_code == 429 or answer.status_code >= 500:
            trouble.append(f"HTTP {answer.status_code}")
        return answer

    transport.send = send
    return transport


def _folder() -> Path:
    return Path(os.environ.get("AZURE_CONFIG_DIR") or "~/.azure")


def subscription_of(setting: str) -> str:
    """The subscription to use: the setting, ``$AZURE_SUBSCRIPTION_ID``, or the CLI's default.

    Raises:
        AuthError: none is named.
    """
    found = setting or os.environ.get("AZURE_SUBSCRIPTION_ID") or _profile()
    if not found:
        raise AuthError(
            "azure: no subscription is named",
            fix="set $AZURE_SUBSCRIPTION_ID or `azure.subscription`",
        )
    return found


def _profile() -> str:
    """The default subscription of the Azure CLI; its file begins with a byte order mark."""
    try:
        text = (_folder() / "azureProfile.json").expanduser().read_text(encoding="utf-8-sig")
        known = json.loads(text)["subscriptions"]
        return str(next((each["id"] for each in known if each.get("isDefault")), ""))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""


@dataclass(frozen=True)
class Patience:
    """Seconds between two looks at something that changes; for how long a machine that was ordered
    is looked at, and what is made for it or removed."""

    pause_s: float = 2.0
    order_s: float = 60.0
    most_s: float = 300.0


class Arm:
    """One subscription.

    Args:
        subscription: Empty for what ``subscription_of`` finds.
    """

    def __init__(self, api: Api, login: Login, subscription: str, patience: Patience) -> None:
        self._api = api
        self._login = login
        self._subscription = subscription
        self.patience = patience

    @property
    def root(self) -> str:
        """``/subscriptions/ID``."""
        self._subscription = subscription_of(self._subscription)
        return f"/subscriptions/{self._subscription}"

    def path(self, group: str, kind: str, name: str) -> str:
        """The id of a resource; ``kind`` is ``Microsoft.Network/virtualNetworks`` and such."""
        return f"{self.root}/resourceGroups/{group}/providers/{kind}/{name}"

    async def call(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        """The answer. ``path`` is an id, or the address of a next page."""
        if path.startswith("http"):
            if not path.startswith(f"{self._api.base}/"):
                raise TransientError("azure: the next page is at another host")
        else:
            params = {"api-version": _version(path), **params}
        try:
            return await self._api.call(method, path, json=json, params=params)
        except AuthError:
            self._login.distrust()
            raise

    async def pages(self, path: str, **params: Any) -> list[Any]:
        """All entries."""
        found: list[Any] = []
        page = await self.call("GET", path, **params)
        while True:
            found += page.get("value") or ()
            if not page.get("nextLink"):
                return found
            page = await self.call("GET", page["nextLink"])

    async def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Make a resource, and wait until it is made.

        Azure also names an operation to look at; the resource itself tells the same.
        """
        entry = await self.call("PUT", path, body)
        until = time.monotonic() + self.patience.most_s
        while (entry.get("properties") or {}).get("provisioningState") != "Succeeded":
            if (entry.get("properties") or {}).get("provisioningState") == "Failed":
                raise CloudError(f"azure: {path.rpartition('/')[2]} could not be made")
            if time.monotonic() > until:
                raise TransientError(f"azure: {path.rpartition('/')[2]} is not ready yet")
            await asyncio.sleep(self.patience.pause_s)
            entry = await self.call("GET", path)
        return entry

    async def delete(self, path: str, **params: Any) -> None:
        """Remove a resource, and wait until its name is free. Silent where it is gone.

        Raises:
            TransientError: it takes too long.
        """
        until = time.monotonic() + self.patience.most_s
        try:
            await self.call("DELETE", path, **params)
            while await self.call("GET", path):
                if time.monotonic() > until:
                    raise TransientError(f"azure: {path.rpartition('/')[2]} is not removed yet")
                await asyncio.sleep(self.patience.pause_s)
        except NotThere:
            return

    def refusal(self, code: str, message: str) -> CloudError:
        """The error that a resource tells of itself."""
        return self._api.refusal(0, {"error": {"code": code, "message": message}})


def _version(path: str) -> str:
    named = path.partition("/providers/")[2]
    return VERSIONS[max((each for each in VERSIONS if named.startswith(each)), key=len)]
