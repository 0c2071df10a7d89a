"""Placement groups, which moto does not have."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.aws.wire import Answer, Call, as_xml, refusal, tag_specs


@dataclass
class PlacementGroups:
    """By region and name: the tags."""

    known: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def answer(self, call: Call, used: set[str]) -> Answer:
        name = call.params.get("GroupName", "")
        key = (call.region, name)
        if call.action == "DescribePlacementGroups":
            return as_xml(call.action, f"<placementGroupSet>{self._rows(call)}</placementGroupSet>")
        if call.action == "CreatePlacementGroup":
            if key in self.known:
                return refusal(call, "InvalidPlacementGroup.Duplicate")
            self.known[key] = tag_specs(call, "placement-group")
        elif key not in self.known:
            return refusal(call, "InvalidPlacementGroup.Unknown")
        elif name in used:
            return refusal(call, "InvalidPlacementGroup.InUse")
        else:
            del self.known[key]
        return as_xml(call.action, "<return>true</return>")

    def _rows(self, call: Call) -> str:
        wanted = {}
        for number in range(1, 10):
            name = call.params.get(f"Filter.{number}.Name", "")
            if name.startswith("tag:"):
                wanted[name[4:]] = call.params.get(f"Filter.{number}.Value.1", "")
        rows = ""
        for (region, name), tags in self.known.items():
            if region != call.region or any(tags.get(k) != v for k, v in wanted.items()):
                continue
            words = "".join(
                f"<item><key>{k}</key><value>{v}</value></item>" for k, v in tags.items()
            )
            rows += (
                f"<item><groupName>{name}</groupName><groupId>pg-{abs(hash(name)):016x}</groupId>"
                f"<strategy>cluster</strategy><state>available</state><tagSet>{words}</tagSet></item>"
            )
        return rows
