"""YAML text to nodes, by libyaml where it is there; refuses what is no YAML or too large."""

from __future__ import annotations

import re
from typing import Any

from yaml.composer import Composer
from yaml.error import MarkedYAMLError
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner

from stix.spec.problems import Problem
from stix.spec.yaml.scalars import tag_of

try:
    from yaml.cyaml import CParser
except ImportError:  # PyYAML was built without libyaml.
    CParser = None

Mark = tuple[int, int]
"""Line and column, from 1."""

MAX_BYTES = 4 * 1024 * 1024
MAX_NODES = 100_000
MAX_DEPTH = 60
MAX_DOCUMENTS = 1000
_MAX_DIRECTIVES = 100
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_ALIAS = re.compile(r"(?:^|[\s,\[{:?-])\*[^\s*]")
_DATA = "keep data in files of their own and name them in file_mounts"
_LARGE = "the file is larger than 4 MiB"
_ASCII = "remove control characters; save the file as plain UTF-8 text"
_FLAT = "write it with fewer levels"
_START: Mark = (1, 1)


class TextErrors(Exception):
    """The text is no YAML, or not one that is safe to read."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


class _TooMuch(Exception):
    """Composing went too far; holds the node above, what to say, and the fix."""


class _Counting:
    """Tells tags, and stops before the recursion of the parser reaches the end of its stack."""

    nodes = 0
    depth = 0

    def descend_resolver(self, parent: Any, _index: Any) -> None:
        self.nodes += 1
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _TooMuch(parent, f"the file is nested deeper than {MAX_DEPTH} levels", _FLAT)
        if self.nodes > MAX_NODES:
            raise _TooMuch(parent, f"the file holds more than {MAX_NODES} values", _DATA)

    def ascend_resolver(self) -> None:
        self.depth -= 1

    def resolve(self, kind: type, value: str, implicit: Any) -> str:
        return tag_of(kind, value, implicit)


class PureParser(_Counting, Reader, Scanner, Parser, Composer):  # type: ignore[misc]
    """PyYAML's parser in Python; refuses unknown directives and surrogates, as libyaml does."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)

    def compose_scalar_node(self, anchor: Any) -> Any:
        node = super().compose_scalar_node(anchor)
        if not node.value.isascii() and _surrogate(node.value) is not None:
            raise MarkedYAMLError(None, None, "no such character", node.start_mark)
        return node

    def scan_directive(self) -> Any:
        token = super().scan_directive()
        if token.name not in ("YAML", "TAG"):
            raise MarkedYAMLError(None, None, "found unknown directive name", token.start_mark)
        return token

    def scan_flow_scalar(self, style: Any) -> Any:
        mark = self.get_mark()
        try:
            return super().scan_flow_scalar(style)
        except (ValueError, OverflowError):
            raise MarkedYAMLError(None, None, "no such character", mark) from None


if CParser is None:
    FastParser: Any = PureParser
else:

    class _CParser(_Counting, CParser):  # type: ignore[misc]
        """libyaml."""

    FastParser = _CParser


def compose(text: str, file: str, parser: Any = FastParser) -> list[Any]:
    """The root of each document that is not empty.

    Raises:
        TextErrors: with the place where the syntax broke, or where a limit was passed.
    """
    _check_text(text, file)
    nodes: list[Any] = []
    number = 0
    try:
        # The constructor reads already, and may find a forbidden character.
        source = parser(text)
        while source.check_node():
            number += 1
            nodes.append(source.get_node())
            if number > MAX_DOCUMENTS:
                said = f"the file holds more than {MAX_DOCUMENTS} documents"
                raise _TooMuch(nodes[-1], said, "split the file")
    except _TooMuch as refusal:
        parent, said, fix = refusal.args
        raise TextErrors([problem(file, mark_of(parent), said, fix)]) from None
    except MarkedYAMLError as refusal:
        raise TextErrors([_syntax(refusal, file, text)]) from None
    except ReaderError:
        raise TextErrors([_forbidden(text, file)]) from None
    return nodes


def mark_of(node: Any) -> Mark:
    """Where a node begins."""
    return (node.start_mark.line + 1, node.start_mark.column + 1) if node is not None else _START


def problem(file: str, mark: Mark, message: str, fix: str, path: str = "") -> Problem:
    """An error with its place."""
    return Problem("error", file, mark[0], mark[1], path, message, fix)


