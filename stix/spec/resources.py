"""What a stage runs on, in SkyPilot's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator, model_validator

from stix.spec import values
from stix.spec.base import Spec, bad
from stix.spec.problems import choose
from stix.spec.recovery import JobRecovery

DISK_TIERS = ("low", "medium", "high", "ultra", "best", "none")
NETWORK_TIERS = ("standard", "best")


def _cpus(value: Any) -> str | None:
    return None if value is None else values.amount(value)


def _memory(value: Any) -> str | None:
    return None if value is None else values.amount(value, memory=True)


class Resources(Spec):
    """Resources of one node. Every field is optional; an empty one asks for anything.

    Attributes:
        infra: ``cloud/region/zone`` with ``*`` for holes. ``cloud``, ``region`` and ``zone`` are
            accepted in its stead, and are properties.
        cpus: vCPUs, ``"4"`` exactly or ``"4+"`` at least. Numbers are accepted.
        memory: GiB, likewise; ``"16GB"`` is accepted.
        accelerators: Name to count per node. ``gpus`` is another name for it. A map of several
            becomes ``any_of``, a list becomes ``ordered``.
        instance_type: The provider's name of the machine.
        use_spot: Whether to rent at a price at which the node can be taken away.
        max_hourly_cost: USD per hour and node at most.
        labels: Tags that the nodes get.
        job_recovery: SkyPilot's recovery; ``recovery`` of the stage says more.
        any_of: Alternatives of which the cheapest is taken; each is merged over these fields.
        ordered: Alternatives in order of preference.
    """

    also: ClassVar[dict[str, dict[str, Any]]] = {
        "cloud": {"type": "string"},
        "region": {"type": "string"},
        "zone": {"type": "string"},
        "gpus": {},
    }

    infra: str | None = None
    cpus: Annotated[str | None, BeforeValidator(_cpus)] = None
    memory: Annotated[str | None, BeforeValidator(_memory)] = None
    accelerators: dict[str, float] = Field(default_factory=dict)
    accelerator_args: dict[str, Any] | None = None
    instance_type: str | None = None
    use_spot: Annotated[bool | None, Field(strict=True)] = None
    job_recovery: JobRecovery | None = None
    disk_size: int | None = None
    disk_tier: str | None = None
    network_tier: str | None = None
    local_disk: str | None = None
    max_hourly_cost: Annotated[float, Field(gt=0, strict=True)] | None = None
    ports: list[str] = Field(default_factory=list)
    image_id: str | dict[str, str] | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    autostop: bool | int | str | dict[str, Any] | None = None
    priority: Annotated[int, Field(strict=True, ge=-1000, le=1000)] | None = None
    priority_class: str | None = None
    volumes: list[dict[str, Any]] = Field(default_factory=list)
    ephemeral_storage: Any = None
    any_of: list[Resources] = Field(default_factory=list)
    ordered: list[Resources] = Field(default_factory=list)

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _other_forms(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return _split_accelerators(_place(dict(data)))

    @field_validator("infra", mode="before")
    @classmethod
    def _infra(cls, value: Any) -> Any:
        return None if value is None else values.infra(value)

    @field_validator("accelerators", mode="before")
    @classmethod
    def _accelerators(cls, value: Any) -> Any:
        return {k: v for one in values.accelerators(value) for k, v in one.items()}

    @field_validator("disk_size", mode="before")
    @classmethod
    def _disk_size(cls, value: Any) -> Any:
        return None if value is None else values.whole_gib(value)

    @field_validator("disk_tier", "network_tier", mode="before")
    @classmethod
    def _tier(cls, value: Any, info: Any) -> Any:
        known = DISK_TIERS if info.field_name == "disk_tier" else NETWORK_TIERS
        if value is not None and str(value).lower() not in known:
            raise bad(f"{value!r} is not a {info.field_name}", choose(str(value), known))
        return value if value is None else str(value).lower()

    @field_validator("ports", mode="before")
    @classmethod
    def _ports(cls, value: Any) -> Any:
        return _port_list(value)

    @field_validator("any_of", "ordered")
    @classmethod
    def _flat(cls, entries: list[Resources]) -> list[Resources]:
        if any(e.any_of or e.ordered for e in entries):
            fix = "write one list of alternatives, each with one kind of accelerator"
            raise bad("alternatives cannot hold alternatives", fix)
        return entries

    @property
    def cloud(self) -> str | None:
        return self._part(0)

    @property
    def region(self) -> str | None:
        return self._part(1)

    @property
    def zone(self) -> str | None:
        return self._part(2)

    def _part(self, index: int) -> str | None:
        if self.infra is None:
            return None
        cloud, _, rest = self.infra.partition("/")
        parts = [cloud, rest] if cloud == "kubernetes" else self.infra.split("/")
        part = parts[index] if index < len(parts) else ""
        return part if part not in ("", "*") else None

    @property
    def cpus_at_least(self) -> tuple[float, bool]:
        """vCPUs asked for, and whether more will do; ``(0, True)`` where nothing is asked."""
        return values.split_amount(self.cpus)

    @property
    def memory_at_least(self) -> tuple[float, bool]:
        """GiB asked for, and whether more will do; ``(0, True)`` where nothing is asked."""
        return values.split_amount(self.memory)

    def alternatives(self) -> list[Resources]:
        """The choices, each complete; in order of preference where ``ordered`` is used."""
        entries = self.any_of or self.ordered
        if not entries:
            return [self]
        base = self.model_dump(exclude_unset=True, exclude={"any_of", "ordered"})
        return [Resources.model_validate(over(base, e)) for e in entries]


def over(base: dict[str, Any], entry: Resources) -> dict[str, Any]:
    """Fields of one alternative over the common ones; labels are merged, in a map of its own."""
    own = entry.model_dump(exclude_unset=True)
    merged = {**base, **own}
    if "labels" in base or "labels" in own:
        merged["labels"] = {**base.get("labels", {}), **own.get("labels", {})}
    return merged


def _place(data: dict[str, Any]) -> dict[str, Any]:
    parts = {k: data.pop(k) for k in ("cloud", "region", "zone") if k in data}
    given = {k: v for k, v in parts.items() if v is not None}
    if not given:
        return data
    first = next(iter(given))
    if data.get("infra") is not None:
        raise bad(f"infra and {first} are both given", "keep only infra: cloud/region/zone", first)
    for key, value in given.items():
        if not isinstance(value, str) or not value.strip() or "/" in value:
            raise bad(
                f"{value!r} is not a {key}", f"write a name, such as {key}: {_EXAMPLE[key]}", key
            )
    data["infra"] = "/".join(given.get(k, "*") for k in ("cloud", "region", "zone"))
    return data


_EXAMPLE = {"cloud": "aws", "region": "us-east-1", "zone": "us-east-1a"}


def _split_accelerators(data: dict[str, Any]) -> dict[str, Any]:
    if data.get("any_of") and data.get("ordered"):
        raise bad("any_of and ordered are both given", "keep one of the two", "ordered")
    if "gpus" in data:
        gpus = data.pop("gpus")
        if data.get("accelerators") is not None:
            raise bad("gpus and accelerators are both given", "keep accelerators", "gpus")
        data["accelerators"] = gpus
    asked = data.get("accelerators")
    if not isinstance(asked, list | dict) or len(asked) < 2:
        return data
    choices = values.accelerators(asked)
    fix = "put the accelerators into the alternatives"
    if data.get("ordered") or (isinstance(asked, list) and data.get("any_of")):
        raise bad(
            "several accelerators and a list of alternatives are both given", fix, "accelerators"
        )
    del data["accelerators"]
    entries = data.pop("any_of", None) or [{}]
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise bad("any_of must be a list of maps", "write any_of: [{...}, {...}]", "any_of")
    name = "ordered" if isinstance(asked, list) else "any_of"
    data[name] = [{**entry, "accelerators": choice} for entry in entries for choice in choices]
    return data


def _port_list(value: Any) -> list[str]:
    fix = "write a port, a range such as 8000-8010, or a list of them"
    if isinstance(value, bool) or not isinstance(value, int | str | list | tuple):
        raise bad(f"ports cannot be {values.kind(value)}", fix)
    if isinstance(value, list | tuple):
        return [p for entry in value for p in _port_list(entry)]
    out = []
    for text in str(value).split(","):
        ends = [e.strip() for e in text.split("-")]
        if len(ends) > 2 or not all(e.isdigit() and 0 < int(e) < 65536 for e in ends):
            raise bad(f"{text.strip()!r} is not a port from 1 to 65535", fix)
        if int(ends[0]) > int(ends[-1]):
            raise bad(f"the range {text.strip()!r} is reversed", fix)
        out.append("-".join(ends))
    return out
