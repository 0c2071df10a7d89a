"""The ignore rules, with git itself as the judge."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stix.spec.folders.ignore import Ignore

NAMES = ["a", "b", "ab", "foo", "foo.py", "a.log", "x y", "é", "[z]", "#h", "!n", "sp ", "b-c", "A"]
PIECES = [
    *["a", "b", "foo", ".py", ".log", "*", "**", "?", "/", "/", "**/", "/**", "\\", " ", "!", "#"],
    *["[ab]", "[!a]", "[^b]", "[a-c]", "[[:alpha:]]", "[[:digit:]x]", "[[:nope:]]", "[]a]", "[a"],
    *["[z-a]", "[\\]]", "-", "x y", "\\ ", "é", "***", "A", "[a-]", "\\*", "[[:upper:]-z]", "[:a]"],
]

name = st.sampled_from(NAMES)
line = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join) | st.sampled_from(
    ["!a", "a/", "/a", "!a/", "*.log", "!*.log", "foo/*", "!foo/a", "**/b", "a/**", "a/**/b", "#a"]
)
ignore_file = st.lists(line, max_size=6).map("\n".join)
trees = st.lists(st.lists(name, min_size=1, max_size=3), min_size=1, max_size=12)


def make(root: Path, paths: list[list[str]]) -> None:
    for parts in paths:
        place = root.joinpath(*parts)
        parents = [parent for parent in place.parents if root in parent.parents]
        if place.exists() or any(parent.is_file() for parent in parents):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x")


def by_git(root: Path) -> set[str]:
    """The files that git would add: in a repository without commits, all that is not ignored."""
    bare = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(root.parent)}
    environment = {"PATH": os.environ["PATH"], **bare}
    if not (root / ".git").exists():
        subprocess.run(["git", "init", "-q", root], env=environment, check=True)
    (root / ".git/info/exclude").parent.mkdir(exist_ok=True)
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--others", "--exclude-standard"],
        env=environment,
        capture_output=True,
        check=True,
    ).stdout
    return {os.fsdecode(path) for path in listing.split(b"\0") if path}


def by_us(root: Path) -> set[str]:
    found = set()
    todo = [(root, "", Ignore(root))]
    while todo:
        folder, prefix, ignore = todo.pop()
        for place in folder.iterdir():
            path = prefix + place.name
            if ignore.ignores(path, place.is_dir()):
                continue
            if place.is_dir():
                todo.append((place, f"{path}/", ignore.below(place, f"{path}/")))
            else:
                found.add(path)
    return found


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tree=trees, rules=ignore_file, nested=ignore_file, exclude=ignore_file, where=name)
def test_leaves_out_what_git_leaves_out(
    tmp_path_factory: pytest.TempPathFactory,
    tree: list[list[str]],
    rules: str,
    nested: str,
    exclude: str,
    where: str,
) -> None:
    root = tmp_path_factory.mktemp("tree") / "root"
    root.mkdir()
    make(root, tree)
    by_git(root)
    (root / ".git/info/exclude").write_text(exclude)
    (root / ".gitignore").write_text(rules)
    if (root / where).is_dir():
        (root / where / ".gitignore").write_text(nested)
    assert by_us(root) == by_git(root)


@pytest.mark.parametrize(
    "text",
    [
        b"a\r\nfoo.py\r\n",
        b"\xef\xbb\xbfa\n",
        b"a   \nfoo\\ \n",
        b"sp\\ \n",
        b"*\n!foo/\n!foo/**\n",
        b"foo\n!foo/a\n",
        b"foo**/b\n",
        b"\\#h\n\\!n\n",
        b"?\n",
        b"??\n",
        b"/\n",
        b"!\n",
        b"a//\n",
        b"\\",
        b"a\\",
        b"foo*\\/b\n",
        b"**\\/b\n",
        b"a/**\\/b\n",
    ],
)
def test_corners_of_the_syntax(tmp_path: Path, text: bytes) -> None:
    root = tmp_path / "root"
    tree = [[one] for one in NAMES[3:]] + [["a", "b"], ["d", "foo", "a"], ["d", "foo", "x", "b"]]
    make(root, [*tree, ["foox", "b"], ["fooy", "z", "b"], ["b", "a", "q"]])
    (root / ".gitignore").write_bytes(text)
    assert by_us(root) == by_git(root)


def test_skyignore_replaces_gitignore(tmp_path: Path) -> None:
    make(tmp_path, [["a"], ["b"], ["sub", "a"], ["sub", "b"], ["sub", "c"]])
    (tmp_path / ".gitignore").write_text("b\n")
    (tmp_path / "sub" / ".gitignore").write_text("b\n")
    (tmp_path / ".skyignore").write_text("a\n")
    (tmp_path / "sub" / ".skyignore").write_text("c\n")
    left = {path for path in by_us(tmp_path) if "ignore" not in path}
    assert left == {"b", "sub/b"}


def test_git_is_always_left_out(tmp_path: Path) -> None:
    make(tmp_path, [["a"], [".git", "config"], ["module", ".git"], ["module", "b"]])
    (tmp_path / ".skyignore").write_text("!.git\n")
    assert by_us(tmp_path) == {".skyignore", "a", "module/b"}
