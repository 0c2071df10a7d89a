"""``sky.volumes``: volumes have no room yet."""

from __future__ import annotations

from typing import Any

from stix.sky.arguments import lookup

NOT_YET = dict.fromkeys(("Volume", "apply", "delete", "ls", "validate"), "volumes")


def __getattr__(name: str) -> Any:
    return lookup("sky.volumes", {}, NOT_YET, name)
