"""Fields that take one kind of value, and nothing near it."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import ConfigDict, ValidationError

from stix.spec.exact import Either, Exact, Flag, Items, Kind, Map, Number, Text, given, plain


class Part(Exact):
    """A part of a file.

    Attributes:
        count: How many.
        parts: More of them.
    """

    model_config = ConfigDict(extra="allow")

    count: Annotated[int | None, Number(least=1, most=9, whole=True, unit="things")] = None
    parts: list[Part] = []  # noqa: RUF012 - pydantic copies it


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Number(), 2.5),
        (Number(least=0), 0),
        (Text(words=("a",), fold=True), "A"),
        (Text(pattern="[a-z]+"), "ab"),
        (Flag(), False),
        (Items(Text()), []),
        (Map(Number(), keys="[A-Z]"), {"A": 1}),
        (Map(), {"a": [None, {"b": 1.5}]}),
        (Either(((bool, Flag()), (int, Number())), "a flag or a number", "write 1"), True),
    ],
)
def test_kept_as_given(kind: Kind, value: Any) -> None:
    found = kind.check(value, "field")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Number(), True, "field must be a number, not a boolean"),
        (Number(), None, "field must be a number, not nothing"),
        (Number(), float("nan"), "too large"),
        (Number(whole=True), 10**400, "too large"),
        (Number(whole=True, unit="jobs"), 1.5, "a whole number of jobs, not 1.5"),
        (Number(least=1, most=5), 6, "a number from 1 to 5, not 6"),
        (Number(above=0), 0, "a number above 0, not 0"),
        (Text(), 5, "field must be text, not a number"),
        (Text(least=1), "", "field must not be empty"),
        (Text(words=("one",)), "two", "field cannot be 'two'"),
        (Flag(), "yes", "field must be true or false, not text"),
        (Items(Text()), "a", "field must be a list, not text"),
        (Items(Text()), [1], "an entry of field must be text"),
        (Map(), [], "field must be a map, not a list"),
        (Map(keys="[A-Z]"), {"a": 1}, "'a' is no name for field"),
        (Map(without=("a",)), {"a": 1}, "field cannot set a"),
        (Map(size=1), {}, "field must have 1 entry"),
        (Either(((int, Number()),), "a number", "write 1"), True, "a number, not a boolean"),
    ],
)
def test_refused(kind: Kind, value: Any, said: str) -> None:
    with pytest.raises(Exception, match=r".") as refused:
        kind.check(value, "field")
    assert said in str(refused.value)


def test_each_field_is_told() -> None:
    with pytest.raises(ValidationError) as refused:
        Part.model_validate({"count": None, "parts": [{"count": "2"}]})
    assert [entry["loc"] for entry in refused.value.errors()] == [("count",), ("parts", 0, "count")]


def test_what_was_given() -> None:
    data = {"other": {"a": 1}, "parts": [{"count": 2}, {}]}
    assert given(Part.model_validate(data)) == data
    assert list(given(Part.model_validate({"z": 1, "count": 3, "a": 2}))) == ["count", "z", "a"]


def test_the_schema_says_what_is_taken() -> None:
    count = Part.model_json_schema()["$defs"]["Part"]["properties"]["count"]
    assert {k: count[k] for k in ("type", "minimum", "maximum")} == {
        "type": "integer",
        "minimum": 1,
        "maximum": 9,
    }


def test_free_data_is_json() -> None:
    from datetime import date

    assert plain({2: date(2020, 1, 2), True: (None,)}) == {"2": "2020-01-02", "true": [None]}
    for odd in (float("inf"), {1, 2}, b"x", {(1, 2): 3}):
        with pytest.raises(Exception, match=r"must|cannot"):
            plain(odd)
