"""What EC2 does and moto does not: tokens, types, room, quotas, late listings, pages, spot.

Errors are worded as the reference of EC2 words them (docs.aws.amazon.com, EC2 API, error codes).
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from tests.support.aws import shelf
from tests.support.aws.groups import PlacementGroups
from tests.support.aws.wire import Answer, Call, as_json, parsed, put, refusal

Forward = Callable[[Call], Answer]
GOOD_KEY = "stix-test-key"
USER_DATA_BYTES = 16_384
VOLATILE = ("ClientToken", "Version")


@dataclass
class Made:
    """An instance that moto holds.

    Attributes:
        hidden: Listings that do not show it yet.
        booting: Listings that show it as pending.
        state: Shown in place of moto's, where set.
    """

    region: str
    zone: str
    type: str
    spot: bool
    group: str
    running: bool = True
    gone: bool = False
    hidden: int = 0
    booting: int = 0
    state: str = ""
    code: str = ""
    message: str = ""


@dataclass
class Wish:
    """What a client token was used for."""

    params: dict[str, str]
    answer: Answer
    ids: list[str]


@dataclass
class Ec2Gaps:
    """One account.

    Attributes:
        stock: How many of a type run in a zone at most; without end where not said.
        vcpus: How many vCPUs run in a region at most, likewise.
        page: Reservations in one answer of DescribeInstances.
        late: Listings in which a new instance does not show.
        boot: Listings in which it is pending.
        keys: Access keys that the account knows.
    """

    stock: dict[tuple[str, str], int] = field(default_factory=dict)
    vcpus: dict[str, int] = field(default_factory=dict)
    page: int = 3
    late: int = 0
    boot: int = 0
    keys: set[str] = field(default_factory=lambda: {GOOD_KEY})
    made: dict[str, Made] = field(default_factory=dict)
    groups: PlacementGroups = field(default_factory=PlacementGroups)
    _wishes: dict[tuple[str, str], Wish] = field(default_factory=dict)
    _turn: threading.RLock = field(default_factory=threading.RLock)

    # -- around every call --------------------------------------------------------------------

    def before(self, call: Call, forward: Forward) -> Answer | None:
        if call.key not in self.keys:
            return _stranger(call)
        if call.action == "RunInstances":
            with self._turn:
                return self._run(call, forward)
        if call.action == "TerminateInstances":
            return self._end(call, forward)
        if call.action == "StartInstances":
            return self._no_room_to_start(call)
        if call.action == "StopInstances":
            return self._spot_goes_on(call)
        if call.action == "DescribeInstances":
            return self._ask(call)
        if call.action.endswith(("PlacementGroup", "PlacementGroups")):
            used = {m.group for m in self.made.values() if not m.gone}
            return self.groups.answer(call, used)
        if call.service == "ssm":
            return _parameter(call)
        return _quotas(call) if call.service == "servicequotas" else None

    def after(self, call: Call, answer: Answer) -> Answer:
        if answer.status != 200:
            return answer
        ids = call.values("InstanceId")
        if call.action in ("StopInstances", "StartInstances"):
            self._mark(ids, running=call.action == "StartInstances", gone=False)
        elif call.action == "DescribeInstances":
            return self._told(answer)
        return answer

    # -- RunInstances -------------------------------------------------------------------------

    def _run(self, call: Call, forward: Forward) -> Answer:
        token = call.params.get("ClientToken", "")
        known = self._wishes.get((call.region, token)) if token else None
        if known is not None:
            return self._again(call, known)
        refused = _malformed(call) or self._no_room(call, forward)
        if refused is not None:
            return refused
        wanted = dict(call.params)
        answer = forward(call)
        if answer.status == 200:
            ids = self._note(call, answer)
            if token:
                self._wishes[call.region, token] = Wish(_lasting(wanted), answer, ids)
        return answer

    def _again(self, call: Call, known: Wish) -> Answer:
        same = _lasting(call.params)
        same.pop("Placement.AvailabilityZone", None)
        before = {k: v for k, v in known.params.items() if k != "Placement.AvailabilityZone"}
        if same != before:
            return refusal(
                call,
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in "
                "previous request(s).",
            )
        if all(self.made[each].gone for each in known.ids):
            return refusal(call, "IdempotentInstanceTerminated")
        return known.answer

    def _no_room(self, call: Call, forward: Forward) -> Answer | None:
        kind, region = call.params["InstanceType"], call.region
        count = int(call.params["MinCount"])
        zone = _zone(call, forward)
        zones = shelf.zones(kind, region)
        if not zones:
            words = f"The instance type '{kind}' is not supported in this region"
            return refusal(call, "InvalidInstanceType", words)
        if zone and zone not in zones:
            words = (
                f"Your requested instance type ({kind}) is not supported in your requested "
                f"Availability Zone ({zone})."
            )
            return refusal(call, "Unsupported", words)
        if self._vcpus(region) + count * shelf.vcpus(kind) > self.vcpus.get(region, 10**9):
            words = (
                f"You have requested more vCPU capacity than your current vCPU limit of "
                f"{self.vcpus[region]} allows"
            )
            return refusal(call, "VcpuLimitExceeded", words)
        fitting = [z for z in ([zone] if zone else zones) if self._room(kind, z) >= count]
        if not fitting:
            words = (
                f"We currently do not have sufficient {kind} capacity in the Availability Zone "
                f"you requested ({zone or zones[0]})."
            )
            return refusal(call, "InsufficientInstanceCapacity", words, 500)
        if not zone:
            call.params["Placement.AvailabilityZone"] = fitting[0]
        return None

    def _room(self, kind: str, zone: str) -> int:
        taken = [m for m in self.made.values() if m.running and (m.type, m.zone) == (kind, zone)]
        return self.stock.get((kind, zone), 10**9) - len(taken)

    def _vcpus(self, region: str) -> int:
        running = [m for m in self.made.values() if m.running and m.region == region]
        return sum(shelf.vcpus(m.type) for m in running)

    def _note(self, call: Call, answer: Answer) -> list[str]:
        root = parsed(answer.data)
        ids = []
        for item in root.findall("instancesSet/item"):
            ids.append(item.findtext("instanceId", ""))
            self.made[ids[-1]] = Made(
                region=call.region,
                zone=item.findtext("placement/availabilityZone", ""),
                type=call.params["InstanceType"],
                spot=call.params.get("InstanceMarketOptions.MarketType") == "spot",
                group=call.params.get("Placement.GroupName", ""),
                hidden=self.late,
                booting=self.boot,
            )
        return ids

    # -- what becomes of them -----------------------------------------------------------------

    def _mark(self, ids: Sequence[str], *, running: bool, gone: bool) -> None:
        for each in ids:
            if each in self.made:
                made = self.made[each]
                made.gone = made.gone or gone
                made.running = running and not made.gone

    def _end(self, call: Call, forward: Forward) -> Answer:
        """Moto stumbles over instances that are over; EC2 says that they are."""
        ids = call.values("InstanceId")
        over = [each for each in ids if each in self.made and self.made[each].gone]
        left = [each for each in ids if each not in over]
        root = ElementTree.fromstring("<TerminateInstancesResponse/>")
        if left:
            plain = {k: v for k, v in call.params.items() if not k.startswith("InstanceId.")}
            numbered = {f"InstanceId.{n}": each for n, each in enumerate(left, 1)}
            call.params = {**plain, **numbered}
            answer = forward(call)
            if answer.status != 200:
                return answer
            root = parsed(answer.data)
            self._mark(left, running=False, gone=True)
        for each in over:
            put(root, "instancesSet", "")
            item = ElementTree.SubElement(root.findall("instancesSet")[0], "item")
            put(item, "instanceId", each)
            put(item, "currentState/name", "terminated")
            put(item, "previousState/name", "terminated")
        return Answer(200, ElementTree.tostring(root))

    def _no_room_to_start(self, call: Call) -> Answer | None:
        for each in call.values("InstanceId"):
            made = self.made.get(each)
            if made and not made.running and self._room(made.type, made.zone) < 1:
                return refusal(call, "InsufficientInstanceCapacity", status=500)
        return None

    def _spot_goes_on(self, call: Call) -> Answer | None:
        spot = [each for each in call.values("InstanceId") if each in self.made]
        if not any(self.made[each].spot for each in spot):
            return None
        words = f"You can't stop the Spot Instance '{spot[0]}' of a one-time request."
        return refusal(call, "UnsupportedOperation", words)

    def _ask(self, call: Call) -> Answer | None:
        ids = call.values("InstanceId")
        late = [each for each in ids if each in self.made and self.made[each].hidden > 0]
        if late:
            self.made[late[0]].hidden -= 1
            words = f"The instance ID '{late[0]}' does not exist"
            return refusal(call, "InvalidInstanceID.NotFound", words)
        if not ids:
            asked = int(call.params.get("MaxResults", self.page))
            call.params["MaxResults"] = str(min(asked, self.page))
        return None

    def _told(self, answer: Answer) -> Answer:
        root = parsed(answer.data)
        for reservation in root.findall("reservationSet/item"):
            listed = reservation.find("instancesSet")
            for item in listed.findall("item") if listed is not None else ():
                made = self.made.get(item.findtext("instanceId", ""))
                if made is None or listed is None:
                    continue
                put(item, "placement/groupName", made.group)
                if made.hidden > 0:
                    made.hidden -= 1
                    listed.remove(item)
                elif made.state:
                    _retell(item, made)
                elif made.booting > 0 and made.running:
                    made.booting -= 1
                    put(item, "instanceState/name", "pending")
        return Answer(200, ElementTree.tostring(root))


def _retell(item: ElementTree.Element, made: Made) -> None:
    put(item, "instanceState/name", made.state)
    if made.code:
        put(item, "stateReason/code", made.code)
        put(item, "stateReason/message", made.message or made.code)


def _lasting(params: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in VOLATILE}


def _stranger(call: Call) -> Answer:
    if call.service == "ec2":
        words = "AWS was not able to validate the provided access credentials"
        return refusal(call, "AuthFailure", words, 401)
    words = "The security token included in the request is invalid."
    code = "InvalidClientTokenId" if call.service == "sts" else "UnrecognizedClientException"
    return refusal(call, code, words, 403 if call.service == "sts" else 400)


def _malformed(call: Call) -> Answer | None:
    data = base64.b64decode(call.params.get("UserData", ""))
    if len(data) > USER_DATA_BYTES:
        words = f"User data is limited to {USER_DATA_BYTES} bytes"
        return refusal(call, "InvalidParameterValue", words)
    image, kind = call.params.get("ImageId", ""), call.params["InstanceType"]
    images = shelf.images(call.region)
    if image in images and shelf.arch(kind) and images[image] != shelf.arch(kind):
        words = f"The architecture of {image} does not match that of {kind}"
        return refusal(call, "InvalidParameterValue", words)
    if image not in images:
        words = f"The image id '[{image}]' does not exist"
        return refusal(call, "InvalidAMIID.NotFound", words)
    return None


def _zone(call: Call, forward: Forward) -> str:
    subnet = call.params.get("SubnetId") or call.params.get("NetworkInterface.1.SubnetId")
    if not subnet:
        return call.params.get("Placement.AvailabilityZone", "")
    params = {"Action": "DescribeSubnets", "Version": "2016-11-15", "SubnetId.1": subnet}
    found = forward(Call(-1, call.key, call.region, call.service, "DescribeSubnets", params))
    return parsed(found.data).findtext("subnetSet/item/availabilityZone", "")


def _parameter(call: Call) -> Answer | None:
    name = str(call.body.get("Name", ""))
    image = shelf.parameter(name, call.region)
    if not image:
        return refusal(call, "ParameterNotFound", name) if call.action == "GetParameter" else None
    return as_json({"Parameter": {"Name": name, "Type": "String", "Value": image}})


def _quotas(call: Call) -> Answer:
    code = call.body.get("QuotaCode")
    rows: list[dict[str, Any]] = [
        {"ServiceCode": "ec2", "QuotaCode": key, "QuotaName": name, "Value": value, "Unit": "None"}
        for key, (name, value) in shelf.QUOTAS.items()
    ]
    if call.action == "ListServiceQuotas":
        start = int(call.body.get("NextToken", "0"))
        more = {"NextToken": str(start + 2)} if start + 2 < len(rows) else {}
        return as_json({"Quotas": rows[start : start + 2], **more})
    found = [row for row in rows if row["QuotaCode"] == code]
    if not found:
        return refusal(call, "NoSuchResourceException", f"no quota {code}")
    return as_json({"Quota": found[0]})
