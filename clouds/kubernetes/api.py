"""The way to one API server: calls, pages, and typed errors."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stix.clouds.errors import AuthError, CloudError, TransientError
from stix.clouds.kubernetes.errors import RULES, Expired
from stix.clouds.kubernetes.kubeconfig import Access, Place
from stix.clouds.rented.failures import ErrorTable, Failure, NotThere
from stix.remote.kube import Dialect, KubeRunner, Login, PodTarget

if TYPE_CHECKING:
    import httpx

PAGE = 500
STARTS = 5  # a listing is begun anew so often when its pages have expired
CONTAINER = "main"
Object = dict[str, Any]


class KubeApi:
    """Calls to one API server, as one user. Holds no secret in ``repr``."""

    def __init__(self, place: Place, timeout_s: float) -> None:
        self.place = place
        self._access = Access(place)
        self._timeout = timeout_s
        self._table = ErrorTable(f"kubernetes/{place.context}", RULES)
        self._dialect = Dialect()
        self._client: httpx.AsyncClient | None = None
        self._tls: ssl.SSLContext | None = None
        self._former: list[httpx.AsyncClient] = []

    def runner(self, namespace: str, pod: str) -> KubeRunner:
        place = self.place
        return KubeRunner(
            PodTarget(
                place.server,
                namespace,
                pod,
                CONTAINER,
                self._access.login,
                self._dialect,
                place.host,
                place.proxy,
            )
        )

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        return await self.call("GET", path, query=query)

    async def post(self, path: str, body: Object) -> Object:
        return await self.call("POST", path, body=body)

    async def delete(self, path: str, grace_s: int | None = None) -> None:
        """Ask for removal; silent on what is not there."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        body: Object = {**options}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        try:
            await self.call("DELETE", path, body=body)
        except NotThere:
            return

    async def patch(self, path: str, body: Object) -> Object:
        """A JSON merge patch."""
        return await self.call("PATCH", path, body=body, kind="application/merge-patch+json")

    async def items(self, path: str, query: Mapping[str, str] | None = None) -> list[Object]:
        """A whole listing. Pages that have expired on the way are read anew."""
        for _ in range(STARTS - 1):
            try:
                return await self._pages(path, query or {})
            except Expired:
                continue
        return await self._pages(path, query or {})

    async def close(self) -> None:
        clients = [*self._former, *([self._client] if self._client else [])]
        self._client, self._former = None, []
        for client in clients:
            await client.aclose()

    async def _pages(self, path: str, query: Mapping[str, str]) -> list[Object]:
        found: list[Object] = []
        further = ""
        while True:
            more = {"continue": further} if further else {}
            answer = await self.get(path, {**query, "limit": str(PAGE), **more})
            if not isinstance(answer.get("items"), list):
                raise TransientError(f"{self._table.cloud}: an answer that makes no sense")
            found += answer["items"]
            further = (answer.get("metadata") or {}).get("continue") or ""
            if not further:
                return found

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        kind: str = "application/json",
    ) -> Object:
        """One call; ``kind`` is the type of ``body``. A refused login is tried anew once.

        Raises:
            CloudError: by ``RULES``; ``TransientError`` where there was no answer.
        """
        import json

        content = None if body is None else json.dumps(body).encode()
        for last in (False, True):
            login = await self._access.login()
            response = await self._send(method, path, query or {}, login, (content, kind))
            if response.status_code == 401:
                self._access.forget()
            if response.status_code != 401 or last:
                break
        return self._read(response)

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        login: Login,
        body: tuple[bytes | None, str],
    ) -> httpx.Response:
        import httpx

        headers = {"Accept": "application/json", **login.headers}
        if body[0] is not None:
            headers["Content-Type"] = body[1]
        host = self.place.host
        more: dict[str, Any] = {"extensions": {"sni_hostname": host}} if host else {}
        try:
            return await (await self._http(login)).request(
                method,
                f"{self.place.server}{path}",
                params=dict(query),
                headers=headers,
                content=body[0],
                timeout=self._timeout,
                **more,
            )
        except httpx.HTTPError as error:
            raise self._unanswered(error) from None

    async def _http(self, login: Login) -> httpx.AsyncClient:
        import httpx

        if self._client is None or self._tls is not login.tls:
            if self._client is not None:
                self._former.append(self._client)  # calls may be under way
            verify: Any = login.tls if login.tls is not None else True
            self._client = httpx.AsyncClient(verify=verify, proxy=self.place.proxy)
            self._tls = login.tls
        return self._client

    def _unanswered(self, error: Exception) -> CloudError:
        where, words = self._table.cloud, str(error) or type(error).__name__
        if "CERTIFICATE" in words.upper():
            fix = "correct certificate-authority in the kubeconfig"
            return AuthError(f"{where}: the server's certificate is not trusted: {words}", fix=fix)
        return TransientError(f"{where}: no answer from {self.place.server}: {words}")

    def _read(self, response: httpx.Response) -> Object:
        try:
            answer = response.json()
            if not isinstance(answer, dict):
                raise ValueError("no object")
        except ValueError:
            if response.status_code < 400:
                words = "an answer that makes no sense"
                raise TransientError(f"{self._table.cloud}: {words}") from None
            answer = {"message": response.text[:300]}
        if response.status_code < 400:
            return answer
        wait = response.headers.get("Retry-After", "")
        error = self._table.classify(
            Failure(
                response.status_code,
                str(answer.get("reason") or ""),
                str(answer.get("message") or ""),
                float(wait) if wait.isdigit() else None,
            )
        )
        raise error
