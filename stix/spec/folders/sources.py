"""What a run takes along from the machine that submits it: folders, files, trees from git."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from stix.errors import StixError
from stix.spec.folders.code import facts_of
from stix.spec.folders.git import NAMES, GitKeys, fetch
from stix.spec.folders.pack import pack
from stix.spec.storage import DISK, is_url
from stix.spec.workdir import GitSource

if TYPE_CHECKING:
    from stix.spec.stage import StageSpec


@dataclass(frozen=True)
class Packed:
    """One source, ready to be stored.

    Attributes:
        key: What the run's ``uploads`` call it.
        content: A tar stream, at its start.
        facts: Of a working directory: the commit that it is, and the like.
    """

    key: str
    content: IO[bytes]
    facts: Mapping[str, Any]


@dataclass
class _Source:
    git: GitSource | None
    code: bool = False
    keys: dict[str, str] = field(default_factory=dict, repr=False)


def sources(stage: StageSpec) -> list[str]:
    """What the run's ``uploads`` call the sources of a stage, each once."""
    return list(_sources(stage))


def packed(
    stages: Iterable[StageSpec],
    base: Path,
    secrets: Mapping[str, str],
    environ: Mapping[str, str] | None = None,
) -> Iterator[Packed]:
    """Every source of some stages, one after the other; each is gone when the next is asked for.

    Args:
        base: Where relative paths begin.
        secrets: Values of secrets by name. A repository is asked with those that its stage names.
        environ: Where keys of git are looked for that are no secrets of the stage.

    Raises:
        PackError: A folder holds something that cannot be sent.
        GitError: A repository cannot be fetched.
        StixError: There is no room for it.
    """
    found: dict[str, _Source] = {}
    for stage in stages:
        given = {**(environ or {}), **stage.envs, **{n: secrets.get(n) for n in stage.secrets}}
        for key, source in _sources(stage).items():
            held = found.setdefault(key, source)
            held.code = held.code or source.code
            if source.git is not None:
                held.keys |= {name: value for name in NAMES if (value := given.get(name))}
    for key, source in found.items():
        with spool(key) as content:
            yield Packed(key, content, _write(key, source, base, content))


def _sources(stage: StageSpec) -> dict[str, _Source]:
    found: dict[str, _Source] = {}
    own = stage.workdir
    if isinstance(own, GitSource):
        found[own.key] = _Source(own, code=True)
    elif own is not None:
        found[own] = _Source(None, code=True)
    for mount in stage.file_mounts.values():
        given = [mount.source] if isinstance(mount.source, str) else mount.source or []
        for path in given if mount.store != DISK else []:
            if not is_url(path):
                found.setdefault(path, _Source(None))
    return found


def _write(key: str, source: _Source, base: Path, content: IO[bytes]) -> Mapping[str, Any]:
    if source.git is not None:
        facts: Mapping[str, Any] = fetch(source.git, content, GitKeys.of(source.keys)).facts()
    else:
        place = (base / Path(key).expanduser()).absolute()
        pack(place, content)
        facts = facts_of(place) if source.code else {}
    content.seek(0)
    return facts


@contextmanager
def spool(what: str) -> Iterator[IO[bytes]]:
    """A file for a tar stream that nobody else sees, gone after the block.

    Raises:
        StixError: There is no room for it.
    """
    try:
        # Closing it flushes it, and may fail once more.
        with tempfile.TemporaryFile(prefix="stix-upload-") as content:
            yield content
    except OSError as error:  # what cannot be read is a PackError: this is the spool's
        raise StixError(
            f"{what} could not be packed into {tempfile.gettempdir()}: {error.strerror}",
            fix="Make room there, or set TMPDIR; name what need not be sent in .skyignore.",
        ) from None
