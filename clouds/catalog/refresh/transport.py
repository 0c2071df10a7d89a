"""HTTP: one request at a time, tried again within bounds, into a file."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import urlencode

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from stix.clouds.catalog.refresh.errors import NoAccess, Passing, RefreshError, Refused
from stix.clouds.catalog.refresh.settings import Bounds, Clock

T = TypeVar("T")
NOT_MODIFIED = 304
SHOWN = 200


@dataclass(frozen=True)
class Request:
    """What to send.

    Attributes:
        name: Of the page, for messages.
        url: Without its query.
        query: Parameters.
        json: Body of a POST.
        form: Body of a POST as a form.
        headers: Credentials and conditions.
    """

    name: str
    url: str
    query: Mapping[str, str]
    json: Mapping[str, object] | None
    form: Mapping[str, str] | None
    headers: Mapping[str, str]

    @property
    def content(self) -> bytes:
        if self.json is not None:
            return json.dumps(self.json).encode()
        return urlencode(self.form).encode() if self.form is not None else b""

    @property
    def kind(self) -> dict[str, str]:
        """The header that says what the body is."""
        if self.json is not None:
            return {"Content-Type": "application/json"}
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return form if self.form is not None else {}

    @property
    def method(self) -> str:
        return "GET" if self.json is None and self.form is None else "POST"


@dataclass(frozen=True)
class Reply:
    """What came back; its body is in a file, unless it is ``not_modified``."""

    not_modified: bool
    etag: str | None
    last_modified: str | None


class Transport:
    """A client with bounds; a context manager.

    Args:
        bounds: How often, how long, how much.
        clock: Time.
    """

    def __init__(self, bounds: Bounds, clock: Clock) -> None:
        self.bounds = bounds
        self.clock = clock
        self._end = clock.monotonic() + bounds.run_seconds
        timeout = httpx.Timeout(bounds.idle_seconds, connect=bounds.connect_seconds)
        # No redirects: credentials go to the host they were set for, and nowhere else.
        self._client = httpx.Client(
            timeout=timeout,
            follow_redirects=False,
            headers={"User-Agent": "stix"},
            verify=_trust(),
        )

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def trying(self, act: Callable[[], T]) -> T:
        """``act``, again after a passing fault.

        Raises:
            RefreshError: it failed for good, or too often.
        """
        again = Retrying(
            stop=stop_after_attempt(self.bounds.attempts),
            wait=self._wait,
            retry=retry_if_exception_type(Passing),
            sleep=self.clock.sleep,
            reraise=True,
        )
        return again(act)

    def _wait(self, state: RetryCallState) -> float:
        bounds = self.bounds
        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, Passing) else None
        usual = min(bounds.first_wait * 2 ** (state.attempt_number - 1), bounds.longest_wait)
        wait = usual if asked is None else asked
        if wait > bounds.longest_wait or self.clock.monotonic() + wait > self._end:
            raise Refused(
                f"{error.message if isinstance(error, Passing) else 'a passing fault'}: "
                f"the next try would be in {wait:.0f} s, which is too late"
            )
        return wait

    def ask(self, request: Request, into: Path, most: int) -> Reply:
        """Send one request once.

        Args:
            request: What to send.
            into: Where the body goes; nothing is there if it did not come whole.
            most: Bytes of it at most.

        Raises:
            Passing: it may work the next time.
            RefreshError: it will not.
        """
        if self.clock.monotonic() > self._end:
            raise RefreshError(
                f"{request.name}: out of time after {self.bounds.run_seconds:.0f} s",
                fix="run it again: finished pages are kept",
            )
        url = httpx.URL(request.url)
        try:
            with self._client.stream(
                request.method,
                url.copy_merge_params(dict(request.query)) if request.query else url,
                content=request.content or None,
                headers={**request.headers, **request.kind},
            ) as response:
                _status(request.name, response)
                if response.status_code == NOT_MODIFIED:
                    return Reply(True, None, None)
                self._save(request.name, response, into, most)
                found = response.headers
                return Reply(False, found.get("ETag"), found.get("Last-Modified"))
        except httpx.TimeoutException:
            raise Passing(f"{request.name}: no answer in time") from None
        except httpx.TransportError as error:
            raise Passing(f"{request.name}: the connection failed: {error}") from None
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            raise Refused(f"{request.name}: {error}") from None

    def _save(self, name: str, response: httpx.Response, into: Path, most: int) -> None:
        end = self.clock.monotonic() + self.bounds.answer_seconds
        size = 0
        with into.open("wb") as stream:
            for chunk in response.iter_bytes():  # as they come: a drip has to be noticed
                size += len(chunk)
                if size > most:
                    raise Refused(f"{name}: the answer is larger than {most} bytes")
                if self.clock.monotonic() > end:
                    raise Passing(
                        f"{name}: the answer took more than {self.bounds.answer_seconds:g} s"
                    )
                stream.write(chunk)


@cache
def _trust() -> ssl.SSLContext:
    """Which certificates are trusted: read once, for all clouds."""
    return httpx.create_ssl_context()


def _status(name: str, response: httpx.Response) -> None:
    code = response.status_code
    if code in (httpx.codes.OK, NOT_MODIFIED):
        return
    if code in (408, 429) or code >= 500:
        after = _seconds(response.headers.get("Retry-After"))
        raise Passing(f"{name}: the provider answers {code}", after=after)
    try:
        response.read()
        said = " ".join(response.text.split())[:SHOWN]
    except httpx.HTTPError:
        said = ""
    text = f"{name}: the provider answers {code}" + (f": {said}" if said else "")
    if code in (401, 403):
        raise NoAccess(text, fix="check the credentials")
    raise Refused(text)


def _seconds(value: str | None) -> float | None:
    """``Retry-After``: seconds, or a date."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return max(when.timestamp() - time.time(), 0.0)
