"""The block ``local:`` of ``config.yaml``: what this machine is said to have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from stix.clouds.errors import InvalidRequest
from stix.clouds.hosts import HostFacts
from stix.spec.words import accelforms

_KNOWN = ("cpus", "memory", "accelerators", "price", "spot")


@dataclass(frozen=True)
class LocalSettings:
    """None means: as the machine is.

    Attributes:
        cpus, memory_gib: To be shared by all nodes.
        accelerators: Name to count; they need not exist, nodes are only given their indices.
        price: USD per hour and node.
        spot: Whether the machine is also offered as one that can be preempted.
    """

    cpus: float | None = None
    memory_gib: float | None = None
    accelerators: dict[str, float] | None = None
    price: float = 0.0
    spot: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing has to be asked of the machine."""
        return None not in (self.cpus, self.memory_gib, self.accelerators)

    def over(self, machine: HostFacts) -> HostFacts:
        """These settings, and the machine's facts where they say nothing."""
        return HostFacts(
            cpus=machine.cpus if self.cpus is None else self.cpus,
            memory_gib=machine.memory_gib if self.memory_gib is None else self.memory_gib,
            accelerators=machine.accelerators if self.accelerators is None else self.accelerators,
            python=machine.python,
        )


def read_settings(block: Mapping[str, Any]) -> LocalSettings:
    """The settings of the block.

    Raises:
        InvalidRequest: a field is unknown or makes no sense.
    """
    for key in block:
        if key not in _KNOWN:
            raise _wrong(str(key), "is not known", f"known are: {', '.join(_KNOWN)}")
    spot = block.get("spot", False)
    if not isinstance(spot, bool):
        raise _wrong("spot", f"is {spot!r}", "write `spot: true` or `spot: false`")
    return LocalSettings(
        cpus=_number(block, "cpus", least=0.01),
        memory_gib=_number(block, "memory", least=0.01),
        accelerators=_accelerators(block.get("accelerators")),
        price=_number(block, "price", least=0.0) or 0.0,
        spot=spot,
    )


def _number(block: Mapping[str, Any], key: str, *, least: float) -> float | None:
    value = block.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
        raise _wrong(key, f"is {value!r}", f"write a number of at least {least:g}")
    return float(value)


def _accelerators(value: Any) -> dict[str, float] | None:
    if value is None:
        return None
    try:
        return accelforms.counts(value)
    except PydanticCustomError as error:
        raise _wrong("accelerators", error.message(), "write `accelerators: {A100: 4}`") from None


def _wrong(key: str, what: str, fix: str) -> InvalidRequest:
    return InvalidRequest(f"config.yaml: local.{key} {what}", fix=fix)
