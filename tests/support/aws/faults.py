"""What the conformance suite does to the account: see ``stix.clouds.testing.faults``."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from stix.clouds.base import NodeState
from stix.clouds.rented.tags import WISH_TAG
from stix.clouds.testing.faults import Refusal, Wire
from tests.support.aws.bed import REGION, AwsBed
from tests.support.aws.gaps import GOOD_KEY
from tests.support.aws.proxy import Fault
from tests.support.aws.shelf import X86_IMAGE
from tests.support.aws.wire import Call

SILENT_S = 2.0
HTML = b"<html><head><title>Hello</title></head><body><p>It works!</p></body></html>"
SPOT = "Server.SpotInstanceTermination"
_REFUSALS: Mapping[Refusal, tuple[str, int, str]] = {
    "capacity": ("InsufficientInstanceCapacity", 500, "type"),
    "quota": ("VcpuLimitExceeded", 400, "region"),
    "auth": ("UnauthorizedOperation", 403, ""),
    "invalid": ("InvalidParameterValue", 400, ""),
}
_WIRES: Mapping[Wire, Fault] = {
    "cut before": Fault(cut=True),
    "cut after": Fault(cut=True, moment="after"),
    "silent before": Fault(hang_s=SILENT_S),
    "silent after": Fault(hang_s=SILENT_S, moment="after"),
    "error 500": Fault(code="InternalError", status=500),
    "busy 429": Fault(code="RequestLimitExceeded", status=503),
    "garbage": Fault(garbage=HTML),
}


class AwsFaults:
    """See ``Faults``. EC2 says that it is asked too often with status 503 and a code."""

    refusals: Mapping[Refusal, str] = {why: scope for why, (_, _, scope) in _REFUSALS.items()}
    STATES: ClassVar[Mapping[str, NodeState]] = {
        "pending": NodeState.STARTING,
        "running": NodeState.RUNNING,
        "stopping": NodeState.STOPPED,
        "stopped": NodeState.STOPPED,
        "shutting-down Client.UserInitiatedShutdown": NodeState.TERMINATED,
        "terminated Client.UserInitiatedShutdown": NodeState.TERMINATED,
        f"shutting-down {SPOT}": NodeState.PREEMPTED,
        f"terminated {SPOT}": NodeState.PREEMPTED,
        "terminated Server.SpotInstanceShutdown": NodeState.PREEMPTED,
        "stopped Server.SpotInstanceShutdown": NodeState.PREEMPTED,
        "terminated Server.InternalError": NodeState.FAILED,
        "terminated Client.InstanceInitiatedShutdown": NodeState.FAILED,
    }

    def __init__(self, bed: AwsBed) -> None:
        self._bed = bed
        self._start = 0

    def watch(self) -> None:
        self._bed.proxy.faults.clear()
        self._bed.gaps.late = 0
        self._start = len(self._bed.proxy.calls)

    def asked(self) -> int:
        return len(self._bed.proxy.calls) - self._start

    def wire(self, kind: Wire, at: int, times: int = 1) -> None:
        self._break(_WIRES[kind], at, times)

    def kill(self, pid: int, at: int, *, after: bool) -> None:
        def act(call: Call) -> None:
            os.kill(pid, signal.SIGKILL)
            call.killed = True

        self._break(Fault(hook=act, moment="after" if after else "before"), at, 1)

    def refuse(self, why: Refusal, times: int = 1) -> None:
        code, status, _ = _REFUSALS[why]
        self._bed.proxy.fault("RunInstances", code, status=status, times=times)

    def lock_out(self, out: bool) -> None:
        self._bed.gaps.keys = set() if out else {GOOD_KEY}

    def lag(self, listings: int) -> None:
        self._bed.gaps.late = listings

    def states(self) -> Mapping[str, NodeState]:
        return self.STATES

    def billed(self, state: str) -> bool:
        return not state.startswith(("shutting-down", "terminated"))

    def put(self, node_id: str, state: str) -> None:
        made = self._bed.gaps.made[node_id]
        made.state, _, made.code = state.partition(" ")
        if made.state == "terminated":
            made.running, made.gone = False, True

    def take_away(self, node_id: str) -> None:
        self._bed.preempt(node_id)

    def stranger(self, name: str) -> str:
        tags = [{"Key": "Name", "Value": name}]
        answer = self._bed.client().run_instances(
            ImageId=X86_IMAGE,
            InstanceType="t3.nano",
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
        return str(answer["Instances"][0]["InstanceId"])

    def alive(self) -> Sequence[str]:
        made = self._bed.gaps.made
        found = [i["InstanceId"] for i in self._bed.alive(REGION)]
        return [each for each in found if each not in made or not made[each].gone]

    def leftovers(self) -> Sequence[str]:
        left = self._bed.left(REGION)
        kinds = ("disk", "address", "placement group", "key")
        groups = self._bed.client().describe_security_groups()["SecurityGroups"]
        single = [g["GroupId"] for g in groups if _serves_one_wish(g)]
        return [f"{kind} {each}" for kind in kinds for each in left.get(kind, [])] + single

    def _break(self, fault: Fault, at: int, times: int) -> None:
        first = self._start + at
        made = Fault(**{**fault.__dict__, "times": times})
        made.only = lambda call: first <= call.number < first + times
        self._bed.proxy.faults.append(made)


def _serves_one_wish(group: Mapping[str, Any]) -> bool:
    return any(tag["Key"] == WISH_TAG for tag in group.get("Tags", []))
