"""Calls to Libcloud: in threads, since it waits; what goes wrong is a typed error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, TypeVar

from stix.clouds.errors import AuthError, CloudError, TransientError, UnsupportedFeature
from stix.clouds.rented.failures import ErrorTable, Failure

T = TypeVar("T")
THREADS = 8


def library(cloud: str) -> ModuleType:
    """The module with the drivers.

    Raises:
        UnsupportedFeature: Libcloud is not installed.
    """
    try:
        from stix.clouds.libcloud import drivers
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("libcloud", "requests"):
            raise
        raise UnsupportedFeature(
            f"{cloud}: Apache Libcloud is not installed",
            fix="pip install 'stix-pipelines[libcloud]'",
        ) from error
    return drivers


def reading(status: int, body: Any) -> tuple[str, str]:
    """The code and the words of a refusal: Vultr's ``{"error", "status"}``, Linode's
    ``{"errors": [{"reason", "field"}]}``, and OpenStack's ``{"itemNotFound": {"message"}}`` and
    ``{"NeutronError": {"type", "message"}}``."""
    if not isinstance(body, dict):
        return "", str(body or "")[:500]
    errors = body.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return str(errors[0].get("field") or ""), "; ".join(str(e.get("reason")) for e in errors)
    name, inner = next(iter(body.items()), ("", ""))
    inner = body.get("error", inner)
    if isinstance(inner, dict):
        return str(inner.get("type") or name), str(inner.get("message") or inner)
    return "", str(inner)


class Drivers:
    """The drivers of one account. A driver does one thing at a time, so there are several.

    Args:
        cloud: Its name.
        errors: The provider's table.
        make: A new driver for a place; called in a thread.
    """

    def __init__(self, cloud: str, errors: ErrorTable, make: Callable[[str], Any]) -> None:
        self._cloud = cloud
        self._errors = errors
        self._make = make
        self._idle: dict[str, list[tuple[Any, Any]]] = {}
        self._threads: ThreadPoolExecutor | None = None

    async def run(self, place: str, work: Callable[[Any], T]) -> T:
        """``work`` with a driver for the place, in a thread.

        Raises:
            CloudError: as the provider's table says.
        """
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, f"stix-{self._cloud}")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._run, place, work)

    def close(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)
        idle, self._idle = self._idle, {}
        for driver, _ in [pair for pairs in idle.values() for pair in pairs]:
            library(self._cloud).hang_up(driver)

    def _run(self, place: str, work: Callable[[Any], T]) -> T:
        drivers = library(self._cloud)
        idle = self._idle.setdefault(place, [])
        try:
            driver, ear = idle.pop()
        except IndexError:
            driver = self._make(place)
            ear = drivers.listen(driver)
        ear.last = None
        try:
            answer = work(driver)
        except CloudError:
            idle.append((driver, ear))
            raise
        except drivers.RAISED as error:
            typed = self._typed(error, ear.last, drivers.no_answer(error))
            # Of no use any more: it may have stopped half-way through a login.
            drivers.hang_up(driver)
            raise typed from None
        idle.append((driver, ear))
        return answer

    def _typed(self, error: BaseException, said: Any, no_answer: bool) -> CloudError:
        """The chain is cut: what requests raises shows headers in some of its texts."""
        if no_answer:
            return TransientError(f"{self._cloud}: no answer: {type(error).__name__}")
        if said is not None and said.status_code >= 300:
            return self._errors.classify(failure(said))
        if "InvalidCreds" in type(error).__name__:
            return AuthError(f"{self._cloud}: the credentials are refused", fix="see `stix check`")
        return TransientError(f"{self._cloud}: an answer that makes no sense: {error!r}"[:500])


def failure(said: Any) -> Failure:
    """What an answer of ``requests`` refuses."""
    try:
        body = said.json()
    except ValueError:
        body = said.text
    code, words = reading(said.status_code, body)
    try:
        wait = float(said.headers["retry-after"])
    except (KeyError, ValueError):
        wait = None  # none, or a date: the usual pause will do
    return Failure(said.status_code, code, words, wait)
