"""Volumes: storage with a name that outlives nodes, and what is attached to a node."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stix.clouds.config import HOME_TAG

VOLUME_TAG = "stix-volume"
"""Tag with the name of a volume. What carries it is removed by its name alone, never by a sweep."""
Reach = Literal["cloud", "region", "zone"]


@dataclass(frozen=True)
class VolumeKind:
    """What volumes of one kind are.

    Attributes:
        what: In words for people, with an article.
        reach: The nodes of this place can have it.
        sized: Whether it has a size, which then must be given; where not, none may be given.
        least_gib: The least size, GiB.
        new: A node can have one of its own, which ends with the node.
        sub_path: A folder inside of it can be attached alone.
        shared: Several nodes can have it at once.
        shared_by: An option and the values of it with which several can, where not all can.
        per_node: How many a node can have; None for any number.
        config: Options that act, each with the values that it may have; any where there are none.
        existing: One that others made can be used.
    """

    what: str
    reach: Reach = "region"
    sized: bool = True
    least_gib: float = 1.0
    new: bool = False
    sub_path: bool = False
    shared: bool = True
    shared_by: tuple[str, ...] = ()
    per_node: int | None = None
    config: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    existing: bool = True

    def shares(self, config: Mapping[str, Any]) -> bool:
        """Whether several nodes can have one that was made with these options."""
        option, *values = self.shared_by or ("",)
        return self.shared or (bool(option) and config.get(option) in values)

    def sharing(self) -> str:
        """The option with which several can."""
        return f"{self.shared_by[0]}: {self.shared_by[1]}" if self.shared_by else ""


@dataclass(frozen=True)
class VolumeWish:
    """A volume that is to be, or that is to go.

    Attributes:
        name: Its name at home; one of this name is the same volume.
        kind: Type, such as ``k8s-pvc``.
        region: ``-`` where the cloud has none.
        existing: The provider's name of one that others made: it is only used.
    """

    name: str
    kind: str
    region: str = "-"
    zone: str | None = None
    size_gib: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    existing: str = ""

    def id_at(self, home: str) -> str:
        """A name for providers, the same for all who know the home and the name; 63 characters
        of ``a-z0-9-`` at most."""
        return self.existing or f"stix-{_digest(home)[:8]}-{_fitting(self.name)}"

    def tags(self, home: str) -> dict[str, str]:
        """What it carries at the provider: its labels, and whose it is."""
        return {**self.labels, HOME_TAG: home, VOLUME_TAG: self.name}


@dataclass(frozen=True)
class Volume:
    """A volume as the provider reports it now.

    Attributes:
        id: How the provider calls it.
        name: Its name at home; empty for one that others made.
        zone: None where it is in none.
        used_by: Ids of the nodes that hold it.
        state: The provider's word.
    """

    cloud: str
    kind: str
    id: str
    name: str = ""
    region: str = "-"
    zone: str | None = None
    size_gib: float | None = None
    used_by: tuple[str, ...] = ()
    state: str = ""


@dataclass(frozen=True)
class Attachment:
    """A volume at a path of every node of a wish.

    Attributes:
        path: Absolute, or begins with ``~``.
        wish: Which volume. One without a name is new, and ends with its node.
        id: The provider's name of it; empty for a new one.
        sub_path: Folder inside of it; empty for all of it.
    """

    path: str
    wish: VolumeWish
    id: str = ""
    sub_path: str = ""

    def at(self, home: str) -> str:
        """The path, absolute on a node whose user has ``home``."""
        if self.path == "~" or self.path.startswith("~/"):
            return f"{home}{self.path[1:]}"
        return self.path


def _fitting(name: str) -> str:
    return name if len(name) <= 49 else f"{name[:40]}-{_digest(name)[:8]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
