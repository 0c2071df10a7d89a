"""Paths on nodes, and hosts that several nodes share."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from stix.clouds.base import Node


def one_per_host(nodes: Sequence[Node]) -> list[Node]:
    """The first node on each host: what lies outside of the nodes' directories goes there once."""
    found: dict[str, Node] = {}
    for node in nodes:
        found.setdefault(node.address, node)
    return list(found.values())


def shell_path(path: str) -> str:
    """``path`` quoted for a shell, with a leading ``~/`` left to expand."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)
