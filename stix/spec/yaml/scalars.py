"""Scalars of YAML 1.1 to values, by the rules of PyYAML, with which SkyPilot reads its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.resolver import Resolver

_PREFIX = "tag:yaml.org,2002:"
STR = _PREFIX + "str"
MAP = _PREFIX + "map"
SEQ = _PREFIX + "seq"
MERGE = _PREFIX + "merge"
DATE = _PREFIX + "timestamp"
_INT, _FLOAT, _BOOL = _PREFIX + "int", _PREFIX + "float", _PREFIX + "bool"
_MOST_DIGITS = {_INT: 300, _FLOAT: 1000}
"""Longer whole numbers fit no float, and Python itself refuses to print very long ones."""

_FIRST: dict[str, tuple[tuple[str, Callable[[str], Any]], ...]] = {
    first: tuple((tag, pattern.match) for tag, pattern in rules)
    for first, rules in Resolver.yaml_implicit_resolvers.items()
    if first is not None
}
"""First character of a plain scalar to the tags that it may have, and how to tell."""


def tag_of(kind: type, value: str, implicit: Any) -> str:
    """The tag of a node that has none: what a plain scalar looks like decides."""
    if kind is ScalarNode:
        if implicit[0]:
            for tag, match in _FIRST.get(value[:1], ()):
                if match(value):
                    return tag
        return STR
    return SEQ if kind is SequenceNode else MAP


class Unreadable(Exception):
    """A scalar is not what its tag, or its look, says."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


_MAKER = SafeConstructor()
_MAKE: dict[str, Callable[[Any], Any]] = {
    _PREFIX + "null": _MAKER.construct_yaml_null,
    _BOOL: _MAKER.construct_yaml_bool,
    _INT: _MAKER.construct_yaml_int,
    _FLOAT: _MAKER.construct_yaml_float,
    DATE: _MAKER.construct_yaml_timestamp,
    STR: _MAKER.construct_yaml_str,
}
_WORDS = {
    _INT: "this is not a whole number",
    _FLOAT: "this is not a number",
    _BOOL: "this is not a boolean",
    DATE: "there is no such date",
}


def scalar(node: Any) -> Any:
    """The value of a scalar node.

    Raises:
        Unreadable: it has none.
    """
    tag = node.tag
    make = _MAKE.get(tag)
    if make is None:
        raise unknown_tag(node)
    if len(node.value) > _MOST_DIGITS.get(tag, len(node.value)):
        raise Unreadable("this number has too many digits", "put it in quotes if text is meant")
    try:
        return make(node)
    except (ValueError, KeyError, AttributeError, OverflowError, IndexError):
        raise Unreadable(_WORDS[tag], "correct it, or put it in quotes if text is meant") from None


def unknown_tag(node: Any) -> Unreadable:
    """What to say of a tag that makes no plain value."""
    if node.tag in (MERGE, _PREFIX + "value") and not node.style:
        fix = f'write "{node.value}" in quotes if text is meant'
        return Unreadable(f"{node.value[:2]} has a meaning of its own in YAML", fix)
    if node.tag.startswith(_PREFIX):
        name = "!!" + node.tag.removeprefix(_PREFIX)
        if isinstance(node, ScalarNode) and name in ("!!map", "!!seq"):
            return Unreadable(f"the tag {name} stands before text", "remove the tag")
        if node.tag in _MAKE:
            return Unreadable(f"the tag {name} stands before a map or a list", "remove the tag")
    else:
        name = node.tag
    shown = name if len(name) <= 60 else name[:60] + "..."
    return Unreadable(f"the tag {shown} is not known here", "remove the tag")


def key_text(value: Any, word: str) -> str:
    """A key that is no text, as text.

    Args:
        value: The key as YAML reads it, such as 8080 or True.
        word: The key below which it lies. Names of variables become text as in Python, all else
            as in JSON: so does SkyPilot.

    Raises:
        Unreadable: it is a date.
    """
    if isinstance(value, date):
        raise Unreadable("a key cannot be a date", "put the key in quotes")
    return str(value) if word in ("envs", "secrets") else json.dumps(value)


def is_collection_tag(node: Any) -> bool:
    """Whether a map or a list has the tag of its kind."""
    return bool(node.tag == (MAP if isinstance(node, MappingNode) else SEQ))
