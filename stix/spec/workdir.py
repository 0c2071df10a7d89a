"""A working directory that is not a local folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import Discriminator, Tag

from stix.spec.exact import Exact, Text

KEYS = ("GIT_TOKEN", "GIT_SSH_KEY")
"""SkyPilot's names of what lets one into a private repository; they must be secrets."""
_HOST = r"(?:[^@/\s]+@)?[^:/@\s]+"
_GIT = re.compile(
    rf"(?:(?:https?|ssh)://{_HOST}(?::[0-9]+)?/+[^/\s].*|file:///[^/\s].*|{_HOST}:(?!//).+)\Z"
)
_TOKEN = re.compile(r"gh[opusr]_|github_pat_|glpat-|ATB|ATCTT|.{40}")
"""How tokens begin that people write in the place of a user, or their length."""

_ODD = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\Z|\.\Z|\A[-/]|\.lock\Z|\A\Z")
"""What no name of a branch or tag holds (git-check-ref-format)."""


class GitSource(Exact):
    """A working directory from git.

    Attributes:
        url: Address of the repository, by https or ssh, or as ``file:///path``.
        ref: Branch, tag or commit; the default branch without it.
    """

    url: Annotated[str, Text(example="https://HOST/OWNER/REPOSITORY")]
    ref: Annotated[str | None, Text(example="main")] = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @property
    def key(self) -> str:
        """What a run calls the tree that was fetched."""
        return f"git+{self.url}" + (f"#{self.ref}" if self.ref else "")


def _kind(value: Any) -> str:
    return "git" if isinstance(value, dict | GitSource) else "text"


Workdir = Annotated[
    Annotated[str, Tag("text")] | Annotated[GitSource, Tag("git")], Discriminator(_kind)
]
"""A local folder, or a repository."""


def workdir_key(workdir: str | GitSource) -> str:
    """What a run calls the content of a working directory in its ``uploads``."""
    return workdir.key if isinstance(workdir, GitSource) else workdir


def is_git_url(text: str) -> bool:
    """Whether a text has the shape of a repository's address."""
    return bool(_GIT.match(text))


def is_ref(text: str) -> bool:
    """Whether a text can be the name of a branch or tag, or a commit."""
    return _ODD.search(text) is None


def has_password(url: str) -> bool:
    """Whether the address of a repository holds a password, or what looks like a token."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.password is not None:
        return True
    return parts.scheme.lower() in ("http", "https") and bool(_TOKEN.match(parts.username or ""))
