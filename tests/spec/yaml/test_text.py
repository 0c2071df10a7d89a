"""YAML as SkyPilot reads it: values, keys, documents, places, and what is refused."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stix.spec.changes.overrides import Overrides
from stix.spec.loader import load_file, load_text
from stix.spec.problems import SpecErrors
from stix.spec.sky import canonical
from stix.spec.yaml.nodes import FastParser, PureParser
from stix.spec.yaml.scalars import key_text
from stix.spec.yaml.text import Document, TextErrors, blanked, parse

PARSERS = {"fast": FastParser, "python": PureParser}
FORMS = Path(__file__).parents[1] / "sky" / "data" / "forms.jsonl"
UTC = datetime.UTC
VALUES: dict[str, Any] = {
    **dict.fromkeys(["yes", "Yes", "on", "ON", "true", "TRUE", "!!bool 'yes'"], True),
    **dict.fromkeys(["no", "No", "off", "False"], False),
    **dict.fromkeys(["~", "null", "NULL", "", "!!null x"], None),
    **{"y": "y", "n": "n", "nULL": "nULL", "yEs": "yEs", "'no'": "no", '"~"': "~"},
    **{"010": 8, "-010": -8, "0o17": "0o17", "08": "08", "0x1F": 31, "0b11": 3, "0_": 0},
    **{"1_000": 1000, "1:30": 90, "-1:30": -90, "190:20:30": 685230, "1:60": "1:60", "+5": 5},
    **{"1.50": 1.5, ".5": 0.5, "5.": 5.0, "1e3": "1e3", "1.0e+3": 1000.0, "1.0e3": "1.0e3"},
    **{"1_0.5": 10.5, "1:30.5": 90.5, ".inf": math.inf, "-.INF": -math.inf, "1.0e+400": math.inf},
    "2020-01-02": datetime.date(2020, 1, 2),
    "2020-1-2": "2020-1-2",
    "2020-01-02T03:04:05Z": datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
    "2020-01-02 3:04:05.25": datetime.datetime(2020, 1, 2, 3, 4, 5, 250000),
    **{"!!str 5": "5", "! 5": 5, '!!int "5"': 5, "!!float 5": 5.0, "!!str": ""},
    **{"[1, [x]]": [1, ["x"]], "!!map {a: 1}": {"a": 1}, "!!seq [1]": [1], '"\\0"': "\0"},
}
REFUSED = {
    "=": "a meaning of its own",
    "<<": "a meaning of its own",
    "!!binary aGk=": "the tag !!binary",
    "!!set {a, b}": "the tag !!set",
    "!!omap [{a: 1}]": "the tag !!omap",
    "!!pairs [{a: 1}]": "the tag !!pairs",
    "!!python/object/apply:os.getcwd []": "the tag !!python/object/apply:os.getcwd",
    "!mine x": "the tag !mine",
    "!<tag:example.org,2020:x> x": "the tag tag:example.org,2020:x",
    "!" + "x" * 9999: "x... is not known",
    "!!str [a]": "stands before a map or a list",
    "!!int {a: 1}": "stands before a map or a list",
    "!!map text": "stands before text",
    "!!int five": "not a whole number",
    "!!int ''": "not a whole number",
    "!!float five": "not a number",
    "!!bool 2": "not a boolean",
    "!!timestamp soon": "no such date",
    "2020-99-99": "no such date",
    "2020-01-02T25:00:00Z": "no such date",
    "2020-01-02T00:00:00+99:00": "no such date",
    "0b_": "not a whole number",
    "9" * 5000: "too many digits",
    "0x" + "f" * 5000: "too many digits",
    "1" + ":30" * 5000: "too many digits",
    "1" + ":30" * 300 + ".5": "not a number",
    "9" * 5000 + ".5": "too many digits",
}


def document(text: str, parser: Any = FastParser) -> Document:
    (one,) = parse(text, "f.yaml", parser)
    return one


def problems(text: str, parser: Any = FastParser) -> list[str]:
    with pytest.raises(TextErrors) as caught:
        parse(text, "f.yaml", parser)
    return [f"{p.line}:{p.column} {p.path} {p.message}" for p in caught.value.problems]


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize("text", VALUES)
def test_values(text: str, parser: Any) -> None:
    value = document(f"a:\n  b: {text}\n", parser).value["a"]["b"]
    assert (value, type(value)) == (VALUES[text], type(VALUES[text]))
    assert value == yaml.safe_load(text)


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_what_has_no_value(text: str, parser: Any) -> None:
    (said,) = problems(f"a:\n  - b\n  - {text}\n", parser)
    assert said.startswith("3:5 a[1] ") and REFUSED[text] in said
    assert len(said) < 200


def test_not_a_number_is_read() -> None:
    assert math.isnan(document("a: .nan\n").value["a"])


def test_keys_are_text_as_in_skypilot() -> None:
    text = "{1: a, 0x10: b, true: c, ~: d, 1.50: e, '2': f, =: g, yes/no: h, !!int '3': i}"
    top = document(text).value
    names = ["1", "16", "true", "null", "1.5", "2", "=", "yes/no", "3"]
    assert list(top) == names
    for word in ("envs", "secrets"):
        assert list(document(f"{word}: {text}").value[word])[2:4] == ["True", "None"]
    assert list(document("envs: {A: {on: 1}}").value["envs"]["A"]) == ["true"]
    assert problems("a: {2020-01-02: 1}") == ["1:5 a.2020-01-02 a key cannot be a date"]


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_all_duplicate_keys_are_told_with_both_lines(parser: Any) -> None:
    text = "a: 1\nb:\n  c: 1\n  'c': 2\nyes: 1\na: 2\ntrue: 2\n1: x\n'1': y\n---\nd: 1\nd: 2\n"
    told = problems(text, parser)
    assert [t.split(" the key")[0] for t in told] == [
        "4:3 b.c",
        "6:1 a",
        "7:1 true",
        "9:1 1",
        "12:1 d",
    ]
    with pytest.raises(TextErrors) as caught:
        parse(text, "f.yaml", parser)
    assert [p.fix.rpartition(" ")[2] for p in caught.value.problems] == ["3", "1", "5", "8", "11"]


def test_a_map_with_several_aliases_is_told_of_once() -> None:
    assert len(problems("a: &a {b: 1, b: 2}\nc: *a\nd: {<<: *a}\n")) == 1


def test_merging() -> None:
    text = """\
