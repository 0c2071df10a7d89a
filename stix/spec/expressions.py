"""The language of ``when``: comparisons over results of upstream stages, and nothing else.

Own grammar, own evaluator: no Python object's attributes, no calls but `FUNCTIONS`, and work that
is bounded by the length of the text. Operators mean what they mean in Python; ``and`` and ``or``
stop early. A name that leads through a list takes the rest from each entry:
``max(stages.train.points.result.score) > 0.9``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stix.spec.lexer import ExpressionError, Token, tokens

__all__ = ["FUNCTIONS", "ROOTS", "ExpressionError", "check", "evaluate"]

ROOTS = ("stages", "matrix", "inputs", "envs")
MAX_DEPTH = 40
MAX_TEXT = 100_000
MAX_NUMBER = 1e18


def check(expression: str) -> list[str]:
    """Names that an expression refers to, such as ``stages.train.result.score``; each once.

    Raises:
        ExpressionError: the syntax is wrong, or a name does not begin with one of `ROOTS`.
    """
    return list(dict.fromkeys(_Parser(expression).parse().names()))


def references(expression: str) -> list[tuple[tuple[str, ...], int]]:
    """As `check`, as paths with the column of each."""
    return [(n.path, n.column) for n in _Parser(expression).parse().leaves()]


def evaluate(expression: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression.

    Args:
        expression: Such as ``stages.test.result.score > 0.9 and envs.MODE == "full"``.
        names: Nested maps and lists below the `ROOTS`.

    Raises:
        ExpressionError: it is refused, a name has no value, or an operator does not fit.
    """
    return _Parser(expression).parse().value(names)


class Node:
    """A part of an expression."""

    column: int
    parts: tuple[Node, ...] = ()

    def value(self, names: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def leaves(self) -> list[Name]:
        return [leaf for part in self.parts for leaf in part.leaves()]

    def names(self) -> list[str]:
        return [".".join(leaf.path) for leaf in self.leaves()]


@dataclass(frozen=True)
class Literal(Node):
    column: int
    constant: Any

    def value(self, names: Mapping[str, Any]) -> Any:
        return self.constant


@dataclass(frozen=True)
class Name(Node):
    column: int
    path: tuple[str, ...]

    def leaves(self) -> list[Name]:
        return [self]

    def value(self, names: Mapping[str, Any]) -> Any:
        current: Any = names
        for i, part in enumerate(self.path):
            current = _step(current, part, ".".join(self.path[: i + 1]), self.column)
        return current


def _step(current: Any, part: str, shown: str, column: int) -> Any:
    if isinstance(current, Mapping):
        if part in current:
            return current[part]
        raise ExpressionError(
            f"{shown} has no value", column, "check the name, or what the stage wrote"
        )
    if isinstance(current, list | tuple):
        return [_step(entry, part, shown, column) for entry in current]
    raise ExpressionError(f"{shown} has no value", column, "check the name")


@dataclass(frozen=True)
class Items(Node):
    column: int
    parts: tuple[Node, ...]

    def value(self, names: Mapping[str, Any]) -> Any:
        return [part.value(names) for part in self.parts]


@dataclass(frozen=True)
class Logic(Node):
    column: int
    word: str
    parts: tuple[Node, ...]

    def value(self, names: Mapping[str, Any]) -> Any:
        if self.word == "not":
            return not self.parts[0].value(names)
        left = self.parts[0].value(names)
        stop = bool(left) is (self.word == "or")
        return left if stop else self.parts[1].value(names)


@dataclass(frozen=True)
class Compare(Node):
    column: int
    words: tuple[str, ...]
    parts: tuple[Node, ...]

    def value(self, names: Mapping[str, Any]) -> Any:
        left = self.parts[0].value(names)
        for word, part in zip(self.words, self.parts[1:], strict=True):
            right = part.value(names)
            if not _apply(word, left, right, self.column):
                return False
            left = right
        return True


@dataclass(frozen=True)
class Arithmetic(Node):
    column: int
    word: str
    parts: tuple[Node, ...]

    def value(self, names: Mapping[str, Any]) -> Any:
        found = [part.value(names) for part in self.parts]
        if len(found) == 1:
            found.insert(0, 0)
        left, right = found
        joined = self.word == "+" and isinstance(left, str) and isinstance(right, str)
        if not joined and not (_number(left) and _number(right)):
            said = f"{self.word} needs numbers, not {_shown(left)} and {_shown(right)}"
            raise ExpressionError(said, self.column)
        result = _apply(self.word, left, right, self.column)
        if isinstance(result, str) and len(result) > MAX_TEXT:
            raise ExpressionError("the text grows too long", self.column)
        if not isinstance(result, str) and not abs(result) < MAX_NUMBER:
            raise ExpressionError("the number grows too large", self.column)
        return result


@dataclass(frozen=True)
class Call(Node):
    column: int
    word: str
    parts: tuple[Node, ...]

    def value(self, names: Mapping[str, Any]) -> Any:
        given = [part.value(names) for part in self.parts]
        try:
            return FUNCTIONS[self.word](*given)
        except (TypeError, ValueError, OverflowError) as refusal:
            raise ExpressionError(f"{self.word}: {refusal}", self.column) from None


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def _shown(value: Any) -> str:
    return {dict: "a map", list: "a list", type(None): "nothing"}.get(type(value), f"{value!r:.40}")


def _apply(word: str, left: Any, right: Any, column: int) -> Any:
    try:
        return _OPERATORS[word](left, right)
    except ZeroDivisionError:
        raise ExpressionError("division by zero", column) from None
    except (TypeError, OverflowError):
        said = f"{word} does not fit {_shown(left)} and {_shown(right)}"
        raise ExpressionError(said, column, "compare values of one kind") from None


def _round(value: float, digits: int = 0) -> float:
    if not isinstance(digits, int) or abs(digits) > 20:
        raise ValueError("the number of digits must be from -20 to 20")
    return round(value, digits) if digits else round(value)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda left, right: left in right,
    "not in": lambda left, right: left not in right,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": len,
    "min": min,
    "max": max,
    "abs": abs,
    "round": _round,
    "any": any,
    "all": all,
}
_BINDING = [("+", "-"), ("*", "/", "//", "%")]