def decoded(data: bytes, file: str) -> str:
    """The text of a file.

    Raises:
        TextErrors: it is not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise TextErrors([problem(file, _START, _LARGE, _DATA)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as refusal:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            said = "the file is UTF-16, not UTF-8"
            raise TextErrors([problem(file, _START, said, "save it as UTF-8")]) from None
        before = data[: refusal.start]
        place = (before.count(b"\n") + 1, refusal.start - (before.rfind(b"\n") + 1) + 1)
        raise TextErrors(
            [problem(file, place, "the file is not UTF-8 text", "save it as UTF-8")]
        ) from None


def _check_text(text: str, file: str) -> None:
    wrong = None if text.isascii() else _surrogate(text)
    if wrong is not None:
        said = "the text holds half of a character (a lone surrogate)"
        raise TextErrors([problem(file, _place(text, wrong), said, "save it as UTF-8")])
    if len(text) > MAX_BYTES or len(text.encode()) > MAX_BYTES:
        raise TextErrors([problem(file, _START, _LARGE, _DATA)])
    # The parser tells nothing of aliases while it composes.
    if text.count("*") > MAX_NODES and sum(1 for _ in _ALIAS.finditer(text)) > MAX_NODES:
        said = f"the file holds more than {MAX_NODES} aliases"
        raise TextErrors([problem(file, _START, said, _DATA)])
    # Each directive is compared with all before it.
    if "\n%" in text and text.count("\n%") > _MAX_DIRECTIVES:
        said = f"the file has more than {_MAX_DIRECTIVES} lines that begin with %"
        place = _place(text, text.index("\n%") + 1)
        raise TextErrors([problem(file, place, said, "remove them, or indent them")])


def _surrogate(text: str) -> int | None:
    try:
        text.encode()
    except UnicodeEncodeError as refusal:
        return refusal.start
    return None


def _place(text: str, index: int) -> Mark:
    line, start = 1, 0
    for found in _BREAK.finditer(text, 0, index):
        line, start = line + 1, found.end()
    return line, index - start + 1


def _forbidden(text: str, file: str) -> Problem:
    found = _FORBIDDEN.search(text)
    place = _place(text, found.start()) if found else _START
    return problem(file, place, "a control character is not allowed in YAML", _ASCII)


def _syntax(refusal: MarkedYAMLError, file: str, text: str) -> Problem:
    mark = refusal.problem_mark or refusal.context_mark
    said = str(refusal.problem or refusal.context or "the text cannot be read")
    about = str(refusal.context) if refusal.context and refusal.problem else ""
    # What is never closed is missed at the end of the file: show where it was opened.
    if mark is not None and mark.index >= len(text.rstrip()) and refusal.context_mark is not None:
        mark = refusal.context_mark
    place = (mark.line + 1, mark.column + 1) if mark is not None else _START
    if "duplicate anchor" in about:
        first = refusal.context_mark.line + 1
        said, about = f"an anchor has the name of the one on line {first}", ""
    lines = _BREAK.split(text)
    if (place[0] == len(lines) and not lines[-1]) or place[0] > len(lines):
        last = max(i for i, line in enumerate(lines, 1) if line or i == 1)
        place = (last, len(lines[last - 1]) + 1)
    line = lines[place[0] - 1]
    if "\t" in line[: len(line) - len(line.lstrip())] or "tab" in said or "'\\t'" in said:
        return problem(file, place, "a tab is used for indentation", "indent with spaces")
    context = f" ({about})" if about else ""
    return problem(file, place, f"not valid YAML: {said}{context}"[:300], _advice(said + about))


def _advice(said: str) -> str:
    for part, fix in _ADVICE.items():
        if part in said:
            return fix
    return "check the indentation of this line and the one above"


_ADVICE = {
    "mapping values are not allowed": "check the indentation, and quote text that holds ': '",
    "undefined alias": "define the anchor with &name before *name",
    "an anchor has": "give each anchor a name of its own",
    "escape": "write \\\\ for a backslash, or use single quotes",
    "no such character": "write the character itself",
    "quoted scalar": "close the quotation mark",
    "scalar": "check the indentation of this line and the one above",
    "flow": "close the bracket or brace, and separate entries by commas",
    "directive": "remove the line that begins with %",
    "incompatible YAML": "remove the line %YAML",
    "tag handle": "remove the tag",
    "<document start>": "begin a further document with ---",
    "cannot start any token": "put the text in quotes",
    "could not find expected ':'": "write a colon and a space after the key",
}
