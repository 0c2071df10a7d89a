"""JSON over HTTPS to a provider: each answer is a value or a typed error. No retry here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from stix.clouds.errors import CloudError, TransientError
from stix.clouds.rented.failures import ErrorTable, Failure

if TYPE_CHECKING:
    import httpx

Headers = Callable[[], Awaitable[Mapping[str, str]]]
"""The headers that prove who we are; asked for before each request, since tokens expire."""
Reading = Callable[[int, Any], tuple[str, str]]
"""From the status and the body (parsed, where it is JSON) to the code and the message."""


def usual_reading(status: int, body: Any) -> tuple[str, str]:
    """``{"error": {"code", "message"}}``, ``{"code", "message"}`` and their kin."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, list) and inner:
        inner = inner[0]
    if not isinstance(inner, dict):
        return "", str(inner or "")
    code = inner.get("code") or inner.get("id") or inner.get("type") or ""
    words = inner.get("message") or inner.get("msg") or inner.get("detail") or inner.get("reason")
    return str(code), str(words or "")


class Api:
    """One base address of a provider.

    Args:
        base: Address, without a trailing slash.
        headers: See ``Headers``; what it raises is raised by ``call``.
        errors: The provider's table.
        reading: How its errors are written.
        timeout_s: For the connection, and between two parts of an answer.
    """

    def __init__(
        self,
        base: str,
        headers: Headers,
        errors: ErrorTable,
        *,
        reading: Reading = usual_reading,
        timeout_s: float = 30.0,
    ) -> None:
        self.base = base.rstrip("/")
        self._headers = headers
        self._errors = errors
        self._reading = reading
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        """The body of the answer: parsed JSON, else its text; None where it is empty.

        Args:
            method: Of HTTP.
            path: Below the base, or a whole address (of a next page).
            json: The body.
            params: The query; None values are left out.
            more: ``headers`` (added), ``content`` (a body that is not JSON), ``text`` (true where
                the answer may be something else than JSON).

        Raises:
            CloudError: as the provider's table says; ``TransientError`` where no whole answer
                came, so that nobody knows what the call did.
        """
        headers = {**await self._headers(), **more.get("headers", {})}
        query = {name: value for name, value in (params or {}).items() if value is not None}
        where = path if path.startswith("http") else f"{self.base}{path}"
        body = {"json": json, "content": more.get("content")}
        answer = await self._sent(method, where, params=query or None, headers=headers, **body)
        return self._value(answer, self._words(method, where, ""), bool(more.get("text")))

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _sent(self, method: str, where: str, **what: Any) -> httpx.Response:
        import httpx

        try:
            return await self._opened(httpx).request(method, where, **what)
        except httpx.TimeoutException as error:
            raise TransientError(self._words(method, where, "no answer in time")) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            words = str(error) or type(error).__name__
            raise TransientError(self._words(method, where, words)) from error

    def _opened(self, httpx: Any) -> httpx.AsyncClient:
        if self._client is None:
            # Redirects are not followed: the key would go along.
            self._client = httpx.AsyncClient(timeout=self._timeout_s, follow_redirects=False)
        return self._client

    def _value(self, answer: httpx.Response, where: str, text: bool) -> Any:
        body: Any = None
        whole = True
        if answer.content:
            try:
                body = answer.json()
            except ValueError:
                body, whole = answer.text, text
        if answer.is_success:
            if not whole:
                raise TransientError(f"{where}: the answer is not JSON")
            return body
        raise self.refusal(answer.status_code, body, answer.headers.get("retry-after"))

    def refusal(self, status: int, body: Any, retry_after: str | None = None) -> CloudError:
        """The error of an answer; also for answers of status 200 that tell of an error."""
        code, message = self._reading(status, body)
        wait = _seconds(retry_after)
        return self._errors.classify(Failure(status, code, message, wait))

    def _words(self, method: str, where: str, what: str) -> str:
        place = where.partition("?")[0]
        return f"{self._errors.cloud}: {method} {place}" + (f": {what}" if what else "")


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None  # a date: the usual pause will do
