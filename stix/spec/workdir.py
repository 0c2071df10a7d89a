"""A working directory that is not a local folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stix.spec.base import Spec


class GitSource(Spec):
    """A working directory from git."""

    url: str
    ref: str | None = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...
