"""SkyPilot's cloud classes: each object is the name of its cloud, for ``Resources(cloud=...)``."""

from __future__ import annotations

from typing import ClassVar


class Cloud(str):
    """A cloud by name. ``str(AWS())`` is ``AWS``, as in SkyPilot; the text itself is ``aws``."""

    __slots__ = ()
    name: ClassVar[str] = ""

    def __new__(cls) -> Cloud:
        return super().__new__(cls, cls.name)

    def __str__(self) -> str:
        return type(self).__name__

    __repr__ = __str__


class _Registry(dict[str, type[Cloud]]):
    """Name to class."""

    def from_str(self, name: str | None) -> Cloud | None:
        """The cloud of a name in any case; None of None.

        Raises:
            ValueError: there is no such cloud.
        """
        if name is None:
            return None
        found = self.get("kubernetes" if name.lower() == "k8s" else name.lower())
        if found is None:
            raise ValueError(f"there is no cloud {name!r}; known are {', '.join(sorted(self))}")
        return found()


CLASSES = (
    "AWS",
    "Azure",
    "Cudo",
    "DO",
    "Fluidstack",
    "GCP",
    "Hyperbolic",
    "IBM",
    "Kubernetes",
    "Lambda",
    "Mithril",
    "Nebius",
    "OCI",
    "Paperspace",
    "PrimeIntellect",
    "RunPod",
    "SCP",
    "SSH",
    "Seeweb",
    "Shadeform",
    "Slurm",
    "Vast",
    "Verda",
    "Vsphere",
    "Yotta",
)
CLOUD_REGISTRY = _Registry(
    {
        name.lower(): type(name, (Cloud,), {"name": name.lower(), "__slots__": ()})
        for name in CLASSES
    }
)


def __getattr__(name: str) -> type[Cloud]:
    wanted = "Kubernetes" if name == "K8s" else name
    if wanted not in CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return CLOUD_REGISTRY[wanted.lower()]
