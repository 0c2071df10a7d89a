"""Nodes of YAML to plain values. Aliases unfold, so everything is counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from yaml.nodes import MappingNode, ScalarNode

from stix.spec.problems import Path, Problem, dotted
from stix.spec.yaml.nodes import MAX_BYTES, MAX_DEPTH, MAX_NODES, TextErrors, mark_of, problem
from stix.spec.yaml.scalars import (
    MERGE,
    STR,
    Unreadable,
    is_collection_tag,
    key_text,
    scalar,
    unknown_tag,
)

_MAX_KEY = 1024
"""Longest key, in characters: YAML's own limit for keys without a question mark."""
_MOST = 100
"""Problems told of one file."""


class Builder:
    """Makes plain values of the nodes of one file.

    Attributes:
        odd: Plain scalars of the last document that are no text; some were meant to be.
        exhausted: The file unfolds to more than may be read.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.odd: list[Any] = []
        self.exhausted = False
        self._count = 0
        self._size = 0
        self._wrong: dict[tuple[int, str], tuple[Any, str, str]] = {}

    def document(self, root: Any) -> Any:
        """The value of a document.

        Raises:
            TextErrors: holds every problem of it.
        """
        self.odd = []
        self._wrong = {}
        try:
            value = self._build(root, 0, "")
            if self._size > MAX_BYTES:
                raise _Unfolds(root)
        except _Unfolds as refusal:
            self.exhausted = True
            raise TextErrors([self._unfolds(root, refusal.node)]) from None
        if self._wrong:
            raise TextErrors(self._problems(root))
        return value

    def _build(self, node: Any, depth: int, word: str) -> Any:
        if type(node) is ScalarNode:
            self._size += len(node.value)
            return node.value if node.tag is STR else self._scalar(node)
        self._count += 1 + len(node.value)
        if depth > MAX_DEPTH or self._count > MAX_NODES or self._size > MAX_BYTES:
            raise _Unfolds(node)
        if not is_collection_tag(node):
            self._refuse(node, unknown_tag(node))
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, depth + 1, word)
        return [self._build(n, depth + 1, word) for n in node.value]

    def _scalar(self, node: Any) -> Any:
        try:
            value = scalar(node)
        except Unreadable as refusal:
            self._refuse(node, refusal)
            return None
        if not node.style and value is not None:
            self.odd.append(node)
        return value

    def _mapping(self, node: Any, depth: int, word: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        first: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag is STR and type(key_node) is ScalarNode:
                key = key_node.value
                self._size += len(key)
            else:
                key = self._key(key_node, word)
                if key is None:
                    continue
            if key in first:
                line = mark_of(first[key])[0]
                fix = f"remove one of the two; the first is on line {line}"
                self._refuse(key_node, Unreadable(f"the key {key[:80]!r} is here twice", fix))
                continue
            first[key] = key_node
            if len(key) > _MAX_KEY:
                fix = "write a shorter key"
                self._refuse(key_node, Unreadable(f"a key is longer than {_MAX_KEY}", fix))
            elif key_node.tag == MERGE:
                merged = self._merge(value_node, depth, word)
            else:
                out[key] = self._build(value_node, depth, key)
        return {**merged, **out} if merged else out

    def _merge(self, node: Any, depth: int, word: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for source in reversed(sources(node)):
            if isinstance(source, MappingNode):
                out.update(self._build(source, depth, word) or {})
            else:
                self._refuse(source, Unreadable("<< needs a map", "write <<: *name of a map"))
        return out

    def _key(self, node: Any, word: str) -> str | None:
        try:
            if type(node) is ScalarNode:
                return key_of(node, word)
            raise Unreadable("a key must be text", "put the key in quotes")
        except Unreadable as refusal:
            self._refuse(node, refusal)
            return None

    def _refuse(self, node: Any, why: Unreadable) -> None:
        # A node that is built for each of its aliases is wrong once.
        if len(self._wrong) < _MOST:
            self._wrong.setdefault((id(node), why.message), (node, why.message, why.fix))

    def _problems(self, root: Any) -> list[Problem]:
        paths = {id(n): path for path, n, _ in walk(root)}
        paths |= {id(k): path for path, _, k in walk(root) if k is not None}
        return [
            problem(self.file, mark_of(node), said, fix, dotted(paths.get(identity, ())))
            for (identity, _), (node, said, fix) in self._wrong.items()
        ]

    def _unfolds(self, root: Any, node: Any) -> Problem:
        loop = _loop(root)
        if loop is not None:
            path, node = loop
            said, fix = "an alias contains itself", "write the value out"
            return problem(self.file, mark_of(node), said, fix, dotted(path))
        said, fix = "the file unfolds to more than is sensible", "use fewer aliases and levels"
        return problem(self.file, mark_of(node), said, fix)


class _Unfolds(Exception):
    """Aliases make too much of the file."""

    def __init__(self, node: Any) -> None:
        super().__init__("too much")
        self.node = node


def sources(node: Any) -> list[Any]:
    """The nodes that a ``<<`` names, the strongest first."""
    return node.value if isinstance(node.value, list) and node.id == "sequence" else [node]


def key_of(node: Any, word: str) -> str:
    """The text of a key that is a scalar, below the key ``word``.

    Raises:
        Unreadable: it has none.
    """
    text = node.value
    if node.tag in (STR, MERGE) or text == "=":
        return str(text)
    return key_text(scalar(node), word)


def entries(node: Any, word: str) -> dict[str, tuple[Any, Any]]:
    """Key to the nodes of key and value, with what ``<<`` brings in; of a file that was read."""
    out: dict[str, tuple[Any, Any]] = {}
    merged: dict[str, tuple[Any, Any]] = {}
    for key_node, value_node in node.value:
        if key_node.tag == MERGE:
            for source in reversed(sources(value_node)):
                merged.update(entries(source, word))
        else:
            out[key_of(key_node, word)] = (key_node, value_node)
    return {**merged, **out}


def walk(root: Any) -> Iterator[tuple[Path, Any, Any]]:
    """Each node below ``root`` once: its path, itself, and the node of its key (or None)."""
    seen: set[int] = set()
    stack: list[tuple[Path, Any, Any]] = [((), root, None)]
    while stack:
        path, node, key_node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield path, node, key_node
        stack += reversed(_below(path, node))


def _below(path: Path, node: Any) -> list[tuple[Path, Any, Any]]:
    if isinstance(node, MappingNode):
        return [((*path, _label(k)), v, k) for k, v in node.value]
    if isinstance(node, ScalarNode):
        return []
    return [((*path, i), n, None) for i, n in enumerate(node.value)]


def _label(node: Any) -> str:
    return str(node.value)[:80] if isinstance(node, ScalarNode) else "?"


def _loop(root: Any) -> tuple[Path, Any] | None:
    """A place where a node lies in itself, and that node."""
    done: set[int] = set()
    above: set[int] = set()
    stack: list[tuple[Path, Any, bool]] = [((), root, False)]
    while stack:
        path, node, leaving = stack.pop()
        if leaving:
            above.discard(id(node))
            done.add(id(node))
        elif id(node) in above:
            return path, node
        elif id(node) not in done and not isinstance(node, ScalarNode):
            above.add(id(node))
            stack.append((path, node, True))
            stack += [(p, n, False) for p, n, _ in reversed(_below(path, node))]
    return None
