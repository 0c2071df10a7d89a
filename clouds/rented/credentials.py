"""Where a provider's key is, and how to say so without showing it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stix.clouds.errors import AuthError

Reader = Callable[[str], str]
"""From a file's text to the key in it; empty where there is none."""


@dataclass(frozen=True)
class Secret:
    """A value that no text shows.

    Attributes:
        value: To be sent to the provider, and nowhere else.
        source: Where it was found: ``$NAME`` or a path.
    """

    value: str = field(repr=False)
    source: str

    def __bool__(self) -> bool:
        return bool(self.value)


@dataclass(frozen=True)
class Key:
    """Where to look for a key.

    Attributes:
        variables: Of the environment, the first has precedence.
        files: Path below the user's home and how to read it, likewise.
    """

    variables: Sequence[str] = ()
    files: Sequence[tuple[str, Reader]] = ()

    def find(self) -> Secret:
        """The key; false where there is none. A file that cannot be read counts as none."""
        for name in self.variables:
            if os.environ.get(name):
                return Secret(os.environ[name].strip(), f"${name}")
        for path, reader in self.files:
            place = Path(path).expanduser()
            try:
                value = reader(place.read_text())
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
            if value:
                return Secret(value.strip(), path)
        return Secret("", "")

    def need(self, cloud: str) -> Secret:
        """The key.

        Raises:
            AuthError: there is none; the fix names where it may be put.
        """
        found = self.find()
        if not found:
            places = [f"${name}" for name in self.variables] + [path for path, _ in self.files]
            raise AuthError(f"{cloud}: no credentials", fix=f"put a key in {' or '.join(places)}")
        return found


def line(prefix: str) -> Reader:
    """The rest of the line that starts so: ``line("api_key =")``."""

    def read(text: str) -> str:
        for each in text.splitlines():
            if each.strip().startswith(prefix):
                return each.strip().removeprefix(prefix).strip().strip("\"'")
        return ""

    return read


def whole(text: str) -> str:
    """All of the file."""
    return text.strip()
