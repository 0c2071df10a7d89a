"""Making the pods of one wish, and ending them. The caller holds the token's lock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from stix.clouds.agents import finish, settle
from stix.clouds.errors import AuthError, CapacityError, CloudError, InvalidRequest, TransientError
from stix.clouds.kubernetes.api import KubeApi, Object
from stix.clouds.kubernetes.pods import (
    WISH_LABEL,
    Wish,
    numbers,
    peers_service,
    pod,
    port_list,
    ports_service,
)
from stix.clouds.kubernetes.reading import no_place, turned_away, unschedulable
from stix.clouds.kubernetes.sizes import HOME_LABEL
from stix.clouds.rented.failures import Exists, NotThere

AT_ONCE = 16
GRACE_SECONDS = 1
POLL_SECONDS = (0.05, 1.0)
TRIES = 5


class Making:
    """``make`` gives the pods of a wish, by rank, each with a node or with one on the way."""

    def __init__(self, api: KubeApi, wish: Wish) -> None:
        self._api = api
        self._wish = wish
        self._base = f"/api/v1/namespaces/{wish.namespace}"
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._refused = asyncio.Event()
        self._done: dict[int, Object] = {}

    async def make(self) -> list[Object]:
        """All pods, or none.

        Raises:
            CapacityError: they do not fit.
            CloudError: ``created`` names what is left behind; after an answer that was lost that
                is everything, for the next try to find it by its names.
        """
        numbers(self._wish.request.ports)
        ranks = range(self._wish.request.count)
        manifests = {rank: pod(self._wish, rank) for rank in ranks}
        try:
            _, errors = await settle([self._one(rank, manifests[rank]) for rank in ranks])
            if errors:
                raise next((e for e in errors if isinstance(e, CloudError)), errors[0])
            await self._services()
            await self._placed()
        except CloudError as error:
            await self._failed(error)
        return [self._done[rank] for rank in ranks]

    @staticmethod
    async def open(api: KubeApi, made: Object, ports: Sequence[int], kind: str) -> None:
        """Have a Service that opens ``ports`` of a pod, beside those that are open already."""
        body = ports_service(made, ports, kind)
        base = f"/api/v1/namespaces/{made['metadata']['namespace']}/services"
        try:
            await finish(lambda: api.post(base, body))
        except Exists:
            path = f"{base}/{body['metadata']['name']}"
            there = await api.get(path)
            old = [int(port["port"]) for port in there["spec"].get("ports", ())]
            if not set(ports) <= set(old):
                await api.patch(path, {"spec": {"ports": port_list([*old, *ports])}})

    async def _one(self, rank: int, manifest: Object) -> None:
        async with self._turn:
            if self._refused.is_set():
                return  # the wish fails anyway: order no more
            try:
                self._done[rank] = await self._order(manifest)
            except CloudError:
                self._refused.set()
                raise

    async def _order(self, manifest: Object) -> Object:
        """The pod of this name: the one that is there, unless it has ended."""
        meta = manifest["metadata"]
        path = f"{self._base}/pods/{meta['name']}"
        for _ in range(TRIES):
            try:
                return await finish(lambda: self._api.post(f"{self._base}/pods", manifest))
            except Exists:
                pass
            try:
                there = await self._api.get(path)
            except NotThere:
                continue
            labels = there["metadata"].get("labels") or {}
            if any(labels.get(k) != meta["labels"][k] for k in (HOME_LABEL, WISH_LABEL)):
                raise InvalidRequest(f"kubernetes: {meta['name']} is somebody else's")
            over = there["status"].get("phase") in ("Succeeded", "Failed")
            if not over and not there["metadata"].get("deletionTimestamp"):
                return there
            await end(self._api, path, self._wish.settings.stop_seconds)
        raise TransientError(f"kubernetes: {meta['name']} comes and goes")

    async def _services(self) -> None:
        owners = [self._done[rank] for rank in sorted(self._done)]
        if len(owners) > 1:
            body = peers_service(self._wish, owners)
            with suppress(Exists):
                await finish(lambda: self._api.post(f"{self._base}/services", body))
        if wanted := numbers(self._wish.request.ports):
            for made in owners:
                await self.open(self._api, made, wanted, self._wish.settings.service_type)

    async def _placed(self) -> None:
        """Wait until every pod has a node, or an autoscaler makes one.

        Raises:
            CapacityError: one has none within the patience, or the autoscaler refuses.
        """
        start = time.monotonic()
        pause = POLL_SECONDS[0]
        open_ranks = [r for r, made in self._done.items() if not made["spec"].get("nodeName")]
        while open_ranks:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, POLL_SECONDS[1])
            waited_s = time.monotonic() - start
            verdicts = [await self._look(rank, waited_s) for rank in open_ranks]
            open_ranks = [rank for rank, over in zip(open_ranks, verdicts, strict=True) if not over]

    async def _look(self, rank: int, waited_s: float) -> bool:
        """Whether the pod needs no more waiting."""
        name = self._wish.pod_name(rank)
        try:
            made = await self._api.get(f"{self._base}/pods/{name}")
        except NotThere:
            raise TransientError(f"kubernetes: {name} was removed while it was made") from None
        self._done[rank] = made
        if error := turned_away(made):
            raise error
        if made["spec"].get("nodeName"):
            return True
        patience_s = self._wish.settings.patience
        events: Sequence[Object] = ()
        if unschedulable(made)[0]:
            events = await events_of(self._api, name, made["metadata"]["uid"])
        verdict = no_place(made, events, waited_s, patience_s)
        if isinstance(verdict, CloudError):
            raise verdict
        if verdict == "waiting" and waited_s > 2 * patience_s:
            raise CapacityError(f"kubernetes: no scheduler looked at {name}", scope="region")
        return verdict == "queued"

    async def _failed(self, error: CloudError) -> NoReturn:
        """All or nothing. After an answer that was lost the pods stay: the next try finds them."""
        names = [self._wish.pod_name(rank) for rank in range(self._wish.request.count)]
        ids = tuple(f"{self._wish.namespace}/{name}" for name in names)
        if error.retryable:
            error.created = tuple(
                f"{self._wish.namespace}/{made['metadata']['name']}" for made in self._done.values()
            )
            raise error
        stop_s = self._wish.settings.stop_seconds
        paths = [f"{self._base}/pods/{name}" for name in names]
        _, failed = await finish(lambda: settle([end(self._api, p, stop_s) for p in paths]))
        if failed:
            raise CloudError(f"{error.message}; {failed[0]}", created=ids) from error
        raise error


async def end(api: KubeApi, path: str, patience_s: float) -> None:
    """Have a pod gone, with its processes; silent where there is none.

    A deletion with no grace at all takes the pod out of the listing while its processes still
    run. So the kubelet is asked to end it within a second, and only where it does not within
    ``patience_s`` the pod is removed by force: its machine is dead then.
    """
    try:
        uid = (await api.get(path))["metadata"]["uid"]
    except NotThere:
        return
    await finish(lambda: api.delete(path, GRACE_SECONDS))
    stop = time.monotonic() + patience_s
    forced = False
    pause = POLL_SECONDS[0]
    while True:
        try:
            made = await api.get(path)
        except NotThere:
            return
        if made["metadata"]["uid"] != uid:
            return
        if time.monotonic() > stop:
            if forced:
                raise TransientError(f"kubernetes: {made['metadata']['name']} does not go")
            await api.delete(path, 0)
            forced, stop = True, time.monotonic() + patience_s
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, POLL_SECONDS[1])


async def events_of(api: KubeApi, node_id: str, uid: str = "") -> list[Object]:
    """What was said about a pod; about the last one of its name where no ``uid`` is given.

    Nothing where we may not read it.
    """
    namespace, _, name = node_id.rpartition("/")
    namespace = namespace or api.place.namespace
    query = {"fieldSelector": f"involvedObject.name={name}"}
    try:
        found = await api.items(f"/api/v1/namespaces/{namespace}/events", query)
    except AuthError:
        return []
    found.sort(key=lambda event: (event.get("lastTimestamp") or "", _version(event)))
    last = uid or (found[-1]["involvedObject"].get("uid") if found else "")
    return [event for event in found if event["involvedObject"].get("uid") == last]


def _version(event: Object) -> int:
    text = str(event["metadata"].get("resourceVersion") or "")
    return int(text) if text.isdigit() else 0


def pod_path(node_id: str, namespace: str) -> str:
    """The path of a pod; ``node_id`` is ``namespace/name``."""
    space, _, name = node_id.rpartition("/")
    return f"/api/v1/namespaces/{space or namespace}/pods/{name}"
