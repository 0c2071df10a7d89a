"""What a stage wants of its nodes besides their size: image, disk, ports, labels.

Prices do not hang on them, but not every cloud has them: ``Need.wants`` and ``Offer.lacks`` name
them by the words of ``WANTS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stix.plan.offers import Offer
from stix.spec.resources import Resources
from stix.spec.words import images

USUAL_DISK_GIB = 256
"""SkyPilot's former default, which files spell out without meaning it."""

WANTS: Mapping[str, str] = {
    "image": "an image of a machine",
    "container": "an image of a container",
    "disk_size": "a disk of a given size",
    "ports": "ports that are opened",
    "new_volumes": "a new volume for each node",
}
"""What a node may lack, in words for people."""


@dataclass(frozen=True)
class Extras:
    """What one node gets on an offer.

    Attributes:
        image: Of a machine or, on container clouds, of a container; empty for the usual one.
        disk_gib: None for the usual size.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    image: str = ""
    disk_gib: int | None = None


def wants(resources: Resources) -> tuple[str, ...]:
    """Which of ``WANTS`` one alternative asks for."""
    image = resources.image_id
    container = _container(image)
    asked = {
        "image": bool(image) and not container,
        "container": bool(container),
        "disk_size": resources.disk_size not in (None, USUAL_DISK_GIB),
        "ports": bool(resources.ports),
    }
    return tuple(name for name, there in asked.items() if there)


def extras(resources: Resources, offer: Offer) -> Extras:
    """What one alternative asks for, on an offer that serves it."""
    size = resources.disk_size
    return Extras(
        labels=dict(resources.labels),
        ports=tuple(resources.ports),
        image=_image(resources.image_id, offer.region),
        disk_gib=None if size in (None, USUAL_DISK_GIB) else size,
    )


def _container(image: str | dict[str, str] | None) -> str:
    if isinstance(image, dict):
        return image.get(images.CONTAINER, "")
    text = image or ""
    return text.removeprefix("docker:") if text.startswith("docker:") else ""


def _image(image: str | dict[str, str] | None, region: str) -> str:
    container = _container(image)
    if container:
        return container
    if isinstance(image, dict):
        return image.get(region, image.get(images.ANYWHERE, ""))
    return image or ""
