"""Files of variables (``.env``), as python-dotenv reads them: ``--env-file``, ``--secret-file``.

python-dotenv skips a line that it does not understand; here every such line is refused.
"""

from __future__ import annotations

import os
import re

from stix.spec import values
from stix.spec.problems import GivenErrors, Problem

MAX_BYTES = 1024 * 1024
MAX_PROBLEMS = 100
_BLANK = re.compile(r"\s*")
_EXPORT = re.compile(r"export[^\S\n]+")
_KEY = re.compile(r"'([^'\n]+)'|([^=#\s]+)")
_EQUALS = re.compile(r"[^\S\n]*=([^\S\n]*)")
_QUOTED = {
    "'": re.compile(r"'((?:\\.|[^'\\])*)'", re.DOTALL),
    '"': re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL),
}
_ESCAPES = {"'": re.compile(r"\\([\\'])"), '"': re.compile(r"\\([\\'\"abfnrtv])")}
_CONTROL = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_REST = re.compile(r"[^\n]*")
_COMMENT = re.compile(r"(?<!\s)\s+#.*")
_END = re.compile(r"[^\S\n]*(?:#[^\n]*)?(?:\n|\Z)")
_REFERENCE = re.compile(r"\$\{([^}:]*)(?::-([^}]*))?\}")


def read(option: str, path: str) -> dict[str, str]:
    """Names and values of a file; of a name that is there twice, the last.

    ``${NAME}`` and ``${NAME:-default}`` stand for values above it in the file, then for those of
    the environment of this process; an unknown name stands for nothing.

    Args:
        option: Where the file was named, such as ``--env-file``; for messages.
        path: The file.

    Raises:
        GivenErrors: it cannot be read, or has lines that give no variable. No value is shown.
    """
    text = _text(option, path)
    entries = _Reader(path, text)
    entries.read()
    if entries.problems:
        raise GivenErrors(entries.problems)
    out: dict[str, str] = {}
    for name, value in entries.found:
        out[name] = _resolved(value, out)
    return out


def _text(option: str, path: str) -> str:

    def refused(message: str, fix: str, at: tuple[int, int] = (1, 1)) -> GivenErrors:
        return GivenErrors([Problem("error", path, *at, "", message, fix, given=True)])

    fix = f"check the path behind {option}"
    try:
        with open(os.path.expanduser(path), "rb") as file:  # noqa: PTH123  no user, no error
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, ValueError):  # ValueError: a NUL in the path
        raise refused("there is no such file of variables", fix) from None
    except IsADirectoryError:
        raise refused("this is a folder, not a file of variables", fix) from None
    except OSError as error:
        raise refused(f"the file cannot be read: {error.strerror}", fix) from None
    if len(data) > MAX_BYTES:
        raise refused(
            "the file is larger than 1 MiB", "keep data in files and name them in file_mounts"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        at = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise refused("the file is not UTF-8 text", "save it as UTF-8", at) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


class _Reader:
    """Goes through the text once; ``found`` holds what was there, in order."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.at = 0
        self.found: list[tuple[str, str]] = []
        self.problems: list[Problem] = []

    def read(self) -> None:
        while len(self.problems) < MAX_PROBLEMS:
            self._skip(_BLANK)
            if self.at >= len(self.text):
                return
            if not self._entry():
                self._skip(_REST)

    def _entry(self) -> bool:
        self._skip(_EXPORT)
        if self.text[self.at : self.at + 1] == "#":
            return False
        start = self.at
        key = _KEY.match(self.text, start)
        if key is None:
            return self._refuse(start, "the line has no name", "write NAME=value")
        name = key[1] or key[2]
        self.at = key.end()
        if not values.ENV_NAME.match(name):
            # Not shown: a value that lost its line may stand here.
            fix = "write NAME=value; a name has letters, digits and '_'. Quote values of many lines"
            return self._refuse(start, "the line does not begin with a name", fix)
        equals = _EQUALS.match(self.text, self.at)
        if equals is None:
            # Not shown either.
            fix = "write NAME=value, or NAME= for an empty one"
            return self._refuse(self.at, "= is missing behind the name", fix)
        self.at = equals.end()
        value = self._value(name, spaced=bool(equals[1]))
        if value is None:
            return False
        if "\0" in value:
            return self._refuse(start, f"the value of {name} holds a NUL", "remove it")
        self.found.append((name, value))
        return True

    def _value(self, name: str, *, spaced: bool) -> str | None:
        start = self.at
        mark = self.text[start : start + 1]
        if mark not in _QUOTED:
            line = self._skip(_REST)
            return "" if spaced and mark == "#" else _COMMENT.sub("", line).rstrip()
        quoted = _QUOTED[mark].match(self.text, start)
        if quoted is None:
            said = f"the quotation mark of {name} is not closed"
            self._refuse(start, said, f"close it with {mark}, or put \\ before a {mark} inside")
            self.at = len(self.text)
            return None
        self.at = quoted.end()
        if self._skip(_END) == "" and self.at < len(self.text):
            fix = f"put the whole value into quotation marks, with \\ before each {mark} in it"
            self._refuse(self.at, f"text follows the quoted value of {name}", fix)
            return None
        return _ESCAPES[mark].sub(lambda m: _CONTROL.get(m[1], m[1]), quoted[1])

    def _skip(self, pattern: re.Pattern[str]) -> str:
        """Move behind what the pattern matches here, if it does; gives that text."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def _refuse(self, index: int, message: str, fix: str) -> bool:
        line = self.text.count("\n", 0, index) + 1
        column = index - self.text.rfind("\n", 0, index)
        self.problems.append(
            Problem("error", self.file, line, column, "", message, fix, given=True)
        )
        return False


def _resolved(value: str, above: dict[str, str]) -> str:
    def of(found: re.Match[str]) -> str:
        name, default = found[1], found[2] or ""
        return above[name] if name in above else os.environ.get(name, default)

    return _REFERENCE.sub(of, value)
