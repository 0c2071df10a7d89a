"""What makes pods run: scheduler, kubelets, autoscaler, quota, and the ways a pod is lost."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from tests.support.kube.disks import CLAIMS, Disks
from tests.support.kube.sandbox import Sandbox
from tests.support.kube.scheduling import live, place, quantity, requests
from tests.support.kube.store import Change, Object, Refusal, Store, now

CLOSE_SECONDS = 3.0
STARTING_STEPS = 60
PULL_ERRORS = {"ErrImagePull": "ImagePullBackOff"}


@dataclass
class Autoscaler:
    """Adds nodes like ``template`` for pods that fit on one, ``most`` at most."""

    template: Object
    most: int = 1
    seconds: float = 0.2


@dataclass
class Cluster:
    """Moves the objects of a store as a cluster does.

    Attributes:
        images: Image to the reason for which its container does not start; others start.
        late: Seconds until a kubelet begins with a pod.
        sandboxes: Uid of a pod to its processes.
        unreachable: Names of nodes whose kubelet says nothing any more.
        processes: Whether containers run; otherwise pods only say so.
        shut: So many pods to come find no place, whatever room there is.
    """

    store: Store = field(default_factory=Store)
    images: dict[str, str] = field(default_factory=dict)
    late: float = 0.0
    autoscaler: Autoscaler | None = None
    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    unreachable: set[str] = field(default_factory=set)
    processes: bool = True
    shut: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _words: dict[str, str] = field(default_factory=dict)
    _stuck: set[str] = field(default_factory=set)
    _addresses: int = 0

    def __post_init__(self) -> None:
        self.disks = Disks(self.store)
        self.store.listeners += [self.disks.changed, self._changed]
        for name in ("default", "kube-system"):
            self.store.add("namespaces", "", {"metadata": {"name": name}})

    # admission

    def admit(self, plural: str, namespace: str, body: Object) -> None:
        """What the API server checks and fills in before it stores an object.

        Raises:
            Refusal: 403 with the words of a quota, 422 for a pod that is not valid.
        """
        if plural == "services":
            self._fill_service(body)
        if plural == CLAIMS:
            self.disks.admit(body)
        if plural != "pods":
            return
        name = body.get("metadata", {}).get("name", "")
        containers = body.get("spec", {}).get("containers")
        if not containers or not all(c.get("name") and c.get("image") for c in containers):
            words = f'Pod "{name}" is invalid: spec.containers: Required value'
            raise Refusal(422, "Invalid", words, name=name, kind="Pod")
        self._obey_quotas(namespace, name, body)
        body["spec"].setdefault("restartPolicy", "Always")
        body["status"] = {"phase": "Pending", "qosClass": "Burstable"}

    def _obey_quotas(self, namespace: str, name: str, body: Object) -> None:
        wanted = requests(body)
        used = [p for p in self._pods() if p["metadata"]["namespace"] == namespace and live(p)]
        for (plural, space, quota), item in self.store.objects.items():
            if plural != "resourcequotas" or space != namespace:
                continue
            for key, hard in item["spec"]["hard"].items():
                plain = key.removeprefix("requests.").removeprefix("limits.")
                have = sum(requests(p)[plain] for p in used)
                if have + wanted[plain] > quantity(hard):
                    raise Refusal(
                        403,
                        "Forbidden",
                        f'pods "{name}" is forbidden: exceeded quota: {quota}, '
                        f"requested: {key}={wanted[plain]:g}, used: {key}={have:g}, "
                        f"limited: {key}={hard}",
                        name=name,
                        kind="pods",
                    )

    def _fill_service(self, body: Object) -> None:
        spec = body.setdefault("spec", {})
        self._addresses += 1
        spec.setdefault("clusterIP", f"10.96.0.{self._addresses % 250 + 1}")
        spec.setdefault("type", "ClusterIP")
        body["status"] = {"loadBalancer": {}}
        for number, port in enumerate(spec.get("ports", ())):
            if spec["type"] in ("NodePort", "LoadBalancer"):
                port.setdefault("nodePort", 30000 + (self._addresses * 10 + number) % 2767)
        if spec["type"] == "LoadBalancer":
            ingress = [{"ip": f"203.0.113.{self._addresses % 250 + 1}"}]
            body["status"] = {"loadBalancer": {"ingress": ingress}}

    # scheduler

    def _changed(self, change: Change) -> None:
        plural, kind = change.plural, change.type
        if plural == "pods" and kind == "ADDED" and self.shut > 0:
            self.shut -= 1
            self._stuck.add(change.object["metadata"]["uid"])
        moved = kind != "MODIFIED" or not live(change.object)
        if plural == "nodes" or (plural == "pods" and moved):
            self.spawn(self._schedule())

    async def _schedule(self) -> None:
        for pod in self._pods():
            if not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]:
                self._schedule_one(pod)

    def _schedule_one(self, pod: Object) -> None:
        name, words = place(pod, self._nodes(), self._pods())
        if pod["metadata"]["uid"] in self._stuck:
            name, words = "", "0/1 nodes are available: 1 Insufficient cpu."
        if missing := self.disks.lacking(pod):
            name, words = "", f"0/1 nodes are available: {missing}."
        if name:
            pod["spec"]["nodeName"] = name
            self.condition(pod, "PodScheduled", "True")
            where = f"Successfully assigned {pod['metadata']['name']} to {name}"
            self.event(pod, "Scheduled", where, source="default-scheduler")
            self.spawn(self._start(pod))
            return
        if self._words.get(pod["metadata"]["uid"]) == words:
            return
        self._words[pod["metadata"]["uid"]] = words
        self.condition(pod, "PodScheduled", "False", "Unschedulable", words)
        self.event(pod, "FailedScheduling", words, "Warning", "default-scheduler")
        self._scale(pod)

    def _scale(self, pod: Object) -> None:
        if self.autoscaler is None:
            return
        fits, words = place(pod, [self.autoscaler.template], [])
        if not fits or self.autoscaler.most <= 0:
            why = words.partition(": ")[2] or "1 max node group size reached"
            self.event(
                pod,
                "NotTriggerScaleUp",
                f"pod didn't trigger scale-up: {why}",
                source="cluster-autoscaler",
            )
            return
        self.autoscaler.most -= 1
        self.event(
            pod,
            "TriggeredScaleUp",
            "pod triggered scale-up: [{pool 0->1 (max: 3)}]",
            source="cluster-autoscaler",
        )
        self.spawn(self._add_node(self.autoscaler))

    async def _add_node(self, autoscaler: Autoscaler) -> None:
        await asyncio.sleep(autoscaler.seconds)
        self._addresses += 1
        name = f"scaled-{self._addresses}"
        meta = {**autoscaler.template["metadata"], "name": name}
        self.store.add("nodes", "", {**autoscaler.template, "metadata": meta})

    # kubelet

    async def _start(self, pod: Object) -> None:
        await asyncio.sleep(self.late)
        meta = pod["metadata"]
        if self._gone(pod) or "deletionTimestamp" in meta or not live(pod):
            return
        if (reason := self.images.get(pod["spec"]["containers"][0]["image"])) is not None:
            await self._fail_start(pod, reason)
            return
        if not self.processes:
            self._runs(pod)
            return
        try:
            sandbox = await Sandbox.start(pod, self.disks.folders(pod))
        except RuntimeError as error:
            self.waiting(pod, "CreateContainerError", str(error))
            return
        if self._gone(pod) or "deletionTimestamp" in meta or not live(pod):
            await sandbox.kill()
            return
        self.sandboxes[meta["uid"]] = sandbox
        self._runs(pod)
        self.spawn(self._watch_over(pod, sandbox))

    def _runs(self, pod: Object) -> None:
        tail = hashlib.sha256(pod["metadata"]["uid"].encode()).digest()
        address = f"127.{100 + tail[0] % 100}.{tail[1]}.{1 + tail[2] % 250}"
        pod["status"].update(phase="Running", podIP=address, hostIP="127.0.0.1", startTime=now())
        self._container(pod, {"running": {"startedAt": now()}}, ready=True)
        self.condition(pod, "Ready", "True")
        self.event(pod, "Started", "Started container", source="kubelet")

    async def _fail_start(self, pod: Object, reason: str) -> None:
        image = pod["spec"]["containers"][0]["image"]
        self.waiting(pod, reason, f"{reason}: the container of {image} cannot start")
        self.event(pod, "Failed", f"Failed to pull image {image!r}: not found", "Warning")
        if later := PULL_ERRORS.get(reason):
            await asyncio.sleep(0.2)
            if not self._gone(pod):
                self.waiting(pod, later, f'Back-off pulling image "{image}"')

    async def _watch_over(self, pod: Object, sandbox: Sandbox) -> None:
        code = await sandbox.process.wait()
        if self.sandboxes.get(pod["metadata"]["uid"]) is sandbox and live(pod):
            self._ended(pod, code, "Completed" if code == 0 else "Error")
            await self._kill(pod)

    def _ended(self, pod: Object, code: int, reason: str) -> None:
        pod["status"]["phase"] = "Failed" if code else "Succeeded"
        ended = {"exitCode": code, "reason": reason, "finishedAt": now()}
        self._container(pod, {"terminated": ended}, ready=False)
        self.store.touch("pods", pod)

    def waiting(self, pod: Object, reason: str, message: str) -> None:
        """The container does not start, for a reason."""
        self._container(pod, {"waiting": {"reason": reason, "message": message}}, ready=False)
        self.store.touch("pods", pod)

    def _container(self, pod: Object, state: Object, *, ready: bool) -> None:
        first = pod["spec"]["containers"][0]
        pod["status"]["containerStatuses"] = [
            {
                "name": first["name"],
                "image": first["image"],
                "imageID": "",
                "restartCount": 0,
                "ready": ready,
                "state": state,
            }
        ]

    async def _kill(self, pod: Object, grace: float = 0.0) -> None:
        sandbox = self.sandboxes.pop(pod["metadata"]["uid"], None)
        if sandbox is not None:
            await sandbox.stop(grace)

    # ways to lose a pod

    def delete(self, pod: Object, grace: float | None) -> None:
        """``DELETE`` of a pod: at once where nothing runs or by force, else by its kubelet."""
        meta = pod["metadata"]
        if not pod["spec"].get("nodeName") or grace == 0:
            self.store.remove("pods", pod)
            self.spawn(self._kill(pod))
            return
        seconds = 30.0 if grace is None else grace
        if "deletionTimestamp" not in meta:
            meta.update(deletionTimestamp=now(), deletionGracePeriodSeconds=int(seconds))
            self.store.touch("pods", pod)
            self.spawn(self._terminate(pod, seconds))

    async def _terminate(self, pod: Object, grace: float) -> None:
        if pod["spec"]["nodeName"] in self.unreachable:
            return
        await self._kill(pod, grace)
        self.store.remove("pods", pod)

    async def fail(self, pod: Object, reason: str, message: str = "", disrupted: str = "") -> None:
        """The kubelet ends the pod: ``Evicted``, ``NodeShutdown``, ``Terminated`` ..."""
        if disrupted:
            self.condition(pod, "DisruptionTarget", "True", disrupted, message)
        pod["status"].update(reason=reason, message=message)
        await self._kill(pod)
        self._ended(pod, 137, "Error")
        self.event(pod, reason, message, "Warning", "kubelet")

    async def oom(self, pod: Object) -> None:
        """The container used more memory than it may."""
        await self._kill(pod)
        self._ended(pod, 137, "OOMKilled")

    async def take(self, pod: Object, disrupted: str, event: str, message: str) -> None:
        """The pod is deleted from above: by the scheduler for another, with its node ..."""
        self.condition(pod, "DisruptionTarget", "True", disrupted, message)
        self.event(pod, event, message, "Warning")
        self.delete(pod, 1)

    # small things

    def condition(
        self, pod: Object, kind: str, status: str, reason: str = "", message: str = ""
    ) -> None:
        kept = [c for c in pod["status"].get("conditions", ()) if c["type"] != kind]
        made = {"type": kind, "status": status, "lastTransitionTime": now()}
        made |= {"reason": reason, "message": message} if reason else {}
        pod["status"]["conditions"] = [*kept, made]
        self.store.touch("pods", pod)

    def event(
        self, pod: Object, reason: str, message: str, kind: str = "Normal", source: str = "kubelet"
    ) -> None:
        meta = pod["metadata"]
        about = {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        }
        body = {
            "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
            "involvedObject": about,
            "reason": reason,
            "message": message,
            "type": kind,
            "source": {"component": source},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        self.store.add("events", meta["namespace"], body)

    async def started(self) -> None:
        """Wait for pods that are just being started, for a moment at most."""
        for _ in range(STARTING_STEPS):
            if not any(_starting(pod) for pod in self._pods()):
                return
            await asyncio.sleep(0.01)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End every process of every pod."""
        self.store.listeners.clear()
        for sandbox in list(self.sandboxes.values()):
            await sandbox.kill()
        self.sandboxes.clear()
        if self._tasks:  # pods that are just being ended
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sandbox in list(self.sandboxes.values()):  # one that was just starting
            await sandbox.kill()
        self.disks.close()

    def _pods(self) -> list[Object]:
        return [item for (kind, _, _), item in self.store.objects.items() if kind == "pods"]

    def _nodes(self) -> list[Object]:
        return [item for (kind, _, _), item in self.store.objects.items() if kind == "nodes"]

    def _gone(self, pod: Object) -> bool:
        meta = pod["metadata"]
        return self.store.objects.get(("pods", meta["namespace"], meta["name"])) is not pod


def _starting(pod: Object) -> bool:
    status = pod["status"]
    placed = "nodeName" in pod["spec"] and "deletionTimestamp" not in pod["metadata"]
    return placed and status.get("phase") == "Pending" and "containerStatuses" not in status