class _Parser:
    """Recursive descent, one method per level of binding."""

    def __init__(self, expression: str) -> None:
        self.tokens = tokens(expression)
        self.at = 0
        self.depth = 0

    def parse(self) -> Node:
        node = self.either()
        if self.now.kind != "end":
            raise self.unexpected()
        return node

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def take(self, *words: str) -> Token | None:
        token = self.now
        if token.kind == "op" and token.text in words:
            self.at += 1
            return token
        return None

    def need(self, word: str) -> Token:
        token = self.take(word)
        if token is None:
            raise ExpressionError(f"{word} is missing before {self.now.text}", self.now.column)
        return token

    def unexpected(self) -> ExpressionError:
        fix = "join conditions with and / or, and close every bracket"
        return ExpressionError(f"{self.now.text} is not expected here", self.now.column, fix)

    def either(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(
                "nested too deeply", self.now.column, "write it with fewer brackets"
            )
        node = self.both()
        while token := self.take("or"):
            node = Logic(token.column, "or", (node, self.both()))
        self.depth -= 1
        return node

    def both(self) -> Node:
        node = self.negated()
        while token := self.take("and"):
            node = Logic(token.column, "and", (node, self.negated()))
        return node

    def negated(self) -> Node:
        words = []
        while token := self.take("not"):
            words.append(token)
        node = self.compared()
        return (
            Logic(words[0].column, "not", (node,)) if len(words) % 2 else self._twice(words, node)
        )

    def _twice(self, words: list[Token], node: Node) -> Node:
        if not words:
            return node
        return Logic(words[0].column, "not", (Logic(words[0].column, "not", (node,)),))

    def compared(self) -> Node:
        parts, words, column = [self.sum(0)], [], self.now.column
        while True:
            if token := self.take("==", "!=", "<=", ">=", "<", ">", "in"):
                words.append(token.text)
            elif self.now.text == "not" and self.now.kind == "op":
                self.at += 1
                self.need("in")
                words.append("not in")
            else:
                break
            parts.append(self.sum(0))
        return Compare(column, tuple(words), tuple(parts)) if words else parts[0]

    def sum(self, level: int) -> Node:
        if level == len(_BINDING):
            return self.signed()
        node = self.sum(level + 1)
        while token := self.take(*_BINDING[level]):
            node = Arithmetic(token.column, token.text, (node, self.sum(level + 1)))
        return node

    def signed(self) -> Node:
        signs = []
        while token := self.take("-", "+"):
            signs.append(token)
        node = self.atom()
        for token in reversed(signs):
            node = Arithmetic(token.column, token.text, (node,))
        return node

    def atom(self) -> Node:
        token = self.now
        self.at += 1
        if token.kind == "value":
            return Literal(token.column, token.value)
        if token.kind == "stage":
            return self.name(token.column, ["stages", token.value])
        if token.kind == "name":
            return (
                self.call(token) if self.now.text == "(" else self.name(token.column, [token.text])
            )
        if token.text == "(":
            node = self.either()
            self.need(")")
            return node
        if token.text == "[":
            return Items(token.column, self.sequence("]"))
        self.at -= 1
        raise self.unexpected()

    def call(self, token: Token) -> Node:
        if token.text not in FUNCTIONS:
            fix = "use one of: " + ", ".join(FUNCTIONS)
            raise ExpressionError(f"{token.text} cannot be called", token.column, fix)
        self.need("(")
        return Call(token.column, token.text, self.sequence(")"))

    def sequence(self, end: str) -> tuple[Node, ...]:
        parts: list[Node] = []
        while not self.take(end):
            if parts:
                self.need(",")
                if self.take(end):
                    break
            parts.append(self.either())
        return tuple(parts)

    def name(self, column: int, path: list[str]) -> Node:
        while True:
            if self.take("."):
                if self.now.kind not in ("name", "op", "value") or not self.now.text.isidentifier():
                    raise self.unexpected()
                path.append(self.now.text)
                self.at += 1
            elif self.now.text == "[" and isinstance(self.tokens[self.at + 1].value, str):
                path.append(self.tokens[self.at + 1].value)
                self.at += 2
                self.need("]")
            else:
                break
        if path[0] not in ROOTS:
            fix = "begin with one of: " + ", ".join(ROOTS) + "; put text in quotes"
            raise ExpressionError(f"the name {path[0]} is not known", column, fix)
        if len(path) < 2:
            raise ExpressionError(
                f"{path[0]} needs a name behind it", column, f"write {path[0]}.NAME"
            )
        return Name(column, tuple(path))
