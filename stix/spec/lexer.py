"""Words of a ``when`` expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from stix.errors import StixError


class ExpressionError(StixError):
    """An expression is refused or cannot be evaluated.

    Attributes:
        column: Column in the expression, from 1.
    """

    def __init__(self, message: str, column: int, fix: str = "") -> None:
        super().__init__(f"column {column}: {message}", fix=fix)
        self.column = column
        self.plain = message


@dataclass(frozen=True)
class Token:
    """``kind``: name, value, op or end."""

    kind: str
    text: str
    value: Any
    column: int


# A stage's name may hold '-', so in "stages.train-big.status" it is part of the name.
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<stage>stages\s*\.\s*[A-Za-z0-9][A-Za-z0-9_-]*)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<op>==|!=|<=|>=|//|[-+*/%<>()\[\],.])
    """,
    re.VERBOSE,
)
_CONSTANTS = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "null": None,
    "None": None,
}
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_WORDS = {"and", "or", "not", "in", "if", "else", "for", "lambda", "is"}
MAX_LENGTH = 2_000
MAX_TOKENS = 300


def tokens(text: str) -> list[Token]:
    """The words of an expression, ending with one of kind ``end``.

    Raises:
        ExpressionError: it is too long or holds a character that means nothing here.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters", MAX_LENGTH, "shorten it")
    out: list[Token] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExpressionError(f"{text[at]!r} is not understood", at + 1, _hint(text[at]))
        kind = str(found.lastgroup)
        if kind != "space":
            out.append(_token(kind, found.group(), at + 1))
        at = found.end()
    if len(out) > MAX_TOKENS:
        column = out[MAX_TOKENS].column
        raise ExpressionError(f"more than {MAX_TOKENS} words", column, "shorten it")
    out.append(Token("end", "the end", None, len(text) + 1))
    return out


def _token(kind: str, text: str, column: int) -> Token:
    if kind == "number":
        value = int(text) if text.isdigit() else float(text)
        if not abs(value) < 1e18:
            raise ExpressionError("the number is too large", column, "use numbers below 1e18")
        return Token("value", text, value, column)
    if kind == "text":
        inner = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), text[1:-1])
        return Token("value", text, inner, column)
    if kind == "stage":
        return Token("stage", text, text.partition(".")[2].strip(), column)
    if kind == "name" and text in _CONSTANTS:
        return Token("value", text, _CONSTANTS[text], column)
    if kind == "name" and text in _WORDS:
        return Token("op", text, None, column)
    return Token(kind, text, None, column)


def _hint(character: str) -> str:
    if character == "=":
        return "write == to compare"
    if character in "&|!":
        return "write and, or, not"
    if character in "\"'":
        return "close the quotation mark"
    if character in "${":
        return "write names without $ and braces, such as envs.NAME"
    return "use names, numbers, text in quotes, comparisons, and, or, not"
