"""The tree of one commit of a repository, fetched by the program ``git``, as a tar stream."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO

from stix.spec.folders.giterrors import explained, unbounded
from stix.spec.folders.gitkeys import NAMES, GitError, GitKeys, environment
from stix.spec.folders.gittree import write_tree
from stix.spec.problems import choose
from stix.spec.workdir import GitSource, is_ref

PATIENCE_S = 1800.0
"""For all that is asked of one repository."""
_FULL = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_SHORT = re.compile(r"[0-9a-f]{7,63}\Z")


@dataclass(frozen=True)
class Commit:
    """What a reference meant when it was asked for.

    Attributes:
        url: The repository.
        commit: Its full digest.
        branch: Where the reference is a branch, or is not given and the default branch is known.
        tag: Where it is a tag.
    """

    url: str
    commit: str
    branch: str = ""
    tag: str = ""

    def facts(self) -> dict[str, str]:
        """What is recorded with the run."""
        return {name: value for name, value in asdict(self).items() if value}


def fetch(
    source: GitSource, out: IO[bytes], keys: GitKeys | None = None, patience: float = PATIENCE_S
) -> Commit:
    """Write the files of ``source`` to ``out`` as `stix.spec.folders.pack` writes a folder.

    The history is not fetched, and nothing of the repository is run: no hooks and no filters.

    Args:
        keys: What lets one in.
        patience: Seconds for all of it.

    Raises:
        GitError: There is no ``git``, no such repository or reference, no right to read it, or it
            holds what a workdir cannot: submodules, files of Git LFS, links that leave it.
    """
    keys = keys or GitKeys()
    program = shutil.which("git")
    if program is None:
        raise GitError(
            "A workdir from git needs the program git, which is not on this machine.",
            fix="Install git, or clone the repository and name the folder as workdir.",
        )
    with (
        environment(source.url, keys) as env,
        tempfile.TemporaryDirectory(prefix="stix-git-") as folder,
    ):
        hidden = tuple(value for value in (keys.token, keys.key) if value)
        git = _Git(program, folder, env, time.monotonic() + patience, source.url, hidden)
        found = _resolved(git, source)
        length = "sha256" if found.width == 64 else "sha1"
        git.run("init", "-q", "--bare", "--template=", f"--object-format={length}", folder)
        commit = _fetched(git, found)
        with git.reading() as objects:
            write_tree(git.lines("ls-tree", "-r", "-z", "-l", "--full-tree", commit), objects, out)
    return Commit(found.url, commit, found.branch, found.tag)


@dataclass(frozen=True)
class _Git:
    """The program in one empty repository, with a deadline. ``hidden`` is in no message."""

    program: str
    folder: str
    env: dict[str, str] = field(repr=False)
    deadline: float
    url: str
    hidden: Sequence[str] = field(repr=False)

    def run(self, *arguments: str) -> str:
        process = self._start(arguments, stdin=subprocess.DEVNULL)
        left = self.deadline - time.monotonic()
        try:
            out, said = process.communicate(timeout=max(left, 0.0))
        except subprocess.TimeoutExpired:
            raise unbounded(self.url) from None
        finally:
            _end(process)
        if process.returncode:
            text = os.fsdecode(said)
            for value in self.hidden:
                text = text.replace(value, "***")
            raise explained(self.url, text)
        return os.fsdecode(out)

    def lines(self, *arguments: str) -> Iterator[str]:
        """The entries of an answer in which NUL ends each."""
        return filter(None, self.run(*arguments).split("\0"))

    @contextmanager
    def reading(self) -> Iterator[subprocess.Popen[bytes]]:
        """A process that gives objects by name."""
        process = self._start(("cat-file", "--batch"), stdin=subprocess.PIPE)
        try:
            yield process
        finally:
            _end(process)

    def _start(self, arguments: Sequence[str], stdin: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.program, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if stdin == subprocess.DEVNULL else subprocess.DEVNULL,
            env={**self.env, "GIT_DIR": self.folder},
            cwd=self.folder,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """The program, where it still runs with the helpers that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None and not stream.closed:
            try:
                stream.close()
            except BrokenPipeError:
                continue
    process.wait()


@dataclass(frozen=True)
class _Found:
    """Where a reference leads.

    Attributes:
        name: What the server calls it; empty for a commit.
        digits: Of a whole name of a commit there; 0 where it is one.
    """

    url: str
    commit: str
    name: str = ""
    branch: str = ""
    tag: str = ""
    digits: int = 0

    @property
    def width(self) -> int:
        return self.digits or len(self.commit)


def _resolved(git: _Git, source: GitSource) -> _Found:
    url, ref = source.url, source.ref
    if ref is None:
        return _default(git, url)
    if not is_ref(ref):
        raise GitError(f"{ref!r} cannot be the name of a branch or tag.", fix="Correct ref.")
    if _FULL.match(ref):
        return _Found(url, ref)
    kinds = {f"refs/heads/{ref}": "branch", f"refs/tags/{ref}": "tag"}
    if ref.startswith("refs/"):
        kinds = {ref: "", **kinds}
    heads = _listed(git, url, *kinds)
    for name, kind in kinds.items():
        if name in heads:
            branch, tag = (ref if kind == word else "" for word in ("branch", "tag"))
            return _Found(url, heads[name], name, branch, tag)
    others = _listed(git, url, "refs/heads/*", "refs/tags/*")
    if _SHORT.match(ref) and others:
        return _Found(url, ref, digits=len(next(iter(others.values()))))
    known = [name.split("/", 2)[2] for name in others]
    hint = choose(ref, known) if known else "push to it, or name another repository"
    hint = hint[:1].upper() + hint[1:]
    raise GitError(f"{url} has no branch, tag or commit {ref!r}.", fix=hint)


def _default(git: _Git, url: str) -> _Found:
    said = git.run("ls-remote", "--symref", "--", url, "HEAD")
    branch = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", said, re.MULTILINE)
    commit = re.search(r"^([0-9a-f]+)\tHEAD$", said, re.MULTILINE)
    if commit is None:
        raise GitError(
            f"{url} has no commit on its default branch.", fix="Name a branch or tag as ref."
        )
    return _Found(url, commit[1], "HEAD", branch=branch[1] if branch else "")


def _listed(git: _Git, url: str, *patterns: str) -> dict[str, str]:
    """Names of references to objects, without the objects behind tags."""
    lines = git.run("ls-remote", "--refs", "--", url, *patterns).splitlines()
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {name: commit for commit, name in pairs}


def _fetched(git: _Git, found: _Found) -> str:
    """Bring the commit here; its full name."""
    fetch = ("fetch", "-q", "--no-tags", "--no-recurse-submodules")
    wanted = found.name or found.commit
    if found.name or _FULL.match(found.commit):
        try:
            git.run(*fetch, "--depth=1", "--", found.url, wanted)
            return git.run("rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
        except GitError as error:
            if found.name and "shallow" not in error.message:
                raise
    # Some servers give only what a branch or tag leads to, plain files are given only as a whole,
    # and nobody knows abbreviations.
    everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    git.run(*fetch, "--", found.url, *everything)
    try:
        return git.run("rev-parse", "--verify", f"{found.commit}^{{commit}}").strip()
    except GitError:
        raise GitError(
            f"{found.url} has no branch, tag or commit {found.commit!r}, or several.",
            fix="Write all digits of a commit that a branch or tag leads to.",
        ) from None


__all__ = ["NAMES", "Commit", "GitError", "GitKeys", "fetch"]
