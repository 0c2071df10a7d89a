"""Disks that are attached to a node (GCP): ``resources.volumes``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, ConfigDict, model_validator

from stix.spec.base import Accepts, Spec, bad
from stix.spec.words.amounts import SIZE, flag, text

STORAGE_TYPES = ("network", "instance")
ATTACH_MODES = ("read_write", "read_only")
DISK_TIERS = ("low", "medium", "high", "ultra", "best")
_Text = Annotated[str | None, BeforeValidator(text)]


def _size(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole and not (isinstance(value, str) and SIZE.match(value)):
        raise bad("this is not the size of a disk", "write whole GB, such as disk_size: 100")
    return value


class Disk(Spec):
    """One disk.

    Attributes:
        path: Where it appears on the node.
        name: Of a disk of the network, which exists or is made.
        disk_size: GiB; text with a unit is taken for disks of the machine alone.
        disk_tier: ``low`` to ``ultra``, or ``best``.
        storage_type: ``network`` (it outlives the node) or ``instance``.
        attach_mode: ``read_write`` or ``read_only``.
        auto_delete: It ends with the node.
    """

    # SkyPilot passes keys that it does not know; stix.spec.checks.hints tells of them.
    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": False})

    path: _Text = None
    name: _Text = None
    disk_size: Annotated[
        int | str | None,
        BeforeValidator(_size),
        Accepts({"type": ["integer", "string"]}),
    ] = None
    disk_tier: _Text = None
    storage_type: _Text = None
    attach_mode: _Text = None
    auto_delete: Annotated[bool | None, BeforeValidator(flag)] = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="after")
    def _whole(self) -> Disk:
        if self.path is None:
            raise bad("a disk has no path", "add path: /mnt/data")
        if not self.machine:
            if self.name is None:
                raise bad("a disk of the network has no name", "add name: DISK")
            if isinstance(self.disk_size, str):
                fix = "write whole GB without a unit, such as disk_size: 100"
                raise bad("the size of a disk must be a number", fix, "disk_size")
        return self

    @property
    def machine(self) -> bool:
        """Whether the disk is one of the machine and ends with it."""
        return (self.storage_type or "").lower() == "instance"