one: &one {A: 1, B: 1}
two: &two {B: 2, C: 2}
x: {<<: *one, B: 9}
y: {D: 9, <<: [*one, *two]}
z: {"<<": text}
w: {<<: {<<: *two, B: 8}}
"""
    value = document(text).value
    assert value == yaml.safe_load(text)
    assert list(value["y"]) == list(yaml.safe_load(text)["y"]) == ["B", "C", "A", "D"]
    assert value["w"] == {"B": 8, "C": 2}
    assert problems("a: {<<: 5}\n") == ["1:9 a.<< << needs a map"]
    assert problems("a: {<<: [{b: 1}, x]}\n")[0].endswith("<< needs a map")
    assert "here twice" in problems("a: {<<: {b: 1}, <<: {c: 1}}\n")[0]


def test_an_alias_is_a_value_of_its_own() -> None:
    value = document("a: &x {b: [1]}\nc: *x\n").value
    value["a"]["b"].append(2)
    assert value["c"] == {"b": [1]}


def test_documents_that_are_null_do_not_count() -> None:
    assert [d.value for d in parse("---\nrun: x\n---\n", "f")] == [{"run": "x"}]
    found = parse("---\n---\nrun: x\n---\n~\n---\n# only this\n---\nrun: y\n--- {}\n", "f")
    assert [d.value for d in found] == [{"run": "x"}, {"run": "y"}, {}]
    assert found[1].where(("run",)) == (9, 6)
    for text in ("", "\n", "# x\n", "---\n", "---\n...\n", "\ufeff"):
        assert parse(text, "f") == []


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff", "%YAML 1.1\n---\n", "%YAML 1.2\n---\n"])
def test_places(parser: Any, end: str, start: str) -> None:
    text = start + "é: {ü: 1}\na:\n  - x\n  - b:\n    'c d': [1, 2]\n"
    one = document(text.replace("\n", end), parser)
    first = 3 if start.startswith("%") else 1
    marks = {
        (): (0, 1),
        ("é",): (0, 4),
        ("é", "ü"): (0, 8),
        ("a",): (2, 3),
        ("a", 0): (2, 5),
        ("a", 1, "b"): (3, 5),  # Nothing is behind it: the key.
        ("a", 1, "c d"): (4, 12),
        ("a", 1, "c d", 1): (4, 16),
        ("a", 1, "no", "such"): (3, 5),
        ("a", 7): (1, 1),
        ("no",): (0, 1),
        ("é", "ü", 0): (0, 5),
    }
    found = {path: one.where(path) for path in marks}
    assert found == {path: (line + first, column) for path, (line, column) in marks.items()}
    assert one.where(("a", 1, "c d"), key=True) == (4 + first, 5)
    assert one.where(("a",), key=True) == (1 + first, 1)
    assert one.at(("a", 1, "b")) == (3 + first, 5)
    assert one.at(("a", 1, "no")) is None


def test_places_of_what_is_merged_or_an_alias() -> None:
    one = document("a: &a\n  k: 1\nb:\n  <<: *a\nc: *a\nenvs: {on: 1}\n")
    assert one.where(("b", "k")) == (2, 6)
    assert one.where(("c", "k"), key=True) == (2, 3)
    assert one.where(("envs", "True")) == (6, 12)


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_documents_of_skypilot_are_read_as_skypilot_reads_them(parser: Any) -> None:
    for line in FORMS.read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["yaml"]
        wanted = [value for value in yaml.safe_load_all(text) if value is not None]
        assert [d.value for d in parse(text, "f", parser)] == wanted


PIECES = st.sampled_from(
    [*"abAB019_.:-+,[]{}#&*!|>'\"%@` \t\n~=?", "\n  ", "\n- ", ": ", "yes", "0x", "<<: ", "- "]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_read_as_pyyaml_reads_it_or_refused(text: str) -> None:
    try:
        wanted = [v for v in yaml.load_all(text, Loader=yaml.CSafeLoader) if v is not None]
    except (yaml.YAMLError, ValueError):
        with pytest.raises(TextErrors):
            parse(text, "f")
        return
    try:
        found = [d.value for d in parse(text, "f")]
    except TextErrors as refusal:
        # What PyYAML lets pass: the second of two keys, and tags that make no plain value.
        said = str(refusal.problems[0])
        assert "here twice" in said or "tag" in said or "a key cannot be a date" in said
        return
    assert repr(texts(found)) == repr(texts(wanted))


def texts(value: Any) -> Any:
    """A value with all its keys as text."""
    if isinstance(value, dict):
        return {k if isinstance(k, str) else key_text(k, ""): texts(v) for k, v in value.items()}
    return [texts(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("body", "line", "column", "path", "said"),
    [
        ("envs: {A: no}", 2, 11, "envs.A", "no without quotes is read as the boolean false"),
        ("envs: {A: On}", 2, 11, "envs.A", "On without quotes is read as the boolean true"),
        ("envs:\n  A: 010", 3, 6, "envs.A", "010 without quotes is read as the number 8"),
        ("envs:\n  A: 1:30", 3, 6, "envs.A", "1:30 without quotes is read as the number 90"),
        ("envs: {A: 1_000}", 2, 11, "envs.A", "is read as the number 1000"),
        ("envs: {A: 3.10}", 2, 11, "envs.A", "3.10 without quotes is read as the number 3.1"),
        ("envs: {A: 0x1F}", 2, 11, "envs.A", "is read as the number 31"),
        ("envs: {A: 2020-01-01T00:00:00Z}", 2, 11, "envs.A", "time 2020-01-01 00:00:00+00:00"),
        ("matrix: {A: [x, no]}", 2, 17, "matrix.A[1]", "is read as the boolean false"),
        ("matrix: {A: [010]}", 2, 14, "matrix.A[0]", "is read as the number 8"),
    ],
)
def test_what_yaml_reads_otherwise_than_meant_is_warned_of(
    body: str, line: int, column: int, path: str, said: str
) -> None:
    (warning,) = load_text(f"run: x\n{body}\n", "f.yaml").warnings
    assert (warning.line, warning.column, warning.path) == (line, column, path)
    assert said in warning.message and "quotes" in warning.fix
    assert str(warning).startswith(f"f.yaml:{line}:{column}: warning: ")


def test_secrets_are_warned_of_without_their_values() -> None:
    (warning,) = load_text("run: x\nsecrets: {A: 0123}\n").warnings
    assert warning.path == "secrets.A"
    assert "0123" not in str(warning) and "83" not in str(warning)


def test_labels_and_stages_are_warned_of() -> None:
    text = "stages:\n  a:\n    envs: {A: off}\n    resources: {labels: {b: 010}}\n"
    assert [w.path for w in document(text).warnings] == [
        "stages.a.envs.A",
        "stages.a.resources.labels.b",
    ]


def test_what_is_meant_is_not_warned_of() -> None:
    text = """\
