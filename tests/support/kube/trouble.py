"""What the conformance suite may do to a double: ``stix.clouds.testing.faults.Faults``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.faults import Refusal, Wire
from tests.support.kube.double import TOKEN, USER, KubeDouble
from tests.support.kube.faults import Fault
from tests.support.kube.store import Object

SILENCE_SECONDS = 2.0
_WIRES: Mapping[Wire, dict[str, Any]] = {
    "cut before": {},
    "cut after": {"step": "unanswered"},
    "silent before": {"stall": SILENCE_SECONDS},
    "silent after": {"step": "unanswered", "stall": SILENCE_SECONDS},
    "error 500": {"code": 500, "reason": "InternalError"},
    "busy 429": {"code": 429, "reason": "TooManyRequests", "headers": {"Retry-After": "1"}},
    "garbage": {"reason": "garbage"},
}
_REFUSALS: Mapping[Refusal, tuple[int, str, str]] = {
    "quota": (
        403,
        "Forbidden",
        'pods "x" is forbidden: exceeded quota: compute, requested: cpu=1, used: cpu=4, '
        "limited: cpu=4",
    ),
    "auth": (
        403,
        "Forbidden",
        f'pods is forbidden: User "{USER}" cannot create resource "pods" in API group "" in the '
        'namespace "default"',
    ),
    "invalid": (422, "Invalid", 'Pod "x" is invalid: spec.containers[0].image: Required value'),
}
_STATES: Mapping[str, tuple[NodeState, Object]] = {
    "Pending": (NodeState.STARTING, {"phase": "Pending"}),
    "Running": (NodeState.RUNNING, {"phase": "Running"}),
    "Succeeded": (NodeState.FAILED, {"phase": "Succeeded"}),
    "Failed": (NodeState.FAILED, {"phase": "Failed"}),
    "Unknown": (NodeState.FAILED, {"phase": "Unknown"}),
    "Evicted": (NodeState.PREEMPTED, {"phase": "Failed", "reason": "Evicted"}),
    "NodeShutdown": (NodeState.PREEMPTED, {"phase": "Failed", "reason": "NodeShutdown"}),
    "OOMKilled": (
        NodeState.FAILED,
        {
            "phase": "Failed",
            "containerStatuses": [
                {"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}
            ],
        },
    ),
    "ImagePullBackOff": (
        NodeState.FAILED,
        {
            "phase": "Pending",
            "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}],
        },
    ),
}


class KubeFaults:
    """The other side of the wire. Ids of machines are ``namespace/pod``."""

    refusals: Mapping[Refusal, str] = {
        "capacity": "region",
        "quota": "region",
        "auth": "",
        "invalid": "",
    }

    def __init__(self, double: KubeDouble) -> None:
        self._double = double
        self._api = double.api
        self._cluster = double.cluster

    def watch(self) -> None:
        def forget() -> None:
            self._api.numbered.watch()
            self._api.faults.clear()
            self._api.hidden.clear()
            self._cluster.shut = 0
            self._api.tokens[TOKEN] = USER

        self._double.do(forget)

    def asked(self) -> int:
        return self._api.numbered.count

    def wire(self, kind: Wire, at: int, times: int = 1) -> None:
        faults = {number: Fault("", "", **_WIRES[kind]) for number in range(at, at + times)}
        self._double.do(lambda: self._api.numbered.faults.update(faults))

    def kill(self, pid: int, at: int, *, after: bool) -> None:
        fault = Fault("", "", step="unanswered" if after else "before", kill=pid)
        self._double.do(lambda: self._api.numbered.faults.update({at: fault}))

    def refuse(self, why: Refusal, times: int = 1) -> None:
        if why == "capacity":
            self._double.do(lambda: setattr(self._cluster, "shut", times))
            return
        code, reason, message = _REFUSALS[why]
        fields = {"code": code, "reason": reason, "message": message, "times": times}
        self._double.fault("POST", "/pods$", **fields)

    def lock_out(self, out: bool) -> None:
        def change() -> None:
            self._api.tokens.clear()
            if not out:
                self._api.tokens[TOKEN] = USER

        self._double.do(change)

    def lag(self, listings: int) -> None:
        """Nothing: listings of an API server, without ``resourceVersion``, never lag."""

    def states(self) -> Mapping[str, NodeState]:
        return {word: state for word, (state, _) in _STATES.items()}

    def billed(self, state: str) -> bool:
        return _STATES[state][1]["phase"] not in ("Succeeded", "Failed")

    def put(self, node_id: str, state: str) -> None:
        def change(pod: Object) -> None:
            kept = {key: pod["status"].get(key) for key in ("podIP", "conditions")}
            pod["status"] = {**kept, **_STATES[state][1]}
            self._cluster.store.touch("pods", pod)

        self._double.call(self._cluster.started())
        self._with(node_id, change)

    def take_away(self, node_id: str) -> None:
        name = node_id.rpartition("/")[2]
        self._double.fail(name, "Terminated", "imminent node shutdown", "TerminationByKubelet")

    def stranger(self, name: str) -> str:
        spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "elsewhere"}
        body = {"metadata": {"name": name}, "spec": spec, "status": {"phase": "Running"}}
        self._double.do(lambda: self._cluster.store.objects.pop(("pods", "default", name), None))
        self._double.add("pods", body)
        return f"default/{name}"

    def alive(self) -> Sequence[str]:
        return [
            f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            for pod in self._double.all("pods")
            if pod["status"].get("phase") not in ("Succeeded", "Failed")
        ]

    def leftovers(self) -> Sequence[str]:
        found = [service["metadata"] for service in self._double.all("services")]
        return [f"service {meta['namespace']}/{meta['name']}" for meta in found]

    def _with(self, node_id: str, act: Callable[[Object], None]) -> None:
        namespace, _, name = node_id.partition("/")
        self._double.do(lambda: act(self._cluster.store.get("pods", namespace, name)))
