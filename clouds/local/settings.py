"""The block ``local:`` of ``config.yaml``: what this machine is said to have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from stix.clouds import settings
from stix.clouds.hosts import HostFacts
from stix.clouds.settings import Setting
from stix.spec.words import accelforms

SETTINGS = (
    Setting("cpus", "number", least=0.01),
    Setting("memory", "number", least=0.01, doc="GiB"),
    Setting("accelerators", "any", doc="name to count, such as {A100: 4}"),
    Setting("price", "number", default=0.0, least=0.0, doc="USD per hour and node"),
    Setting("spot", "flag", default=False, doc="offer the machine as one that can be preempted"),
)


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
    values = settings.read_settings("local", block, SETTINGS)
    return LocalSettings(
        cpus=values["cpus"],
        memory_gib=values["memory"],
        accelerators=_accelerators(values["accelerators"]),
        price=values["price"],
        spot=values["spot"],
    )


def _accelerators(value: Any) -> dict[str, float] | None:
    if value is None:
        return None
    try:
        return accelforms.counts(value)
    except PydanticCustomError as error:
        fix = "write `accelerators: {A100: 4}`"
        raise settings.wrong("local", "accelerators", error.message(), fix) from None
