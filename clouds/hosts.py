"""What clouds made of whole hosts share: the facts of a host, and canonical accelerator names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

_RULES = (
    (r"\bA100.*\b80\s?GB", "A100-80GB"),
    (r"\bV100.*\b32\s?GB", "V100-32GB"),
    (r"\bRTX\s+(\d+) Ada", r"RTX\1-Ada"),
    (r"\bRTX\s+(A\d+)", r"\1"),
    (r"\b(RTX|GTX)\s+(\d+)( Ti)?", r"\1\2\3"),
    (r"\b(GB\d00|GH200|[ABHLPTVK]\d{1,3}[A-Z]?)\b", r"\1"),
)


def canonical_accelerator(name: str) -> str:
    """SkyPilot's name of what ``nvidia-smi`` reports: ``NVIDIA A100-SXM4-40GB`` is ``A100``."""
    for pattern, short in _RULES:
        found = re.search(pattern, name)
        if found:
            return found.expand(short).replace(" ", "")
    return re.sub(r"^(NVIDIA|Tesla|GeForce)\s+", "", name).replace(" ", "-")


@dataclass(frozen=True)
class HostFacts:
    """What a host is made of.

    Attributes:
        cpus: vCPUs that we may use.
        memory_gib: Memory that we may use, GiB.
        accelerators: Canonical name to count.
        python: Version of the interpreter that runs the agent.
    """

    cpus: float
    memory_gib: float
    accelerators: dict[str, float] = field(default_factory=dict)
    python: str = ""

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> HostFacts:
        """From the agent's answer to ``info``."""
        accelerators: dict[str, float] = {}
        for name, count in info["accelerators"].items():
            short = canonical_accelerator(name)
            accelerators[short] = accelerators.get(short, 0) + count
        return cls(info["cpus"], info["memory_gib"], accelerators, info.get("python", ""))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def limits(self) -> dict[str, Any]:
        """What all nodes of the host may reserve together, as the agent's ``up`` takes it."""
        return {
            "cpus": self.cpus,
            "memory_gib": self.memory_gib,
            "accelerators": self.accelerators,
        }

    def size(self) -> str:
        """A name for hosts of this size, such as ``8cpu-31gb-4xA100``."""
        parts = [f"{self.cpus:g}cpu", f"{self.memory_gib:.0f}gb"]
        parts += [f"{count:g}x{name}" for name, count in sorted(self.accelerators.items())]
        return "-".join(parts)

    def holds(self, other: HostFacts) -> bool:
        """Whether everything that fits on an empty ``other`` fits here."""
        return (
            self.cpus >= other.cpus
            and self.memory_gib >= other.memory_gib
            and all(self.accelerators.get(n, 0) >= c for n, c in other.accelerators.items())
        )
