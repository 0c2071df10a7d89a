"""Random damage to pipeline files, and what must hold of whatever comes out of it."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stix.spec.loader import load_file
from stix.spec.problems import Problem, SpecErrors
from stix.spec.resources import Resources
from stix.spec.sky import canonical
from stix.spec.stage import StageSpec

DATA = Path(__file__).parent / "sky" / "data"
MAX_SIZE = 64 * 1024
"""Mutants are cut to this; large inputs have tests of their own."""
NATIVE = b"""\
name: p
envs: {A: 1}
defaults:
  resources: {cpus: 2, any_of: [{infra: aws}, {infra: gcp}]}
  recovery: {preempted: 3, user_error: {exit_codes: [75]}}
stages:
  one:
    run: |
      echo
    outputs: {data: d}
    file_mounts: {/a: s3://b/c, /d: {name: b, store: s3, mode: COPY}}
  two:
    matrix: {k: [1, 2]}
    inputs: {data: one.data}
    when: stages.one.result.x > 1 and envs.A == "1"
    run: echo $STIX_INPUT_DATA
    timeout: 1h30m
    allowed_failures: 20%
"""
WORDS = [
    *(b"null", b"~", b"true", b"no", b"5", b"-1", b"0", b"1.5", b"1.0e+400", b".nan", b".inf"),
    *(b"[]", b"{}", b"''", b"[1, [x]]", b"{a: {b: c}}", b"010", b"1:30", b"9" * 400, b"4+", b"=+"),
    *(b"2020-01-01", b"2020-99-99", b"2020-01-01T00:00:00Z", b"!!set {a}", b"!!binary aGk=", b"!x"),
    *(b"&a [*a]", b"*a", b"&b", b"*b", b"<<: *b", b"<<", b"=", b"!!int x", b"!!str 5", b"? [a]"),
    *(b"$A", b"${A}", b"${", b"$", b"s3://b/c", b"/", b"..", b"~/x", b"a/b/c/d", b"A100:8", b":"),
    *(b"\\0", b'"\\ud800"', b'"\\0"', b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc2\x85"),
    *(
        b"\0",
        b"\t",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"---\n",
        b"...\n",
        b"%YAML 1.2\n---\n",
        b"%TAG ! x\n",
    ),
    *(
        b"# x",
        b"|",
        b">-",
        b"'",
        b'"',
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b"- ",
        b"? ",
        b": ",
        b"\xe2\x80\xa8",
    ),
    *(b"1e400", b"1024GB+", b"100%", b"10m", b"a" * 300, "é😀".encode(), b"0x", b"8080-9090", b"*"),
]
KEYS = [
    key.encode()
    for key in (*StageSpec.accepted(), *Resources.accepted(), "stages", "defaults", "execution")
]
_KEY = re.compile(rb"[A-Za-z_]+(?=:)")
_VALUE = re.compile(rb"(?<=: )[^\n,}\]]+")


def seeds() -> list[bytes]:
    """Documents to start from."""
    out = [NATIVE]
    for name in ("forms", "invalid"):
        lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        out += [json.loads(line)["yaml"].encode("utf-8", "surrogatepass") for line in lines]
    return out


class Mutator:
    """Makes new documents of those it knows; the same seed makes the same ones.

    Attributes:
        corpus: What it starts from; it may grow.
    """

    def __init__(self, seed: int, corpus: list[bytes]) -> None:
        self.random = random.Random(seed)
        self.corpus = list(corpus)
        self._ways: list[Callable[[bytes], bytes]] = [
            *(self._word, self._word, self._value, self._value, self._key, self._key),
            *(self._lines, self._lines, self._indent, self._bits, self._cut, self._splice),
            *(self._nest, self._repeat, self._anchor, self._stage),
        ]

    def mutant(self) -> bytes:
        """A document of the corpus after one to six changes."""
        return self.mutate(self.random.choice(self.corpus), self.random.randint(1, 6))

    def mutate(self, data: bytes, changes: int = 1) -> bytes:
        """The document after some changes."""
        for _ in range(changes):
            data = self.random.choice(self._ways)(data)[:MAX_SIZE]
        return data

    def _at(self, data: bytes) -> int:
        return self.random.randint(0, len(data))

    def _word(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self.random.choice(WORDS) + data[at:]

    def _replaced(self, data: bytes, pattern: re.Pattern[bytes], words: list[bytes]) -> bytes:
        found = list(pattern.finditer(data))
        if not found:
            return self._word(data)
        one = self.random.choice(found)
        return data[: one.start()] + self.random.choice(words) + data[one.end() :]

    def _value(self, data: bytes) -> bytes:
        return self._replaced(data, _VALUE, WORDS)

    def _key(self, data: bytes) -> bytes:
        return self._replaced(data, _KEY, KEYS)

    def _lines(self, data: bytes) -> bytes:
        lines = data.split(b"\n")
        one, two = self.random.randrange(len(lines)), self.random.randrange(len(lines))
        how = self.random.randrange(4)
        if how == 0:
            lines.insert(two, lines[one])
        elif how == 1:
            del lines[one]
        elif how == 2:
            lines[one], lines[two] = lines[two], lines[one]
        else:
            lines.insert(one, self.random.choice(KEYS) + b": " + self.random.choice(WORDS))
        return b"\n".join(lines)

    def _indent(self, data: bytes) -> bytes:
        lines = data.split(b"\n")
        one = self.random.randrange(len(lines))
        lines[one] = b" " * self.random.randrange(9) + lines[one].lstrip(b" ")
        return b"\n".join(lines)

    def _bits(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self.random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 << self.random.randrange(8))]) + data[at + 1 :]

    def _cut(self, data: bytes) -> bytes:
        one, two = sorted((self._at(data), self._at(data)))
        return data[:one] + data[min(two, one + 40) :]

    def _splice(self, data: bytes) -> bytes:
        other = self.random.choice(self.corpus)
        joint = self.random.choice([b"", b"\n", b"\n---\n"])
        return data[: self._at(data)] + joint + other[self._at(other) :]

    def _nest(self, data: bytes) -> bytes:
        one, two = sorted((self._at(data), self._at(data)))
        before, after = self.random.choice(
            [(b"[", b"]"), (b"{a: ", b"}"), (b"- ", b""), (b"? ", b"")]
        )
        times = self.random.choice([1, 2, 5, 70, 900])
        return data[:one] + before * times + data[one:two] + after * times + data[two:]

    def _repeat(self, data: bytes) -> bytes:
        one = self._at(data)
        piece = data[one : one + self.random.choice([1, 8, 60, 400])]
        return data[:one] + piece * self.random.choice([2, 3, 40, 1000]) + data[one:]

    def _anchor(self, data: bytes) -> bytes:
        at = [found.start() for found in _VALUE.finditer(data)]
        if len(at) < 2:
            return self._word(data)
        one, two = sorted(self.random.sample(at, 2))
        end = _VALUE.search(data, two)
        rest = data[end.end() :] if end else b""
        return data[:one] + b"&z " + data[one:two] + b"*z" + rest

    def _stage(self, data: bytes) -> bytes:
        body = b"\n".join(b"    " + line for line in data.split(b"\n"))
        return b"stages:\n  a:\n" + body + b"\n  b: {run: x, needs: [a]}\n"


@dataclass(frozen=True)
class Verdict:
    """What became of one document.

    Attributes:
        signature: What was said, without names and numbers: a new one is a new way to go.
        seconds: CPU time of the slower of both ways.
    """

    signature: frozenset[str]
    seconds: float


def judge(data: bytes, file: Path) -> Verdict:
    """Read a document in both ways, through ``file``.

    Raises:
        AssertionError: a problem has no message or no place, or a form is not JSON.
    """
    file.write_bytes(data)
    text = data.decode("utf-8-sig", "surrogateescape")
    start = time.process_time()
    said = _said(lambda: [str(w.message) for w in load_file(file).warnings])
    between = time.process_time()
    said |= _said(lambda: [f"tasks {len(json.dumps(canonical(text))) > 0}"])
    longer = max(between - start, time.process_time() - between)
    return Verdict(frozenset(said), longer)


def _said(read: Callable[[], list[str]]) -> set[str]:
    try:
        return {"accepted", *map(_plain, read())}
    except SpecErrors as refusal:
        assert refusal.problems, "refused without a problem"
        assert str(refusal)
        return {_checked(problem) for problem in refusal.problems}


def _checked(problem: Problem) -> str:
    told: Any = (problem.message, problem.file, problem.line, problem.column, problem.path)
    assert problem.message, told
    empty = problem.message == "the file is empty"
    assert empty or (problem.line >= 1 and problem.column >= 1), told
    return _plain(problem.message)


def _plain(message: str) -> str:
    message = re.sub(r"^\S+ (?=must |cannot |is a )|(?<=the source ).*(?= does)", "_ ", message)
    return re.sub(r"'[^']*'|\"[^\"]*\"|[\d.]+|\bstages\S+", "_", message)[:80]
