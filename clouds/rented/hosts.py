"""Providers of several hosts: one per region, and some for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stix.clouds.rented.http import Api


class Hosts:
    """Ways to the hosts of one provider, opened at their first use.

    Args:
        make: From a base address to the way there: ``RentedCloud.api`` with its other arguments.
        stand_in: The setting ``endpoint_url``, which stands for all hosts: the name of the host is
            the first part of the path there. Empty where there is none.
    """

    def __init__(self, make: Callable[[str], Api], stand_in: str = "") -> None:
        self._make = make
        self._stand_in = stand_in
        self._open: dict[str, Api] = {}

    def path(self, host: str, path: str) -> str:
        """``path`` of ``host`` as it is asked for."""
        return f"/{host}{path}" if self._stand_in else path

    def api(self, host: str) -> Api:
        key = "" if self._stand_in else host
        if key not in self._open:
            self._open[key] = self._make(f"https://{host}")
        return self._open[key]

    async def call(self, host: str, method: str, path: str, **more: Any) -> Any:
        """See ``Api.call``."""
        return await self.api(host).call(method, self.path(host, path), **more)

    async def close(self) -> None:
        opened, self._open = list(self._open.values()), {}
        for api in opened:
            await api.close()
