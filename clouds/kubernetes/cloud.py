"""Kubernetes clusters as a cloud: a region is a context, a node is a pod."""

from __future__ import annotations

import asyncio
import difflib
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from stix.clouds.agents import agrees, cloud_error, settle
from stix.clouds.base import (
    CreateRequest,
    Identity,
    Node,
    NodeRef,
    NodeState,
    Quota,
    Resource,
    Selector,
)
from stix.clouds.config import HOME_TAG, TOKEN_TAG, CloudConfig
from stix.clouds.errors import AuthError, CloudError, InvalidRequest, NodeGone, TransientError
from stix.clouds.kubernetes import kubeconfig
from stix.clouds.kubernetes.api import KubeApi, Object
from stix.clouds.kubernetes.claims import Claims
from stix.clouds.kubernetes.making import Making, end, events_of, pod_path
from stix.clouds.kubernetes.pods import BASE, WISH_LABEL, Wish, label_value, numbers, wish_of
from stix.clouds.kubernetes.reading import (
    created_of,
    end_words,
    never_starts,
    no_place,
    node_of,
    quotas_of,
    state_of,
    tags_of,
    taken_away,
    taking_event,
)
from stix.clouds.kubernetes.settings import read_settings
from stix.clouds.kubernetes.sizes import HOME_LABEL, Survey, offers_of, survey
from stix.clouds.locks import TokenLocks
from stix.clouds.rented.cloud import understood
from stix.clouds.rented.failures import NotThere
from stix.errors import StixError
from stix.plan.offers import Offer
from stix.remote.agent import HostAgent, UpRequest
from stix.remote.base import ConnectionLost, Runner
from stix.remote.kube import KubeRunner

log = logging.getLogger("stix.clouds.kubernetes")
SURVEY_SECONDS = 60.0
POLL_SECONDS = (0.05, 1.0)
Resources = list[Resource]
Quotas = list[Quota]
RIGHTS = (
    *(("create", "pods"), ("get", "pods"), ("list", "pods"), ("delete", "pods")),
    *(("get", "pods/exec"), ("create", "pods/exec"), ("create", "services")),
)


