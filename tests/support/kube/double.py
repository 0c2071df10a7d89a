"""A cluster for one test module: the server in a thread of its own, and what tests do to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from aiohttp import web

from tests.support.kube.certificates import Certificates
from tests.support.kube.cluster import Autoscaler, Cluster
from tests.support.kube.faults import Fault
from tests.support.kube.server import ApiServer
from tests.support.kube.store import Object

T = TypeVar("T")
TOKEN = "kube-token-7f3d9c1b5e"
USER = "ada"
CALL_SECONDS = 60.0


def node(
    name: str,
    cpus: float = 4,
    memory_gib: float = 16,
    *,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    extra: Mapping[str, str] | None = None,
) -> Object:
    """A node as its kubelet reports it; ``extra``: more of what it has, such as GPUs."""
    has = {
        "cpu": f"{cpus:g}",
        "memory": f"{int(memory_gib * 1024)}Mi",
        "pods": "110",
        "ephemeral-storage": "100Gi",
        **(extra or {}),
    }
    usual = {"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64"}
    return {
        "metadata": {"name": name, "labels": {**usual, **(labels or {})}},
        "spec": {"taints": [dict(taint) for taint in taints]},
        "status": {
            "allocatable": has,
            "capacity": has,
            "nodeInfo": {"architecture": "amd64", "kubeletVersion": "v1.32.4"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


class KubeDouble:
    """Start it by ``with``; at the end nothing of it is left, also no process of a pod.

    Args:
        folder: For certificates and kubeconfigs.
        nodes: The nodes to begin with.
    """

    def __init__(self, folder: Path, nodes: Sequence[Object] = ()) -> None:
        self.folder = folder
        self.certificates = Certificates.make(folder / "pki", USER)
        self.cluster = Cluster()
        self.api = ApiServer(self.cluster, tokens={TOKEN: USER})
        self.port = 0
        self._first = nodes
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self.call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    def do(self, act: Callable[[], T]) -> T:
        """Call something in the server's loop."""

        async def work() -> T:
            return act()

        return self.call(work())

    def kubeconfig(self, name: str = "config", *, user: Mapping[str, Any] | None = None) -> Path:
        """A kubeconfig whose context is ``test``; ``user``: other credentials than the token."""
        path = self.folder / name
        cluster = {"server": self.url, "certificate-authority": str(self.certificates.ca)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "double", "cluster": cluster}],
            "users": [{"name": USER, "user": dict(user or {"token": TOKEN})}],
            "contexts": [
                {"name": "test", "context": {"cluster": "double", "user": USER}},
            ],
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def fault(self, method: str, path: str, **fields: Any) -> Fault:
        """Script trouble for calls to come."""
        made = Fault(method, path, **fields)
        self.do(lambda: self.api.faults.append(made))
        return made

    def add(self, plural: str, body: Object, namespace: str = "default") -> None:
        space = "" if plural in ("nodes", "namespaces") else namespace
        self.do(lambda: self.cluster.store.add(plural, space, body))

    def all(self, plural: str) -> list[Object]:
        """All objects of a kind, of every namespace."""
        return self.do(
            lambda: [o for (kind, _, _), o in self.cluster.store.objects.items() if kind == plural]
        )

    def pod(self, name: str, namespace: str = "default") -> Object:
        return self.do(lambda: self.cluster.store.get("pods", namespace, name))

    def remove(self, plural: str, name: str, namespace: str = "default") -> None:
        space = "" if plural in ("nodes", "namespaces") else namespace
        store = self.cluster.store
        self.do(lambda: store.remove(plural, store.get(plural, space, name)))

    def fail(self, name: str, reason: str, message: str = "", disrupted: str = "") -> None:
        """A kubelet ends a pod, which stays with the reason."""
        self.call(self.cluster.fail(self.pod(name), reason, message, disrupted))

    def take(self, name: str, disrupted: str, event: str, message: str = "taken") -> None:
        """A pod is deleted from above, and is gone soon."""
        self.call(self.cluster.take(self.pod(name), disrupted, event, message))

    def oom(self, name: str) -> None:
        self.call(self.cluster.oom(self.pod(name)))

    def disown(self) -> None:
        """Services lose their owners, so that nothing removes them with the pods."""

        def change() -> None:
            for (plural, _, _), item in self.cluster.store.objects.items():
                if plural == "services":
                    item["metadata"].pop("ownerReferences", None)

        self.do(change)

    def scale_with(self, template: Object, most: int = 1, seconds: float = 0.2) -> None:
        self.do(lambda: setattr(self.cluster, "autoscaler", Autoscaler(template, most, seconds)))

    def remains(self) -> list[str]:
        """Pods, services and processes that are there."""

        def look() -> list[str]:
            kinds = ("pods", "services")
            objects = [f"{k}/{n}" for (k, _, n) in self.cluster.store.objects if k in kinds]
            return objects + [f"processes of {s.name}" for s in self.cluster.sandboxes.values()]

        return self.do(look)

    def clear(self) -> None:
        """Forget faults, denials, calls, and all but the first nodes."""
        self.call(self._clear())

    async def _clear(self) -> None:
        self.api.faults.clear()
        self.api.denied.clear()
        self.api.calls.clear()
        self.cluster.autoscaler = None
        self.cluster.late = 0.0
        self.cluster.images.clear()
        self.cluster.unreachable.clear()
        store = self.cluster.store
        for (plural, _, name), item in list(store.objects.items()):
            if plural == "pods":
                self.cluster.delete(item, 0)
            elif plural != "namespaces" or name not in ("default", "kube-system"):
                store.remove(plural, item)
        for first in self._first:
            store.add("nodes", "", first)

    async def _start(self) -> None:
        for first in self._first:
            self.cluster.store.add("nodes", "", first)
        self._runner = web.AppRunner(self.api.app(), shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, "127.0.0.1", 0, ssl_context=self.certificates.server_context()
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self.cluster.close()
        if self._runner is not None:
            await self._runner.cleanup()
        others = asyncio.all_tasks() - {asyncio.current_task()}  # watches whose client left
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