num_nodes: 010
resources: {use_spot: yes, cpus: 1_0}
envs: {A: true, B: False, C: 5, D: 1.5, E: "no", F: '010', G: text, H: 2020-01-01, I: , J: "!"}
matrix: {lr: [0.10, 1.0e-3], n: [1, 2], b: [true]}
"""
    assert document(text).warnings == []


def test_a_date_is_refused_where_no_text_is_made_of_it() -> None:
    fine = "envs: {A: 2020-01-02}\nmatrix: {m: [2020-01-02]}\n"
    wrong = "volumes: {/a: {name: v, config: {envs: {A: 2020-01-02}}}}\n"
    body = "    run: x\n" + "".join(f"    {line}\n" for line in (fine + wrong).splitlines())
    for text, path, line in (
        (f"run: x\n{fine}{wrong}", "volumes./a.config.envs.A", 4),
        (f"stages:\n  a:\n{body}", "stages.a.volumes./a.config.envs.A", 6),
    ):
        with pytest.raises(SpecErrors) as caught:
            load_text(text)
        assert [(p.path, p.line) for p in caught.value.problems] == [(path, line)]
    with pytest.raises(SpecErrors, match="a date is no text"):
        canonical(f"run: x\n{wrong}")


def test_values_of_secrets_are_blanked_wherever_they_lie() -> None:
    text = (
        "x: &x p1\ny: &y {K: p2}\nsecrets:\n  é: p3\n  B: *x\n  <<: *y\n  C: |\n    p4\n    p5\n"
        "  D: [p6, p7]\n  E:\nstages: {a: {secrets: {F: 'p8'}, envs: {G: kept}}}\n"
    )
    for start in ("", "\ufeff"):
        out = blanked(start + text, parse(start + text, "f"))
        assert not [n for n in range(1, 9) if f"p{n}" in out]
        assert "G: kept" in out and "E:\nstages" in out


def test_a_wrong_encoding_is_told(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    wanted = {
        "run: é".encode("latin-1"): ("not UTF-8 text", 1, 6),
        "run: x\n".encode("utf-16"): ("is UTF-16", 1, 1),
        b"run: \xed\xa0\x80": ("not UTF-8 text", 1, 6),
        b"run: x\n" + b"#" * (4 << 20): ("larger than 4 MiB", 1, 1),
    }
    for data, (said, line, column) in wanted.items():
        file.write_bytes(data)
        with pytest.raises(SpecErrors) as caught:
            load_file(file)
        (problem,) = caught.value.problems
        assert said in problem.message and problem.fix
        assert (problem.line, problem.column) == (line, column)
    file.write_bytes("run: é\n".encode("utf-8-sig"))
    assert load_file(file, Overrides()).pipeline.stages["f"].run == "é"
