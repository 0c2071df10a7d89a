"""YAML text to plain values as SkyPilot reads them, with the place of every key and value.

The language is YAML 1.1 as PyYAML has it. Places are looked up only when asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from yaml.nodes import MappingNode, SequenceNode

from stix.spec.problems import Path, Problem
from stix.spec.yaml.nodes import (
    MAX_BYTES,
    FastParser,
    Mark,
    TextErrors,
    compose,
    decoded,
    mark_of,
)
from stix.spec.yaml.read import Builder, entries, walk
from stix.spec.yaml.warn import misplaced, surprises

__all__ = [
    "MAX_BYTES",
    "Document",
    "Mark",
    "TextErrors",
    "blanked",
    "decoded",
    "misplaced_dates",
    "parse",
]

_MOST = 100
"""Problems told of one file."""


@dataclass
class Document:
    """One document: its value, and where each path lies (line and column from 1).

    Attributes:
        value: Maps, lists, text, numbers, booleans, dates.
        file: Name of the file.
        root: The node of the whole.
        odd: Plain scalars that are no text.
        number: How many documents stand before it in the file, empty ones among them.
    """

    value: Any
    file: str = ""
    root: Any = field(default=None, repr=False)
    odd: list[Any] = field(default_factory=list, repr=False)
    number: int = 0
    _known: dict[int, dict[str, tuple[Any, Any]]] = field(default_factory=dict, repr=False)

    def where(self, path: Path, *, key: bool = False) -> Mark:
        """The place of a path, or of the nearest thing above it that the file holds."""
        found, key_node, value_node = self._find(path)
        if key_node is not None and (key or found < len(path) or _is_blank(value_node)):
            return mark_of(key_node)
        return mark_of(value_node)

    def at(self, path: Path) -> Mark | None:
        """The place of the value of a path, or None where the file does not hold it."""
        return self.where(path) if self._find(path)[0] == len(path) else None

    @property
    def warnings(self) -> list[Problem]:
        """What YAML reads otherwise than most people mean it."""
        return surprises(self.file, self.root, self.odd) if self.odd else []

    def _find(self, path: Path) -> tuple[int, Any, Any]:
        """How many parts of a path are there; the nodes of the key and value of the last."""
        key_node, node, word = None, self.root, ""
        for found, part in enumerate(path):
            if isinstance(node, MappingNode):
                entry = self._entries(node, word).get(str(part))
                if entry is None:
                    return found, key_node, node
                key_node, node = entry
                word = str(part)
            elif (
                isinstance(node, SequenceNode)
                and isinstance(part, int)
                and (0 <= part < len(node.value))
            ):
                key_node, node = None, node.value[part]
            else:
                return found, key_node, node
        return len(path), key_node, node

    def _entries(self, node: Any, word: str) -> dict[str, tuple[Any, Any]]:
        if id(node) not in self._known:
            self._known[id(node)] = entries(node, word)
        return self._known[id(node)]


def parse(text: str, file: str, parser: Any = FastParser) -> list[Document]:
    """Every document that is not empty.

    Args:
        text: YAML; a byte order mark at its start is passed over.
        file: Name of the file, for messages.
        parser: How the text becomes nodes.

    Raises:
        TextErrors: with all duplicate keys, or the one place where the syntax broke.
    """
    builder = Builder(file)
    documents: list[Document] = []
    problems: list[Problem] = []
    for number, root in enumerate(compose(text.removeprefix("\ufeff"), file, parser)):
        try:
            value = builder.document(root)
        except TextErrors as refusal:
            problems += refusal.problems
            if builder.exhausted or len(problems) >= _MOST:
                break
        else:
            if value is not None:
                documents.append(Document(value, file, root, builder.odd, number))
    if problems:
        raise TextErrors(problems)
    return documents


def misplaced_dates(documents: list[Document]) -> list[Problem]:
    """An error for each date where only text, numbers and booleans have a place."""
    return [p for d in documents if d.odd for p in misplaced(d.file, d.root, d.odd)]


def blanked(text: str, documents: list[Document]) -> str:
    """The text with every value below a ``secrets`` map replaced by stars."""
    text = text.removeprefix("\ufeff")
    parts, end = [], 0
    for start, stop in sorted({span for d in documents for span in _secrets(d.root)}):
        if start >= end and text[start:stop].strip():
            parts += [text[end:start], '"***"']
            end = stop
    return "".join([*parts, text[end:]])


def _secrets(root: Any) -> Iterator[tuple[int, int]]:
    for path, node, _ in walk(root):
        if path and path[-1] == "secrets" and isinstance(node, MappingNode):
            for _, value in entries(node, "secrets").values():
                yield value.start_mark.index, value.end_mark.index


def _is_blank(node: Any) -> bool:
    # Nothing behind a key is read as null at the start of whatever follows.
    return bool(node.start_mark.index == node.end_mark.index)
