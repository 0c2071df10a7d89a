"""YAML text to plain values, with the line and column of every key and value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from stix.spec.problems import Path, Problem, dotted

Mark = tuple[int, int]
MAX_BYTES = 4 * 1024 * 1024
MAX_NODES = 200_000
MAX_DEPTH = 60
_FLOATS = {
    ".inf": float("inf"),
    "+.inf": float("inf"),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}


@dataclass
class Document:
    """One document: its value, and where each path lies (line and column from 1)."""

    value: Any
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    spans: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """Where the text of a value begins and ends, in characters of the file."""

    def where(self, path: Path, *, key: bool = False) -> Mark:
        """The place of a path, or of the nearest thing above it that the file holds."""
        while True:
            first, second = (self.keys, self.values) if key else (self.values, self.keys)
            mark = first.get(path) or second.get(path)
            if mark is not None or not path:
                return mark or (1, 1)
            path, key = path[:-1], True


class TextErrors(Exception):
    """The text is no YAML, or not one that is safe to read."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


def parse(text: str, file: str) -> list[Document]:
    """Every document that is not empty.

    Raises:
        TextErrors: with all duplicate keys, or the one place where the syntax broke.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise TextErrors([_problem(file, (1, 1), "the file is larger than 4 MiB", _DATA)])
    try:
        nodes = list(YAML(typ="safe", pure=True).compose_all(text))
    except MarkedYAMLError as refusal:
        raise TextErrors([_syntax(refusal, file, text)]) from None
    except ReaderError as refusal:
        before = text[: refusal.position]
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        said = "a control character is not allowed in YAML"
        raise TextErrors([_problem(file, place, said, _ASCII)]) from None
    except YAMLError as refusal:
        raise TextErrors([_problem(file, (1, 1), _first(str(refusal)), _ASCII)]) from None
    except RecursionError:
        raise TextErrors([_problem(file, (1, 1), "the file is nested too deeply", _FLAT)]) from None
    except ValueError as refusal:
        raise TextErrors([_problem(file, (1, 1), _first(str(refusal)), "quote the text")]) from None
    builder = _Builder(file)
    documents = [builder.document(n) for n in nodes if n is not None]
    if builder.problems:
        raise TextErrors(builder.problems)
    return [d for d in documents if d.value is not None]


_DATA = "keep data in files of their own and name them in file_mounts"
_ASCII = "remove control characters; save the file as plain UTF-8 text"
_FLAT = "write it with fewer levels"


class _Builder:
    """Makes plain values of nodes and keeps places; counts nodes, for aliases can explode."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.count = 0
        self.open: list[Node] = []

    def document(self, node: Node) -> Document:
        document = Document(None)
        document.value = self.build(node, (), document)
        return document

    def refuse(self, node: Node, path: Path, message: str, fix: str) -> None:
        self.problems.append(_problem(self.file, _mark(node), message, fix, dotted(path)))

    def build(self, node: Node, path: Path, document: Document) -> Any:
        self.count += 1
        blank = node.start_mark.index == node.end_mark.index
        # Nothing behind a key is read as null at the start of whatever follows.
        place = document.keys.get(path) if blank else None
        document.values[path] = place or _mark(node)
        document.spans[path] = (node.start_mark.index, node.end_mark.index)
        if self.count > MAX_NODES or len(self.open) > MAX_DEPTH:
            fix = "use fewer aliases and levels"
            self.refuse(node, path[:4], "the file unfolds to more than is sensible", fix)
            raise TextErrors(self.problems)
        if any(node is parent for parent in self.open):
            self.refuse(node, path, "an alias contains itself", "write the value out")
            return None
        if isinstance(node, ScalarNode):
            return self.scalar(node, path)
        if str(node.tag).rpartition(":")[2] not in ("map", "seq"):
            self.refuse(node, path, f"the tag {node.tag} is not known here", "remove the tag")
        self.open.append(node)
        try:
            if isinstance(node, SequenceNode):
                return [self.build(n, (*path, i), document) for i, n in enumerate(node.value)]
            return self.mapping(node, path, document)
        finally:
            self.open.pop()

    def mapping(self, node: Node, path: Path, document: Document) -> dict[str, Any]:
        out: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged.update(self.merge(value_node, path, document))
                continue
            key = self.key(key_node, path)
            if key is None:
                continue
            inner = (*path, key)
            if key in out:
                line = document.keys[inner][0]
                fix = f"remove one of the two; the first is on line {line}"
                self.refuse(key_node, inner, f"the key {key!r} is here twice", fix)
                continue
            document.keys[inner] = _mark(key_node)
            out[key] = self.build(value_node, inner, document)
        return {**merged, **out}

    def merge(self, node: Node, path: Path, document: Document) -> dict[str, Any]:
        sources = node.value if isinstance(node, SequenceNode) else [node]
        out: dict[str, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, MappingNode):
                self.refuse(source, path, "<< needs a map", "write <<: *name of a map")
                continue
            value = self.build(source, path, document)
            out.update(value if isinstance(value, dict) else {})
        return out

    def key(self, node: Node, path: Path) -> str | None:
        if isinstance(node, ScalarNode):
            value = self.scalar(node, path)
            # A key such as 8080 or true is text: SkyPilot's own fields all are.
            return value if isinstance(value, str) else str(node.value)
        self.refuse(node, path, "a key must be text", "put the key in quotes")
        return None

    def scalar(self, node: ScalarNode, path: Path) -> Any:
        kind = str(node.tag).rpartition(":")[2]
        text = node.value
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return text.lower() == "true"
            if kind == "int":
                return _integer(text)
            if kind == "float":
                return _FLOATS[text.lower()] if text.lower() in _FLOATS else float(text)
        except ValueError:
            pass
        if kind not in ("str", "timestamp", "int", "float", "value"):
            self.refuse(node, path, f"the tag {node.tag} is not known here", "remove the tag")
        return text


