"""Texts made to hurt: each gives one problem with a place, soon and in little memory."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import pytest

from stix.spec.yaml.nodes import FastParser, PureParser
from stix.spec.yaml.text import TextErrors, parse

MIB = 1024 * 1024
DEEP = "nested deeper than 60 levels"
MANY = "more than 100000 values"
UNFOLDS = "unfolds"
LETTERS = "abcdefghi"
# name: (text, line, column, part of the message)
CASES: dict[str, tuple[str, int, int, str]] = {
    "long text": ("run: " + "x" * 10 * MIB, 1, 1, "larger than 4 MiB"),
    "brackets": ("[" * 100_000, 1, 60, DEEP),
    "braces": ("{a: " * 100_000, 1, 237, DEEP),
    "dashes": ("- " * 100_000, 1, 119, DEEP),
    "questions": ("? " * 100_000, 1, 119, DEEP),
    "blocks": ("".join(" " * i + "a:\n" for i in range(2000)), 60, 60, DEEP),
    "lines": ("\n".join(" " * i + "-" for i in range(2000)), 60, 60, DEEP),
    "tagged": ("!!seq [" * 100_000, 1, 414, DEEP),
    "values": ("a: [" + "a," * 1_000_000 + "]", 1, 4, MANY),
    "keys": ("".join(f"k{i}: 1\n" for i in range(100_000)), 1, 1, MANY),
    "aliases": ("a: &a 1\nb: [" + "*a," * 1_000_000 + "]", 1, 1, "more than 100000 aliases"),
    "documents": ("---\nrun: x\n" * 5000, 2002, 1, "more than 1000 documents"),
    "no documents": ("---\n" * 500_000, 1002, 1, "more than 1000 documents"),
    "directives": ("".join(f"%TAG !a{i}! x\n" for i in range(99_999)), 2, 1, "begin with %"),
    "lists": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{c}: &{c} [{','.join(['*' + p] * 10)}]\n" for p, c in itertools.pairwise(LETTERS)
        ),
        1,
        4,
        UNFOLDS,
    ),
    "merges": (
        "a: &a {k: 1}\n"
        + "".join(
            f"{c}: &{c} {{<<: [{','.join(['*' + p] * 10)}]}}\n"
            for p, c in itertools.pairwise(LETTERS)
        ),
        1,
        4,
        UNFOLDS,
    ),
    "texts": ("a: &a " + "x" * 3 * MIB + "\nb: [" + "*a," * 50_000 + "]", 1, 1, UNFOLDS),
    "chain": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 5000)),
        1,
        5,
        UNFOLDS,
    ),
    "loop": ("&a [*a, *a]", 1, 1, "contains itself"),
    "loop of maps": ("a: &a {b: {c: *a}}", 1, 4, "contains itself"),
    "loop of merges": ("a: &a {<<: *a}", 1, 4, "contains itself"),
    "one anchor": ("a: &x 1\nb: &x 2\n", 2, 4, "an anchor has the name of the one on line 1"),
    "long alias": ("a: *" + "a" * 3 * MIB, 1, 4, "undefined alias"),
    "long tag": ("a: !" + "%41" * MIB, 1, 4, "AAA... is not known"),
    "long key": ("? " + "k" * 3 * MIB + "\n: b", 1, 3, "a key is longer than 1024"),
    "long number": ("a: " + "9" * MIB, 1, 4, "too many digits"),
    "colons": ("a" + ":" * MIB + " b: c: d", 1, 1048577, "mapping values are not allowed"),
    "nul": ("run: a\0b", 1, 7, "control character"),
    "control": ("x: é\r\nrun: \x1b[1m", 2, 6, "control character"),
    "surrogate": ("a: b\nrun: x\ud800", 2, 7, "half of a character"),
    "escape": ('run: "\\ud800"', 1, 9, "not valid YAML"),
    "beyond": ('run: "\\U00110000"', 1, 9, "not valid YAML"),
    "tab": ("a:\n\tb: c\n", 2, 1, "a tab is used"),
    "version": ("%YAML 3.0\n---\na: b", 1, 1, "incompatible"),
    "directive": ("%FOO bar\n---\na: b", 1, 5, "unknown directive"),
    "no end": ("a: [b, c\n\n\n", 1, 4, "not valid YAML"),
    "two roots": ("run: x\n...\nname: y\n", 3, 1, "not valid YAML"),
}
LARGE = {
    **{"text": "run: " + "x" * (4 * MIB - 99), "lines": "a:\n" + " b\n" * MIB},
    **{"blanks": 'a: "' + "\n" * 4_000_000 + '"', "block": "a: |\n" + " b\n" * MIB},
    **{"folded": "a: >\n" + " b\n\n" * 800_000, "escapes": 'a: "' + "\\x41" * 900_000 + '"'},
    **{"comments": "#\n" * 2_000_000, "spaces": " " * 4 * MIB, "breaks": "\u2028" * MIB},
    **{"time": "a: 2020-01-01" + " " * MIB + "x", "anchor": "a: &" + "a" * MIB + " b"},
    **{"wide": "a: " + "😀" * MIB, "rows": "".join(f"k{i}: 1\n" for i in range(49_000))},
}


def refused(text: str, parser: Any = FastParser) -> Any:
    with pytest.raises(TextErrors) as caught:
        parse(text, "f", parser)
    return caught.value.problems[0]


@pytest.mark.parametrize("case", CASES)
def test_each_has_a_place(case: str) -> None:
    text, line, column, said = CASES[case]
    problem = refused(text)
    assert said in problem.message
    assert (problem.line, problem.column) == (line, column)
    assert problem.fix and len(str(problem)) < 400


@pytest.mark.parametrize("case", [c for c in CASES if len(CASES[c][0]) < 100_000])
def test_without_libyaml_as_well(case: str) -> None:
    text, line, _, said = CASES[case]
    problem = refused(text, PureParser)
    assert problem.line == line and problem.fix
    assert said in problem.message or "not valid YAML" in problem.message


SCRIPT = """
import resource, sys
sys.path.insert(0, {root!r})
from tests.spec.yaml.test_hostile import CASES, LARGE
from stix.spec.yaml.text import TextErrors, parse
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, text in [*((n, c[0]) for n, c in CASES.items()), *LARGE.items()]:
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    # Reached only if all else fails: the kernel ends the process then.
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 5, hard))
    try:
        parse(text, name)
    except TextErrors:
        pass
mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held) // 1024
print("grown by less than 300 MiB" if mib < 300 else f"grown by {{mib}} MiB")
"""


def test_all_of_them_together_in_bounded_time_and_memory() -> None:
    root = __file__.rpartition("/tests/")[0]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(root=root)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.stdout, done.returncode) == ("grown by less than 300 MiB\n", 0), done.stderr
