"""What a stage runs on, in SkyPilot's words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PlainValidator,
    SecretStr,
    field_validator,
    model_validator,
)

from stix.spec.base import Accepts, Spec, bad
from stix.spec.problems import choose
from stix.spec.python.objects import ResourcesApi
from stix.spec.recovery import JobRecovery
from stix.spec.taskconfig import TaskConfig
from stix.spec.values import kind
from stix.spec.words import alternatives as merging
from stix.spec.words import amounts, images, places
from stix.spec.words import resourceforms as forms
from stix.spec.words.accelforms import asked
from stix.spec.words.amounts import flag, text
from stix.spec.words.autostop import AutostopForms
from stix.spec.words.disks import DISK_TIERS, Disk
from stix.spec.words.ports import port_list

NETWORK_TIERS = ("standard", "best")
MAX_PRIORITY = 1000
_LOGIN = ("username", "password", "server")


def _known(value: Callable[[Any], Any]) -> BeforeValidator:
    return BeforeValidator(lambda given: None if given is None else value(given))


def _tier(names: tuple[str, ...], word: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise bad(f"{word} must be text, not {kind(value)}", choose("", names))
        if value.lower() not in names:
            raise bad(f"{value!r} is not a {word}", choose(value, names))
        return value.lower()

    return check


def _name(value: Any) -> Any:
    # SkyPilot takes this text for a null.
    return None if value == "None" else value


def _class(value: Any) -> Any:
    return (_name(value.strip()) or None) if isinstance(value, str) else value


def _login(value: Any) -> Any:
    """The map as hidden text: no form of a pipeline may show the password."""
    if value is None or isinstance(value, SecretStr):
        return value
    if not isinstance(value, dict) or sorted(value) != sorted(_LOGIN):
        raise bad("this must be a map of username, password and server", "remove it")
    if not all(isinstance(entry, str) for entry in value.values()):
        raise bad("username, password and server must be text", "remove it")
    return SecretStr(json.dumps(value))


class AcceleratorArgs(Spec):
    """What accelerators take besides a count; for TPUs.

    Attributes:
        runtime_version: Version of the software of a TPU; SkyPilot chooses one by default.
        tpu_name: Name of a TPU node.
        tpu_vm: The commands run on the host of the TPU itself (the default).
        gcp_queued_resource: The TPU is asked for as a queued resource.
    """

    runtime_version: Annotated[str | None, BeforeValidator(text)] = None
    tpu_name: Annotated[str | None, BeforeValidator(text)] = None
    tpu_vm: Annotated[bool | None, BeforeValidator(flag)] = None
    gcp_queued_resource: Annotated[bool | None, BeforeValidator(flag)] = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...


class Resources(ResourcesApi, Spec):
    """Resources of one node. Every field is optional; an empty one asks for anything.

    Attributes:
        infra: ``cloud/region/zone`` with ``*`` for holes.
        cloud: First part of ``infra``, which may stand in its stead.
        region: Second part of ``infra``, likewise.
        zone: Third part of ``infra``, likewise.
        cpus: vCPUs, ``"4"`` exactly or ``"4+"`` at least. Numbers are accepted.
        memory: GiB, likewise; ``"16GB"`` is accepted, and ``"3x"`` for GiB per vCPU.
        accelerators: Name to count per node. A map of several, or a memory such as ``80GB+``,
            becomes ``any_of``, a list becomes ``ordered``.
        gpus: Another name for ``accelerators``.
        accelerator_args: What TPUs take besides a count.
        instance_type: The provider's name of the machine.
        use_spot: Whether to rent at a price at which the node can be taken away.
        job_recovery: SkyPilot's recovery; ``recovery`` of the stage says more.
        disk_size: GiB of the node's disk.
        disk_tier: Speed of that disk: ``low``, ``medium``, ``high``, ``ultra`` or ``best``.
        network_tier: ``standard`` or ``best``.
        local_disk: Disk within the machine: ``nvme`` or ``ssd``, and GB, as in ``nvme:1000+``.
        arch: Processor, ``x86_64``, ``arm64`` or ``any``. Not given: that of a machine or an
            accelerator which is named, else ``x86_64``. A field of STIX; SkyPilot has none.
        max_hourly_cost: USD per hour and node at most.
        ports: Ports to open, as ascending texts, ranges as ``8000-8010``.
        image_id: Image of the machine for all regions, or a map of region to image; a container
            is ``docker:IMAGE``, or has the key ``docker``.
        labels: Tags that the nodes get.
        autostop: When an idle node stops by itself; false for never.
        priority: From -1000 to 1000; the higher comes first.
        priority_class: Name of a priority in a queue of Kubernetes.
        volumes: Disks that are attached to the node (GCP).
        ephemeral_storage: Accepted and ignored, as in SkyPilot.
        any_of: Alternatives of which the cheapest is taken; each is merged over these fields.
        ordered: Alternatives in order of preference.
        docker_login_config: Login to a registry of images, as JSON text (SkyPilot's own field).
        docker_username_for_runpod: User in a container (SkyPilot's own field).
        is_image_managed: Whether SkyPilot made the image (SkyPilot's own field).
        requires_fuse: Whether buckets are mounted (SkyPilot's own field).
        cluster_config_overrides: ``config`` of the task (SkyPilot's own field).
        no_missing_accel_warnings: The accelerator was chosen by memory (SkyPilot's own field).
    """

    also: ClassVar[dict[str, dict[str, Any]]] = forms.ALSO
    rules = (forms.CONSISTENT,)
    internal: ClassVar[frozenset[str]] = frozenset(
        {
            "_docker_login_config",
            "_docker_username_for_runpod",
            "_is_image_managed",
            "_requires_fuse",
            "_cluster_config_overrides",
            "_no_missing_accel_warnings",
        }
    )

    infra: Annotated[str | None, _known(places.infra), Accepts(forms.INFRA)] = None
    cpus: Annotated[str | None, _known(amounts.cpus), Accepts(forms.CPUS)] = None
    memory: Annotated[str | None, _known(amounts.memory), Accepts(forms.MEMORY)] = None
    accelerators: Annotated[
        dict[str, float], PlainValidator(asked), Accepts(forms.ACCELERATORS)
    ] = Field(default_factory=dict)
    accelerator_args: AcceleratorArgs | None = None
    instance_type: Annotated[str | None, BeforeValidator(_name)] = None
    use_spot: Annotated[bool | None, Field(strict=True)] = None
    job_recovery: JobRecovery | None = None
    disk_size: Annotated[int | None, _known(amounts.disk_gib), Accepts(forms.GIB)] = None
    disk_tier: Annotated[
        str | None, _known(_tier(DISK_TIERS, "disk_tier")), Accepts(forms.DISK_TIER)
    ] = None
    network_tier: Annotated[
        str | None,
        _known(_tier(NETWORK_TIERS, "network_tier")),
        Accepts(forms.NETWORK_TIER),
    ] = None
    local_disk: Annotated[str | None, _known(amounts.local_disk), Accepts(forms.LOCAL_DISK)] = None
    arch: Literal["x86_64", "arm64", "any"] | None = None
    max_hourly_cost: Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)] | None = None
    ports: Annotated[list[str], BeforeValidator(port_list), Accepts(forms.PORTS)] = Field(
        default_factory=list
    )
    image_id: Annotated[
        str | dict[str, str] | None, PlainValidator(images.image), Accepts(forms.IMAGE)
    ] = None
    labels: dict[str, str] = Field(default_factory=dict)
    autostop: AutostopForms = None
    priority: Annotated[
        int | None,
        _known(
            amounts.whole(-MAX_PRIORITY, MAX_PRIORITY, "write a whole number from -1000 to 1000")
        ),
        Accepts({"type": "integer", "minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY}),
    ] = None
    priority_class: Annotated[str | None, BeforeValidator(_class)] = None
    volumes: list[Disk] = Field(default_factory=list)
    ephemeral_storage: Annotated[int | None, _known(amounts.disk_gib), Accepts(forms.GIB)] = None
    any_of: list[Annotated[Resources, BeforeValidator(merging.part), forms.NESTED]] = Field(
        default_factory=list
    )
    ordered: list[Annotated[Resources, BeforeValidator(merging.part), forms.NESTED]] = Field(
        default_factory=list
    )
    docker_login_config: Annotated[SecretStr | None, BeforeValidator(_login)] = Field(
        None, alias="_docker_login_config"
    )
    docker_username_for_runpod: str | None = Field(None, alias="_docker_username_for_runpod")
    is_image_managed: Annotated[bool | None, Field(strict=True)] = Field(
        None, alias="_is_image_managed"
    )
    requires_fuse: Annotated[bool | None, Field(strict=True)] = Field(None, alias="_requires_fuse")
    cluster_config_overrides: TaskConfig | None = Field(None, alias="_cluster_config_overrides")
    no_missing_accel_warnings: Annotated[bool | None, Field(strict=True)] = Field(
        None, alias="_no_missing_accel_warnings"
    )

    if TYPE_CHECKING:

        def __init__(self, *place: Any, **fields: Any) -> None: ...

    @model_validator(mode="wrap")
    @classmethod
    def _forms(cls, data: Any, handler: ModelWrapValidatorHandler[Resources]) -> Resources:
        # Below another model pydantic calls this twice, the second time with what the first made.
        if not isinstance(data, dict) or type(data) is merging.Plain:
            return handler(data)
        out = handler(merging.Plain(merging.plain(data)))
        if out.any_of or out.ordered or type(out.accelerators) is not dict:
            merging.spread(out)
        if type(data) is not merging.Part:
            merging.check(out)
        return out

    @field_validator("labels")
    @classmethod
    def _labels(cls, value: dict[str, str]) -> dict[str, str]:
        return dict(value)

    @property
    def cloud(self) -> str | None:
        return places.split(self.infra)[0]

    @property
    def region(self) -> str | None:
        return places.split(self.infra)[1]

    @property
    def zone(self) -> str | None:
        return places.split(self.infra)[2]

    @property
    def cpus_at_least(self) -> tuple[float, bool]:
        """vCPUs asked for, and whether more will do; ``(0, True)`` where nothing is asked."""
        return amounts.split_amount(self.cpus)

    @property
    def memory_at_least(self) -> tuple[float, bool]:
        """GiB asked for, and whether more will do; ``(0, True)`` where nothing is asked."""
        size, more = amounts.split_amount(self.memory)
        per_cpu = self.memory is not None and self.memory.endswith("x")
        return (size * self.cpus_at_least[0] if per_cpu else size), more

    def alternatives(self) -> list[Resources]:
        """The choices, each complete; in order of preference where ``ordered`` is used."""
        entries = self.any_of or self.ordered
        return [merging.over(self, entry) for entry in entries] if entries else [self]
