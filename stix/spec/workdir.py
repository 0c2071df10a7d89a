"""A working directory that is not a local folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Tag

from stix.spec.exact import Exact, Text

_HOST = r"(?:[^@/\s]+@)?[^:/@\s]+"
_GIT = re.compile(rf"(?:(?:https?|ssh)://{_HOST}(?::[0-9]+)?/+[^/\s].*|{_HOST}:(?!//).+)\Z")


class GitSource(Exact):
    """A working directory from git.

    Attributes:
        url: Address of the repository, by https or ssh.
        ref: Branch, tag or commit; the default branch without it.
    """

    url: Annotated[str, Text(example="https://HOST/OWNER/REPOSITORY")]
    ref: Annotated[str | None, Text(example="main")] = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...


def _kind(value: Any) -> str:
    return "git" if isinstance(value, dict | GitSource) else "text"


Workdir = Annotated[
    Annotated[str, Tag("text")] | Annotated[GitSource, Tag("git")], Discriminator(_kind)
]
"""A local folder, or a repository."""


def is_git_url(text: str) -> bool:
    """Whether a text has the shape of a repository's address."""
    return bool(_GIT.match(text))
