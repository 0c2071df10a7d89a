"""Which files of a workdir stay behind: gitignore's rules, without git.

Source of the rules: gitignore(5) and, where that is silent, what git does (see the tests).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SKYIGNORE = ".skyignore"
GITIGNORE = ".gitignore"
_SPECIAL = b"*?[\\"
_NEVER = rb"(?!)"
_CLASSES = {
    b"alnum": b"0-9A-Za-z",
    b"alpha": b"A-Za-z",
    b"blank": rb" \t",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": b"0-9",
    b"graph": rb"\x21-\x7e",
    b"lower": b"a-z",
    b"print": rb"\x20-\x7e",
    b"punct": rb"!-/:-@\[-`{-~",
    b"space": rb" \t\n\r\f\v",
    b"upper": b"A-Z",
    b"xdigit": b"0-9A-Fa-f",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: what it matches, relative to the folder of its file."""

    regex: re.Pattern[bytes]
    keep: bool
    folders_only: bool
    name_only: bool


class Ignore:
    """The rules that hold in one folder of a workdir.

    Args:
        root: The workdir.

    Where the root has a ``.skyignore``, only files of that name count, else ``.gitignore`` files
    and ``.git/info/exclude``. Rules above the root do not count. ``.git`` is always left out.
    """

    def __init__(self, root: Path) -> None:
        sky = (root / SKYIGNORE).is_file()
        self._file = SKYIGNORE if sky else GITIGNORE
        self._levels: list[tuple[str, list[Rule]]] = []
        if not sky:
            self._levels.append(("", _read(root / ".git" / "info" / "exclude")))
        self._levels.append(("", _read(root / self._file)))

    def below(self, folder: Path, prefix: str) -> Ignore:
        """The rules for what lies in ``folder``, whose path is ``prefix`` (``a/b/``)."""
        child = object.__new__(Ignore)
        child._file = self._file
        rules = _read(folder / self._file)
        child._levels = [*self._levels, (prefix, rules)] if rules else self._levels
        return child

    def ignores(self, path: str, is_folder: bool) -> bool:
        """Whether ``path``, relative to the root, stays behind. Its folder does not."""
        name = path.rpartition("/")[2]
        if name == ".git":
            return True
        for prefix, rules in reversed(self._levels):
            inside = os.fsencode(path[len(prefix) :])
            for rule in reversed(rules):
                if rule.folders_only and not is_folder:
                    continue
                if rule.regex.fullmatch(os.fsencode(name) if rule.name_only else inside):
                    return not rule.keep
        return False


def _read(file: Path) -> list[Rule]:
    if file.is_symlink() or not file.is_file():
        return []
    return parse(file.read_bytes())


def parse(text: bytes) -> list[Rule]:
    """The rules of an ignore file, in order."""
    rules = []
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        line = _trim(line.removesuffix(b"\r"))
        if not line or line.startswith(b"#"):
            continue
        keep = line.startswith(b"!")
        pattern = line[1:] if keep else line
        folders_only = pattern.endswith(b"/")
        pattern = pattern[:-1] if folders_only else pattern
        name_only = b"/" not in pattern
        if pattern:
            regex = re.compile(_translate(pattern, name_only), re.DOTALL)
            rules.append(Rule(regex, keep, folders_only, name_only))
    return rules


def _trim(line: bytes) -> bytes:
    """Without spaces at the end that no backslash protects."""
    stripped = line.rstrip(b" ")
    backslashes = len(stripped) - len(stripped.rstrip(b"\\"))
    if backslashes % 2 and len(stripped) < len(line):
        return stripped + b" "
    return stripped


def _translate(pattern: bytes, name_only: bool) -> bytes:
    """The regular expression of a pattern, on bytes as in git: ``?`` is one byte."""
    pattern = pattern if name_only else pattern.removeprefix(b"/")
    specials = (pattern.find(bytes([special])) for special in _SPECIAL)
    # Git compares the plain start as it is, and takes what follows for a pattern of its own.
    start = min((at for at in specials if at >= 0), default=len(pattern))
    if start == len(pattern):
        return re.escape(pattern)
    return re.escape(pattern[:start]) + b"".join(_pieces(pattern[start:], name_only))


def _pieces(pattern: bytes, name_only: bool) -> Iterator[bytes]:
    at = 0
    while at < len(pattern):
        char = pattern[at : at + 1]
        if char == b"*":
            piece, at = _stars(pattern, at, name_only)
        elif char == b"?":
            piece, at = b"[^/]", at + 1
        elif char == b"[":
            piece, at = _set(pattern, at + 1)
        elif char == b"\\":
            literal = pattern[at + 1 : at + 2]
            piece, at = (re.escape(literal) if literal else _NEVER), at + 2
        else:
            piece, at = re.escape(char), at + 1
        yield piece


def _stars(pattern: bytes, at: int, name_only: bool) -> tuple[bytes, int]:
    end = at
    while pattern[end : end + 1] == b"*":
        end += 1
    after = pattern[end:]
    opens = at == 0 or pattern[at - 1 : at] == b"/"
    if name_only or end - at == 1 or not opens or not (not after or after[:1] in b"/\\"):
        return b"[^/]*", end
    if after.startswith(b"/"):
        return b"(?:.*/)?", end + 1
    if after and not after.startswith(b"\\/"):
        return b"[^/]*", end
    return b".*", end


def _set(pattern: bytes, at: int) -> tuple[bytes, int]:
    """A set in brackets that opens before ``at``; one that never closes matches nothing."""
    negated = pattern[at : at + 1] in {b"!", b"^"}
    at += negated
    parts: list[bytes] = []
    previous: int | None = None
    first = True
    while first or pattern[at : at + 1] != b"]":
        first = False
        named = re.compile(rb"\[:([^\]]*?):\]").match(pattern, at)
        if at >= len(pattern) or (named and named[1] not in _CLASSES):
            return _NEVER, len(pattern)
        if named:
            parts.append(_CLASSES[named[1]])
            previous, at = None, named.end()
        elif (
            pattern[at : at + 1] == b"-"
            and previous is not None
            and pattern[at + 1 : at + 2] not in {b"", b"]"}
        ):
            last, at = _literal(pattern, at + 1)
            if last is None:
                return _NEVER, len(pattern)
            parts.append(_span(previous, last))
            previous = None
        else:
            previous, at = _literal(pattern, at)
            if previous is None:
                return _NEVER, len(pattern)
            parts.append(_span(previous, previous))
    members = b"".join(parts)
    if negated:
        return (b"[^/" + members + b"]"), at + 1
    return (b"(?!/)[" + members + b"]" if members else _NEVER), at + 1


def _literal(pattern: bytes, at: int) -> tuple[int | None, int]:
    """The byte at ``at``, which a backslash may protect, and where to go on."""
    at += pattern[at : at + 1] == b"\\"
    return (pattern[at], at + 1) if at < len(pattern) else (None, at)


def _span(first: int, last: int) -> bytes:
    if first > last:
        return b""
    return b"\\x%02x-\\x%02x" % (first, last)