class KubernetesCloud(Claims):
    """Pods in the contexts of a kubeconfig. Needs no SDK: HTTP and WebSocket suffice."""

    name = "kubernetes"
    opt_in = True
    container_image = True
    disk_size = True
    new_volumes = True

    def __init__(self, config: CloudConfig) -> None:
        self._config = config
        self._settings = read_settings(config.settings)
        self._home = label_value(config.home_id)
        self._locks = TokenLocks(config.home / "cache" / "kubernetes-locks")
        self._known: dict[str, KubeApi] | None = None
        self._surveys: dict[str, tuple[float, Survey]] = {}
        self._runners: dict[NodeRef, KubeRunner] = {}

    def credentials(self) -> str:
        """Where a kubeconfig was found, or the service account of the pod that we run in."""
        return kubeconfig.found_in(self._settings)

    async def check(self) -> Identity:
        """Ask every context who we are and what we may do; contexts that fail are in ``detail``.

        Raises:
            CloudError: none can be used; the error of the first.
        """
        good, errors = await settle([self._look(api) for api in self._apis().values()])
        if not good:
            raise errors[0]
        lines = [f"{context}: {words}" for context, _, words in good]
        return Identity(good[0][1], "\n".join([*lines, *map(str, errors)]))

    async def offers(self) -> Sequence[Offer]:
        """Sizes of the nodes of every context that answers.

        Raises:
            CloudError: none does; the error of the first.
        """
        apis = self._apis()
        found, errors = await settle([self._offers(api) for api in apis.values()])
        for error in errors:
            log.warning("not offered: %s", error)
        if errors and not found:
            raise errors[0]
        return [offer for offers in found for offer in offers]

    async def create(self, request: CreateRequest) -> list[Node]:
        api = self._api(request.offer.region)
        tags = {**request.tags, HOME_TAG: self._config.home_id, TOKEN_TAG: request.token}
        async with self._locks.hold(request.token):
            with understood(self.name):
                wish = Wish(
                    replace(request, tags=tags),
                    self._config.home_id,
                    api.place.namespace,
                    self._settings,
                    await self._labels(api),
                )
                await self.demand_claims(api, request)
                made = await Making(api, wish).make()
                return [node_of(each, api.place.context) for each in made]

    async def list(self, selector: Selector) -> list[Node]:
        wanted = Selector({**selector.tags, HOME_TAG: self._config.home_id})
        found: list[Node] = []
        for api in self._apis().values():
            with understood(self.name):
                pods = await api.items(
                    f"/api/v1/namespaces/{api.place.namespace}/pods",
                    {"labelSelector": self._search(selector.tags)},
                )
                found += [node_of(made, api.place.context) for made in pods]
        return [node for node in found if agrees(node.tags, wanted)]

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        wanted = list(dict.fromkeys(nodes))
        for ref in wanted:
            self._runners.pop(ref, None)
        acts = [self._end(self._api(ref.region), ref.id) for ref in wanted]
        _, errors = await settle(acts)
        if errors:
            raise errors[0]

    async def runner(self, node: Node) -> Runner:
        return self._runner(node.ref)

    async def close(self) -> None:
        self._runners.clear()
        known, self._known = self._known or {}, None
        for api in known.values():
            await api.close()

    async def prepare(self, node: Node) -> Node:
        """Wait for the container, and have the agent in it. See ``CanPrepare``."""
        made = await self._running(self._api(node.ref.region), node)
        ready = node_of(made, node.ref.region)
        wish = UpRequest(
            token=ready.tags.get(TOKEN_TAG, ready.ref.id),
            rank=ready.rank,
            name=ready.ref.id,
            tags=dict(ready.tags),
            address=ready.address,
        )
        try:
            record = await HostAgent(self._runner(node.ref), BASE).up(wish)
        except ConnectionLost as error:
            raise TransientError(f"kubernetes: {ready.ref.id}: {error.message}") from error
        except StixError as error:
            raise cloud_error(error, "region", ready.ref.id) from error
        return replace(ready, directory=record.directory, socket=record.socket)

    async def preemption(self, node: NodeRef) -> str | None:
        """By the pod's state while it is there, and by events afterwards (an hour, usually)."""
        api = self._api(node.region)
        with suppress(NotThere):
            made = await api.get(self._path(api, node.id))
            return taken_away(made) or None
        return taking_event(await events_of(api, node.id)) or None

    async def describe(self, node: NodeRef) -> NodeState | None:
        """The state of the pod; None where there is none."""
        api = self._api(node.region)
        with suppress(NotThere):
            return state_of(await api.get(self._path(api, node.id)))[0]
        return None

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """By a Service per node, of the type that the settings name."""
        wanted = numbers(ports)
        for ref in dict.fromkeys(nodes):
            api = self._api(ref.region)
            made = await api.get(self._path(api, ref.id))
            await Making.open(api, made, wanted, self._settings.service_type)

    async def resources(self) -> Resources:
        """Services that are ours: names of gangs, and open ports."""
        found: Resources = []
        for api in self._apis().values():
            with understood(self.name):
                base = f"/api/v1/namespaces/{api.place.namespace}"
                query = {"labelSelector": self._search({})}
                services = await api.items(f"{base}/services", query)
                pods = await api.items(f"{base}/pods", query)
            found += [self._resource(api, service, pods) for service in services]
        return [each for each in found if each.tags.get(HOME_TAG) == self._config.home_id]

    async def remove(self, resources: Sequence[Resource]) -> None:
        """Remove Services that no pod uses."""
        held = {(r.region, r.id) for r in await self.resources() if r.used_by}
        refused = [each.id for each in resources if (each.region, each.id) in held]
        for each in resources:
            if each.id not in refused:
                namespace, _, name = each.id.partition("/")
                path = f"/api/v1/namespaces/{namespace}/services/{name}"
                await self._api(each.region).delete(path)
        if refused:
            raise InvalidRequest(f"kubernetes: in use: {', '.join(refused)}")

    async def quotas(self, region: str) -> Quotas:
        """The ResourceQuotas of the namespace."""
        api = self._api(region)
        path = f"/api/v1/namespaces/{api.place.namespace}/resourcequotas"
        with understood(self.name):
            return [quota for item in await api.items(path) for quota in quotas_of(item, region)]

    # How it is done.

    def _apis(self) -> dict[str, KubeApi]:
        if self._known is None:
            places = kubeconfig.places(self._settings)
            timeout_s = self._settings.timeout
            self._known = {name: KubeApi(place, timeout_s) for name, place in places.items()}
        return self._known

    def _api(self, context: str) -> KubeApi:
        apis = self._apis()
        if context in apis:
            return apis[context]
        close = difflib.get_close_matches(context, apis, n=1)
        guess = f"did you mean {close[0]}? " if close else ""
        raise InvalidRequest(
            f"kubernetes: the context {context!r} is not used",
            fix=f"{guess}in use: {', '.join(apis)}; name it in `kubernetes: {{contexts: [...]}}`",
        )

    def _search(self, tags: Mapping[str, str]) -> str:
        terms = {HOME_LABEL: self._home}
        if TOKEN_TAG in tags:
            terms[WISH_LABEL] = wish_of(self._config.home_id, tags[TOKEN_TAG])
        return ",".join(f"{key}={value}" for key, value in terms.items())

    def _path(self, api: KubeApi, node_id: str) -> str:
        return pod_path(node_id, api.place.namespace)

    def _runner(self, ref: NodeRef) -> KubeRunner:
        if ref not in self._runners:
            api = self._api(ref.region)
            namespace, _, name = ref.id.rpartition("/")
            self._runners[ref] = api.runner(namespace or api.place.namespace, name)
        return self._runners[ref]

    async def _look(self, api: KubeApi) -> tuple[str, str, str]:
        version = await api.get("/version")
        user = "?"
        with suppress(NotThere):  # before Kubernetes 1.28
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            answer = await api.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
            user = answer["status"]["userInfo"]["username"]
        answers = await asyncio.gather(*(self._may(api, *right) for right in RIGHTS))
        context, space = api.place.context, api.place.namespace
        missing = [f"{v} {r}" for (v, r), may in zip(RIGHTS, answers, strict=True) if not may]
        if missing:
            raise AuthError(
                f"kubernetes/{context}: {user} may not {', '.join(missing)} in {space}",
                fix="grant these rights by a Role and a RoleBinding in that namespace",
            )
        words = f"namespace {space} of {api.place.server}, {version.get('gitVersion', '?')}"
        return context, f"{user}@{context}", words

    async def _may(self, api: KubeApi, verb: str, resource: str) -> bool:
        plural, _, below = resource.partition("/")
        asked = {"namespace": api.place.namespace, "verb": verb, "resource": plural}
        body: Object = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**asked, **({"subresource": below} if below else {})}},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool((await api.post(path, body))["status"]["allowed"])

    async def _offers(self, api: KubeApi) -> Sequence[Offer]:
        with understood(self.name):
            nodes = await self._nodes(api)
            pods = await self._all_pods(api) if nodes else ()
            return offers_of(api.place.context, survey(nodes, pods, self._home), self._settings)

    async def _labels(self, api: KubeApi) -> Survey:
        """How the nodes say what they are, as of a minute ago at most."""
        asked, seen = self._surveys.get(api.place.context, (0.0, Survey()))
        if not asked or time.monotonic() - asked > SURVEY_SECONDS:
            seen = survey(await self._nodes(api), (), self._home)
            self._surveys[api.place.context] = (time.monotonic(), seen)
        return seen

    async def _nodes(self, api: KubeApi) -> Sequence[Object]:
        """Without the right to list them, what ``sizes`` says has to do."""
        try:
            return await api.items("/api/v1/nodes")
        except AuthError:
            if not self._settings.sizes:
                raise
            return ()

    async def _all_pods(self, api: KubeApi) -> Sequence[Object]:
        try:
            return await api.items("/api/v1/pods")
        except AuthError:  # pods of others then count as room
            return await api.items(f"/api/v1/namespaces/{api.place.namespace}/pods")

    async def _end(self, api: KubeApi, node_id: str) -> None:
        with understood(self.name):
            await end(api, self._path(api, node_id), self._settings.stop_seconds)

    async def _running(self, api: KubeApi, node: Node) -> Object:
        """The pod, once its container runs."""
        start = time.monotonic()
        placed: float | None = None
        pause = POLL_SECONDS[0]
        while True:
            made = await self._seen(api, node)
            if state_of(made)[0] is NodeState.RUNNING and (made["status"].get("podIP")):
                return made
            if error := never_starts(made):
                raise error
            now = time.monotonic()
            if made["spec"].get("nodeName"):
                placed = placed or now
                if now - placed > self._settings.start_seconds:
                    raise TransientError(f"kubernetes: {node.ref.id} did not start in time")
            else:
                await self._still_scaling(api, made, now - start)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, POLL_SECONDS[1])

    async def _still_scaling(self, api: KubeApi, made: Object, waited_s: float) -> None:
        settings = self._settings
        meta = made["metadata"]
        events = await events_of(api, f"{meta['namespace']}/{meta['name']}", meta["uid"])
        verdict = no_place(made, events, waited_s, settings.patience)
        if verdict == "queued" and waited_s > settings.scale_seconds:
            verdict = no_place(made, (), waited_s, 0.0)
        if isinstance(verdict, CloudError):
            raise verdict

    async def _seen(self, api: KubeApi, node: Node) -> Object:
        try:
            made = await api.get(self._path(api, node.ref.id))
        except NotThere:
            words = taking_event(await events_of(api, node.ref.id))
            said = words or "it was removed"
            raise NodeGone(
                f"kubernetes: {node.ref.id} is gone before it was ready: {said}",
                preempted=bool(words),
            ) from None
        state, reason = state_of(made)
        over = state in (NodeState.PREEMPTED, NodeState.TERMINATED)
        if over or made["status"].get("phase") in ("Succeeded", "Failed"):
            raise NodeGone(
                f"kubernetes: {node.ref.id} ended before it was ready: {reason or end_words(made)}",
                preempted=state is NodeState.PREEMPTED,
            )
        return made

    def _resource(self, api: KubeApi, service: Object, pods: Sequence[Object]) -> Resource:
        meta = service["metadata"]
        wanted: Mapping[str, Any] = service["spec"].get("selector") or {}
        users = [p for p in pods if wanted.items() <= p["metadata"]["labels"].items()]
        return Resource(
            cloud=self.name,
            kind="service",
            id=f"{meta['namespace']}/{meta['name']}",
            region=api.place.context,
            tags=tags_of(service),
            created=created_of(service),
            used_by=tuple(f"{p['metadata']['namespace']}/{p['metadata']['name']}" for p in users),
            billed=service["spec"].get("type") == "LoadBalancer",
        )
