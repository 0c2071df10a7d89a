"""What an adapter is given: one object, so that a new setting changes no constructor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class CloudConfig:
    """The surroundings of an adapter.

    Attributes:
        home: ``STIX_HOME``; the adapter may keep caches in ``home/cache/<its name>``.
        socket_dir: Folder of mode 0700 with a path short enough for Unix sockets.
        settings: The block of ``config.yaml`` that has the adapter's name; empty where there
            is none.
        home_id: Names this ``STIX_HOME`` among others that use the same account or hosts. Nodes
            carry it as the tag ``stix-home``, and only nodes that carry it are ours.
    """

    home: Path
    socket_dir: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    home_id: str = "default"


HOME_TAG = "stix-home"
TOKEN_TAG = "stix-token"
