"""The language of ``when``: what it means, what it refuses, and that its work is bounded."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stix.spec.expressions import ExpressionError, check, evaluate

NAMES: dict[str, Any] = {
    "stages": {
        "test": {"status": "succeeded", "result": {"score": 0.9, "tags": ["a", "b"]}},
        "train-big": {
            "status": "failed",
            "result": {},
            "results": [{"score": 1}, {"score": 3}, {"score": 2}],
        },
    },
    "matrix": {"lr": 0.1, "model": "svm"},
    "inputs": {"data": True},
    "envs": {"MODE": "full", "N": "3"},
}


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("stages.test.result.score > 0.8", True),
        ("stages.train-big.status == 'succeeded'", False),
        ('stages["train-big"].results.score', [1, 3, 2]),
        ("max(stages.train-big.results.score) - 1", 2),
        ("len(stages.train-big.results) == 3 and inputs.data", True),
        ("'a' in stages.test.result.tags", True),
        ("'c' not in stages.test.result.tags", True),
        ("not matrix.model == 'svm'", False),
        ("0 < matrix.lr <= 0.1", True),
        ("1 < 3 > 2 == 2", True),
        ("2 + 3 * 4 - -1", 15),
        ("-2 * (1 + 1) // 3", -2),
        ("7 % 4 / 2", 1.5),
        ("round(2.567, 1)", 2.6),
        ("abs(-3) + min(4, 5)", 7),
        ("any([false, envs.MODE == 'full']) and all([true])", True),
        ("false and stages.nothing.status", False),
        ("true or 1 / 0", True),
        ("null == None", True),
        ('"a\\"b" + \'c\'', 'a"bc'),
        ("envs.MODE in ['full', 'half',]", True),
        ("1e3 == 1000", True),
    ],
)
def test_values(expression: str, wanted: Any) -> None:
    assert evaluate(expression, NAMES) == wanted


@pytest.mark.parametrize(
    ("expression", "column", "words"),
    [
        ("", 1, "not expected"),
        ("1 +", 4, "not expected"),
        ("(1", 3, ") is missing"),
        ("a = 1", 3, "'=' is not understood"),
        ("envs.A && envs.B", 8, "'&'"),
        ("os.system('x')", 1, "os is not known"),
        ("__import__('os')", 1, "cannot be called"),
        ("envs.MODE.upper()", 16, "not expected"),
        ("envs.MODE.__class__", 1, "has no value"),
        ("envs.MISSING", 1, "envs.MISSING has no value"),
        ("envs", 1, "needs a name"),
        ("2 ** 100", 4, "not expected"),
        ("'a' * 1000000", 5, "needs numbers"),
        ("[1] + [2]", 5, "needs numbers"),
        ("lambda", 1, "not expected"),
        ("1 if true else 2", 3, "not expected"),
        ("1 / 0", 3, "division by zero"),
        ("1 < 'a'", 3, "does not fit"),
        ("len(5)", 1, "len"),
        ("max()", 1, "max"),
        ("'open", 1, "not understood"),
        ("stages.test.result.score >", 27, "not expected"),
        ("(" * 100 + "1" + ")" * 100, 41, "nested too deeply"),
        ("- " * 900 + "1", 601, "more than 300 words"),
        ("not " * 450 + "1", 1_201, "more than 300 words"),
        ("1" + " + 1" * 600, 2_000, "longer than"),
        ("9" * 100, 1, "too large"),
        ("1e999", 1, "too large"),
    ],
)
def test_refusals(expression: str, column: int, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(expression, NAMES)
    assert words in caught.value.message
    assert caught.value.column == column


def test_work_is_bounded() -> None:
    with pytest.raises(ExpressionError, match="too large"):
        evaluate("*".join(["999999999999"] * 8), {})
    grown = "envs.T + envs.T"
    with pytest.raises(ExpressionError, match="too long"):
        evaluate(grown, {"envs": {"T": "x" * 60_000}})
    with pytest.raises(ExpressionError, match="digits"):
        evaluate("round(5, -999999999)", {})
    assert evaluate(" + ".join(["1"] * 150), {}) == 150
    assert evaluate("-" * 299 + "1", {}) == -1


def test_check_lists_names_once() -> None:
    expression = "stages.a-b.status == 'x' and matrix.k > 1 or stages.a-b.status != envs.E"
    assert check(expression) == ["stages.a-b.status", "matrix.k", "envs.E"]


numbers = st.integers(-1000, 1000)
WORDS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<": operator.lt,
    "==": operator.eq,
}


@given(numbers, st.sampled_from(sorted(WORDS)), numbers)
def test_as_python(left: int, word: str, right: int) -> None:
    assert evaluate(f"({left}) {word} ({right})", {}) == WORDS[word](left, right)


@given(st.text(alphabet="stage.mrixn[]()'\"123+-*/%<>=! andotr,", max_size=60))
def test_any_text_gives_a_value_or_an_expression_error(text: str) -> None:
    try:
        evaluate(text, NAMES)
    except ExpressionError as refusal:
        assert 1 <= refusal.column <= len(text) + 1
