"""The HTTP side of the API server: routes, identities, rights, faults and watches."""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.kube import discovery
from tests.support.kube.cluster import Cluster
from tests.support.kube.disks import CLAIMS
from tests.support.kube.execute import PROTOCOLS, execute
from tests.support.kube.faults import Fault, Numbered
from tests.support.kube.store import KINDS, Change, Object, Refusal, Store, merge, selector

WATCH_SECONDS = 300.0
JSON = "application/json"
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass
class ApiServer:
    """Answers for a cluster.

    Attributes:
        tokens: Bearer token to the name of its user.
        denied: What nobody may do, such as ``create pods`` or ``create pods/exec``.
        faults: Scripted trouble, in order; the first that matches strikes.
        calls: Method and path of every call, as they came.
        protocols: Subprotocols of ``exec`` that this version knows.
        numbered: What happens to calls by their number since the last ``watch``.
        page: Objects per page, whatever the client asks for; 0 for no limit of its own.
        calm: A listing of pods waits for those that are just being started.
        hidden: Uid of a pod to the listings that still miss it.
    """

    cluster: Cluster
    tokens: dict[str, str] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    protocols: tuple[str, ...] = PROTOCOLS
    numbered: Numbered = field(default_factory=Numbered)
    page: int = 0
    hidden: dict[str, int] = field(default_factory=dict)
    calm: bool = False

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 22)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.calls.append((request.method, request.path_qs))
        if (numbered := self.numbered.next()) is not None:
            return await self._numbered(request, numbered)
        fault = next((f for f in self.faults if f.due(request.method, request.path_qs)), None)
        if fault is not None:
            await asyncio.sleep(fault.stall)
            if fault.step == "before" and not fault.stall:
                fault.strike()
                return self._trouble(request, fault)
        try:
            answer = await self._answer(request)
        except Refusal as refusal:
            answer = web.json_response(refusal.status, status=refusal.code, headers=refusal.headers)
        if fault is not None and fault.step == "unanswered":
            fault.strike()
            return self._trouble(request, fault)
        if fault is not None and fault.step == "answered":
            await answer.prepare(request)
            await answer.write_eof()
            fault.strike()
        return answer

    async def _numbered(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        answer: web.StreamResponse | None = None
        if fault.step == "unanswered":
            try:
                answer = await self._answer(request)
            except Refusal as refusal:
                answer = web.json_response(refusal.status, status=refusal.code)
        fault.strike()
        await asyncio.sleep(fault.stall)
        if fault.reason == "garbage":
            return web.Response(text="<html>maintenance</html>", content_type="text/html")
        if fault.kill and answer is not None:
            return answer
        return self._trouble(request, fault)

    def _trouble(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.code:
            status = Refusal(fault.code, fault.reason, fault.message).status
            return web.json_response(status, status=fault.code, headers=dict(fault.headers))
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        path = request.path.strip("/")
        if (document := discovery.document(path)) is not None:
            return web.json_response(document)
        if path.startswith("apis/auth"):
            return await self._review(request, user)
        parts = path.split("/")
        if parts[:2] != ["api", "v1"]:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        return await self._resource(request, user, parts[2:])

    def _user(self, request: web.Request) -> str:
        cert = request.transport.get_extra_info("peercert") if request.transport else None
        for part in (cert or {}).get("subject", ()):
            if part[0][0] == "commonName":
                return str(part[0][1])
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer" and token in self.tokens:
            return self.tokens[token]
        raise Refusal(401, "Unauthorized", "Unauthorized")

    async def _review(self, request: web.Request, user: str) -> web.Response:
        body = await request.json()
        if request.path.endswith("selfsubjectreviews"):
            body["status"] = {"userInfo": {"username": user, "groups": ["system:authenticated"]}}
        elif request.path.endswith("selfsubjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            thing = "/".join(p for p in (asked["resource"], asked.get("subresource")) if p)
            body["status"] = {"allowed": f"{asked['verb']} {thing}" not in self.denied}
        else:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        return web.json_response(body, status=201)

    async def _resource(
        self, request: web.Request, user: str, parts: list[str]
    ) -> web.StreamResponse:
        namespace: str | None = None
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        plural, name, below = [*parts, "", ""][:3]
        if plural not in KINDS:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        self._allow(user, request, namespace, plural, name, below)
        space = namespace or ""
        if below:
            return await self._below(request, self._store.get(plural, space, name), below)
        if name:
            return await self._one(request, plural, space, name)
        if request.method == "GET" and request.query.get("watch") in ("1", "true"):
            return await self._watch(request, plural, namespace)
        if request.method == "GET":
            if plural == "pods" and self.calm:
                await self.cluster.started()
            return self._list(request, plural, namespace)
        if request.method == "POST":
            body = await request.json()
            body = json.loads(json.dumps(body))
            self.cluster.admit(plural, space, body)
            return web.json_response(self._store.add(plural, space, body), status=201)
        raise Refusal(405, "MethodNotAllowed", "the server does not allow this method")

    def _allow(
        self,
        user: str,
        request: web.Request,
        namespace: str | None,
        *names: str,
    ) -> None:
        plural, name, below = names
        verb = VERBS[request.method]
        if verb == "get" and not name:
            verb = "list"
        thing = f"{plural}/{below}" if below else plural
        if below == "exec" and f"create {thing}" in self.denied:
            verb = "create"  # newer servers want it also for GET, by which a WebSocket begins
        if f"{verb} {thing}" in self.denied:
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            words = f'User "{user}" cannot {verb} resource "{thing}" in API group "" {where}'
            raise Refusal(403, "Forbidden", f"{plural} is forbidden: {words}", kind=plural)

    async def _one(
        self, request: web.Request, plural: str, space: str, name: str
    ) -> web.StreamResponse:
        item = self._store.get(plural, space, name)
        if request.method == "GET":
            return web.json_response(item)
        if request.method == "DELETE":
            return await self._delete(request, plural, item)
        body = await request.json()
        meta = body.get("metadata", {})
        wanted = meta.get("resourceVersion")
        if wanted not in (None, "", item["metadata"]["resourceVersion"]):
            words = f'Operation cannot be fulfilled on {plural} "{name}": the object has been '
            raise Refusal(409, "Conflict", f"{words}modified", name=name, kind=plural)
        if request.method == "PATCH":
            if request.content_type == "application/json-patch+json":
                raise Refusal(415, "UnsupportedMediaType", "no JSON patches here")
            merge(item, body)
        else:
            kept = {k: item["metadata"][k] for k in ("uid", "creationTimestamp")}
            item.clear()
            item.update(body)
            item["metadata"].update(kept)
        self._store.touch(plural, item)
        return web.json_response(item)

    async def _delete(self, request: web.Request, plural: str, item: Object) -> web.Response:
        body: Any = await request.json() if request.can_read_body else {}
        grace = body.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        wanted = (body.get("preconditions") or {}).get("uid")
        if wanted not in (None, item["metadata"]["uid"]):
            raise Refusal(409, "Conflict", "the UID in the precondition does not match")
        if plural == "pods":
            self.cluster.delete(item, None if grace is None else float(grace))
        elif plural == CLAIMS:
            self.cluster.disks.delete(item)
        else:
            self._store.remove(plural, item)
        return web.json_response(item)

    def _list(self, request: web.Request, plural: str, namespace: str | None) -> web.Response:
        query = dict(request.query)
        if self.page:
            query["limit"] = str(self.page)
        items, further = self._store.listing(plural, namespace, query)
        items = [item for item in items if not self._missed(item)]
        meta = {"resourceVersion": str(self._store.version), "continue": further}
        kind = {"kind": f"{KINDS[plural]}List", "apiVersion": "v1", "metadata": meta}
        return web.json_response({**kind, "items": items})

    def _missed(self, item: Object) -> bool:
        uid = item["metadata"]["uid"]
        left = self.hidden.get(uid, 0)
        self.hidden[uid] = max(0, left - 1)
        return left > 0

    async def _watch(
        self, request: web.Request, plural: str, namespace: str | None
    ) -> web.StreamResponse:
        wanted = selector(request.query)
        queue: asyncio.Queue[Change] = asyncio.Queue()
        version = int(request.query.get("resourceVersion") or self._store.version)
        for change in self._store.since(plural, version):
            queue.put_nowait(change)
        listener = queue.put_nowait
        self._store.listeners.append(listener)
        response = web.StreamResponse(headers={"Content-Type": JSON})
        try:
            await response.prepare(request)
            seconds = float(request.query.get("timeoutSeconds") or WATCH_SECONDS)
            async with asyncio.timeout(seconds):
                while True:
                    change = await queue.get()
                    space = change.object["metadata"].get("namespace", "")
                    if change.plural != plural or namespace not in (None, space):
                        continue
                    if wanted(change.object):
                        line = json.dumps({"type": change.type, "object": change.object})
                        await response.write(line.encode() + b"\n")
        except (TimeoutError, ConnectionError):
            pass
        finally:
            if listener in self._store.listeners:
                self._store.listeners.remove(listener)
        return response

    async def _below(self, request: web.Request, item: Object, below: str) -> web.StreamResponse:
        uid = item["metadata"]["uid"]
        sandbox = self.cluster.sandboxes.get(uid)
        if below == "log":
            return web.Response(body=bytes(sandbox.log) if sandbox else b"")
        if below == "eviction":
            words = "Eviction API: evicting"
            await self.cluster.take(item, "EvictionByEvictionAPI", "Evicted", words)
            return web.json_response({"kind": "Status", "status": "Success"}, status=201)
        if below == "status" and request.method == "GET":
            return web.json_response(copy.deepcopy(item))
        if below != "exec":
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        if sandbox is None:
            name = item["spec"]["containers"][0]["name"]
            words = f'unable to upgrade connection: container not found ("{name}")'
            raise Refusal(500, "InternalError", words)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise Refusal(400, "BadRequest", "Upgrade request required: websocket")
        return await execute(request, sandbox, self.protocols)

    @property
    def _store(self) -> Store:
        return self.cluster.store
