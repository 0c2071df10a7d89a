"""Calls to Nebius: by its SDK, since all there is speaks gRPC. Typed errors, and no retry here."""

from __future__ import annotations

import asyncio
import importlib
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stix.clouds.errors import AuthError, TransientError, UnsupportedFeature
from stix.clouds.nebius.errors import ERRORS, failure
from stix.clouds.rented.credentials import Key, whole

TOKEN = Key(("NEBIUS_IAM_TOKEN",), (("~/.nebius/NEBIUS_IAM_TOKEN.txt", whole),))
ACCOUNT = "~/.nebius/credentials.json"
"""Of a service account: the SDK buys tokens with it."""


def sdk(name: str) -> Any:
    """A module of the SDK, by its name there; loaded now, for it is heavy.

    Raises:
        UnsupportedFeature: it is not installed.
    """
    try:
        return importlib.import_module(f"nebius.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("nebius", "grpc"):
            raise
        raise UnsupportedFeature(
            "nebius: its SDK is not installed", fix="pip install 'stix-pipelines[nebius]'"
        ) from error


def source() -> str:
    """Where credentials are; empty where there are none."""
    return TOKEN.find().source or (ACCOUNT if Path(ACCOUNT).expanduser().is_file() else "")


class Api:
    """One account.

    Args:
        settings: ``endpoint_url`` (one address for all services), ``timeout`` (seconds of a call),
            ``pause`` (seconds between two looks at an operation).
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._sdk: Any = None

    async def call(self, client: Any, method: str, request: Any) -> Any:
        """The answer of one request; ``client`` is a class of the SDK.

        Raises:
            CloudError: as the table says; ``TransientError`` where no answer came.
        """
        opened = self._opened()
        try:
            answer = await getattr(client(opened), method)(request, **self._patience())
        except raised() as error:
            raise _typed(error) from None
        if answer is None:  # what the SDK makes of bytes that it cannot read
            raise TransientError(f"nebius: {client.__name__}.{method}: an answer of no sense")
        return answer

    async def listed(self, client: Any, request: Any) -> AsyncIterator[Any]:
        """What a listing has, through all pages."""
        while True:
            answer = await self.call(client, "list", request)
            for item in answer.items:
                yield item
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def done(self, operation: Any, limit_s: float) -> None:
        """Wait for an operation: an order is refused only while it is carried out.

        Nothing is raised where it takes longer.
        """
        end = time.monotonic() + limit_s
        while not operation.done():
            if time.monotonic() > end:
                return
            await asyncio.sleep(float(self._settings.get("pause", 2.0)))
            try:
                await operation.update(**self._patience())
            except raised() as error:
                raise _typed(error) from None
        status = operation.status()
        if status is not None and status.code.name != "OK":
            raise ERRORS.classify(failure(_extended(status)))

    async def close(self) -> None:
        opened, self._sdk = self._sdk, None
        if opened is not None:
            await opened.close()

    def _patience(self) -> dict[str, Any]:
        seconds = float(self._settings.get("timeout", 30))
        once = {"timeout": seconds, "per_retry_timeout": seconds, "auth_timeout": seconds}
        return {**once, "retries": 1}

    def _opened(self) -> Any:
        if self._sdk is None:
            more: dict[str, Any] = {"domain": os.environ.get("NEBIUS_DOMAIN")}
            if self._settings.get("endpoint_url"):
                url = urlsplit(str(self._settings["endpoint_url"]))
                more["resolver"] = sdk("base.resolver").Constant(url.netloc)
                more["options"] = [(sdk("base.options").INSECURE, url.scheme == "http")]
            self._sdk = sdk("sdk").SDK(user_agent_prefix="stix", **more, **_credentials())
        return self._sdk


def raised() -> tuple[type[Exception], ...]:
    """What the SDK raises where a call fails."""
    from grpc import RpcError
    from nebius.base.error import SDKError

    return SDKError, RpcError, OSError


def _credentials() -> dict[str, Any]:
    token = TOKEN.find()
    if token:
        return {"credentials": token.value}
    if source():
        return {"credentials_file_name": Path(ACCOUNT).expanduser()}
    fix = f"put a token in $NEBIUS_IAM_TOKEN, or a service account in {ACCOUNT}"
    raise AuthError("nebius: no credentials", fix=fix)


def _typed(error: Exception) -> Exception:
    status = getattr(error, "status", None)
    if status is not None:
        return ERRORS.classify(failure(_extended(status)))
    return TransientError(f"nebius: no answer: {type(error).__name__}: {error}"[:500])


def _extended(status: Any) -> Any:
    """With the details read."""
    if hasattr(status, "service_errors"):
        return status
    from nebius.aio.service_error import RequestStatusExtended

    return RequestStatusExtended.from_rpc_status(status.to_rpc_status(), "", "")
