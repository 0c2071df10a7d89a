"""One entry of ``volumes``, and of ``volume_mounts``, which SkyPilot makes of them."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from stix.spec import values
from stix.spec.base import bad
from stix.spec.exact import Exact, Flag, Text
from stix.spec.short import Short
from stix.spec.words.places import SKY_CLOUDS

SUB_PATH = "[a-zA-Z0-9._-][a-zA-Z0-9./_-]*"
_FIX = "write the name of a volume, or a map with name, size or host_path"
Whole = Annotated[int, Field(strict=True)]
Real = Annotated[float, Field(strict=True)]
_SIZE = re.compile(r"([0-9]{1,15})\s*([kmgtp][bi])?\Z", re.IGNORECASE | re.ASCII)
_GIB = {"k": 1 / 1024**2, "m": 1 / 1024, "g": 1, "t": 1024, "p": 1024**2}


def gib_of(size: object) -> float | None:
    """GiB of ``10``, ``10Gi`` or ``1TB``; None where that is no size."""
    found = _SIZE.match(str(size))
    return int(found[1]) * _GIB[(found[2] or "g")[0].lower()] if found else None


class VolumeMount(Short):
    """A volume at a path of the node: one that exists, a new one, or a folder of the host.

    Attributes:
        name: Name of a volume that exists. A plain text is one.
        sub_path: Folder inside that volume, instead of all of it.
        size: Makes a new volume of this size, which ends with the node: GiB, or text as ``10Gi``.
        type: Kind of the new volume: ``k8s-pvc``.
        labels: Labels of the new volume.
        config: Options of the new volume, such as ``storage_class_name`` and ``access_mode``.
        host_path: Folder of the host; on Slurm only.
        mode: ``ro`` (default) or ``rw``, with ``host_path``.
    """

    model_config = ConfigDict(extra="allow")
    null_means: ClassVar[tuple[str, ...]] = (
        *("name", "sub_path", "size", "type", "labels", "config", "host_path", "mode"),
    )

    name: str | None = None
    sub_path: str | None = None
    size: Whole | Real | str | None = None
    type: str | None = None
    labels: dict[str, str] | None = None
    config: dict[str, Any] | None = None
    host_path: str | None = None
    mode: str | None = None

    @classmethod
    def of_text(cls, text: str) -> dict[str, Any]:
        """A plain text is the name of a volume."""
        return {"name": text}

    def written(self) -> str | None:
        """The name, where nothing else is said."""
        return self.name if self._was_text and self.model_fields_set <= {"name"} else None

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, data: Any) -> Any:
        if not isinstance(data, dict | VolumeMount):
            raise bad(f"a volume must be text or a map, not {values.kind(data)}", _FIX)
        return data


class VolumeConfig(Exact):
    """A volume as SkyPilot's server knows it.

    Attributes:
        name: Its name.
        type: Its kind, such as ``k8s-pvc``.
        cloud: Where it lies.
        region: Region or context, or null.
        zone: Zone, or null.
        name_on_cloud: Its name there.
        size: Its size in GB, as text, or null.
        config: Options.
        labels: Labels, or null.
        id_on_cloud: Its number there, or null.
    """

    model_config = ConfigDict(extra="ignore")

    name: str
    type: str
    cloud: Annotated[str, Text(words=tuple(sorted(SKY_CLOUDS)), fold=True)]
    region: str | None
    zone: str | None
    name_on_cloud: str
    size: str | None
    config: dict[str, Any] = Field(default_factory=dict)
    labels: dict[str, str] | None = None
    id_on_cloud: str | None = None


class ResolvedVolume(Exact):
    """An entry of ``volume_mounts``: a volume that SkyPilot's server has looked up.

    Attributes:
        path: Path on the node.
        volume_name: Name of the volume; empty for a new one.
        is_ephemeral: Whether it ends with the node.
        sub_path: Folder inside the volume.
        volume_config: What the server knows of it.
    """

    path: Annotated[str | None, Text()] = None
    volume_name: Annotated[str | None, Text()] = None
    is_ephemeral: Annotated[bool, Flag()] = False
    sub_path: Annotated[str | None, Text(pattern=SUB_PATH, example="data/run1")] = None
    volume_config: VolumeConfig
