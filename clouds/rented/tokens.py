"""Tokens that are bought with the credentials, and serve for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stix.clouds.errors import AuthError
from stix.clouds.rented.http import Api

MARGIN_S = 60.0
"""A token is not used in the last part of its life, since requests take time."""


class Stale(AuthError):
    """The provider does not take the token: it ended, or never was one."""


@dataclass(frozen=True)
class Token:
    """What a provider gives for credentials; ``life_s`` in seconds."""

    value: str = field(repr=False)
    life_s: float


class Bearer:
    """The header with the token of now.

    Args:
        buy: Asks the provider for a new token; what it raises is raised by ``headers``.
        clock: Seconds.
    """

    def __init__(
        self, buy: Callable[[], Awaitable[Token]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._buy = buy
        self._clock = clock
        self._turn = asyncio.Lock()
        self._kept: tuple[Token, float] | None = None

    async def headers(self) -> Mapping[str, str]:
        """See ``http.Headers``. Calls at one time buy one token."""
        return {"Authorization": f"Bearer {(await self._token()).value}"}

    async def call(self, api: Api, method: str, path: str, **more: Any) -> Any:
        """``api.call``; a token that was kept and is refused is replaced, once.

        Tokens may end before their time, as when somebody changes the credentials.
        """
        kept = self._kept
        try:
            return await api.call(method, path, **more)
        except Stale:
            if kept is None:
                raise  # the token was new: what is wrong is something else
            if self._kept is kept:
                self._kept = None
            return await api.call(method, path, **more)

    async def _token(self) -> Token:
        async with self._turn:
            if self._kept is None or self._clock() >= self._kept[1]:
                token = await self._buy()
                self._kept = token, self._clock() + max(0.0, token.life_s - MARGIN_S)
            return self._kept[0]
