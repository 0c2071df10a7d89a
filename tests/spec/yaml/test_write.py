"""YAML that is written: every reader takes it for the same values, and people can read it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stix.spec.models import PipelineSpec
from stix.spec.wire import to_yaml
from stix.spec.yaml.text import parse
from stix.spec.yaml.write import dump

TEXTS = [
    *("no", "Yes", "on", "OFF", "true", "null", "Null", "~", "", " ", "y", "N", "=", "<<", "-"),
    *("010", "1:30", "1_000", "0x1F", "0b1", "0o17", "1e3", "1.5E-3", "+5", ".5", "5.", "08"),
    *("2020-01-01", "2020-01-01T00:00:00Z", ".inf", ".NaN", "190:20:30", "1e+400", "0_"),
    *("a: b", "a #b", "# a", "*a", "&a", "!a", "%a", "@a", "`a", "- a", "? a", "| a", "a:", "[a]"),
    *("a\nb", "a\nb\n", "a\n\n\n", "\na", "  a\nb", "a \nb", "a\tb\nc", "\t", "a\rb", "\r\n", "\n"),
    *("é", "😀", "\x85", "\u2028", "\ufeff", "\0", "\x1b", "'", '"', "\\", "'\"\\", "--- a", "..."),
    *("x" * 200_000, "x " * 5000, "#!/bin/sh\necho $A\n", "---\na\n", "a\n...\n", "k: |\n  v\n"),
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text)[:20])
def test_each_text_survives(text: str) -> None:
    written = dump({"a": text, "b": [text], "c": {text[:99]: 1}})
    (document,) = parse(written, "f")
    assert document.value == {"a": text, "b": [text], "c": {text[:99]: 1}}
    assert yaml.safe_load(written) == document.value


@pytest.mark.parametrize("text", ["no", "010", "1:30", "=", "~", "0x1F", "1e3", "null", "y", "0o7"])
def test_what_another_reader_may_take_for_no_text_is_quoted(text: str) -> None:
    assert dump({"a": text}) == f"a: '{text}'\n"


def test_texts_of_several_lines_are_blocks() -> None:
    assert dump({"run": "echo a\necho b\n"}) == "run: |\n  echo a\n  echo b\n"
    assert dump({"run": "echo a\n\necho b"}) == "run: |-\n  echo a\n\n  echo b\n"


def test_what_is_shared_is_written_out() -> None:
    shared = {"b": [1]}
    assert dump([shared, shared]) == "- b:\n  - 1\n- b:\n  - 1\n"


def test_pipelines_keep_odd_texts() -> None:
    envs = {f"V{i}": text for i, text in enumerate(TEXTS) if "\0" not in text}
    pipeline = PipelineSpec(name="p", stages={"a": {"run": "x", "envs": envs}})
    (document,) = parse(to_yaml(pipeline), "f")
    assert document.value["stages"]["a"]["envs"] == envs
    assert document.warnings == []


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(values.filter(lambda value: value is not None))
def test_any_value_survives(value: Any) -> None:
    (document,) = parse(dump(value), "f")
    assert document.value == value