def blanked(text: str, documents: list[Document]) -> str:
    """The text with every value below a ``secrets`` map replaced by stars."""
    spans = {
        span
        for document in documents
        for path, span in document.spans.items()
        if len(path) > 1 and path[-2] == "secrets" and isinstance(path[-1], str)
    }
    for start, end in sorted(spans, reverse=True):
        if text[start:end].strip():
            text = text[:start] + '"***"' + text[end:]
    return text


def _integer(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").replace("_", "")
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base)
    return sign * int(digits)


def _mark(node: Node) -> Mark:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _first(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "the text cannot be read"


def _problem(file: str, mark: Mark, message: str, fix: str, path: str = "") -> Problem:
    return Problem("error", file, mark[0], mark[1], path, message, fix)


def _syntax(refusal: MarkedYAMLError, file: str, text: str) -> Problem:
    mark = refusal.problem_mark or refusal.context_mark
    place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    said = refusal.problem or refusal.context or "the text is not valid YAML"
    lines = text.splitlines()
    line = lines[place[0] - 1] if 0 < place[0] <= len(lines) else ""
    if "\t" in said or "'\\t'" in said or line.startswith("\t"):
        return _problem(file, place, "a tab is used for indentation", "indent with spaces")
    context = f" ({refusal.context})" if refusal.context and refusal.problem else ""
    return _problem(file, place, f"not valid YAML: {said}{context}", _advice(said, context))


def _advice(said: str, context: str) -> str:
    both = said + context
    if "mapping values are not allowed" in both:
        return "check the indentation, and quote text that holds ': '"
    if "undefined alias" in both:
        return "define the anchor with &name before *name"
    if "quoted scalar" in both:
        return "close the quotation mark"
    if "flow" in both:
        return "close the bracket or brace, and separate entries by commas"
    return "check the indentation of this line and the one above"
