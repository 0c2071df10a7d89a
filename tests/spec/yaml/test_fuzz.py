"""Damaged files, at random: only problems come out, each with a message and a place."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stix.spec.yaml.write import dump
from tests.spec.fuzzing import KEYS, Mutator, judge, seeds

MUTANTS = 1000
COSTLY = 1.0 if sys.gettrace() is None else 3.0
"""CPU seconds that no document may take; watching every line for coverage takes its own."""
quiet = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_mutants_of_documents(tmp_path: Path) -> None:
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mutator = Mutator(20201, seeds())
    seen: set[str] = set()
    for _ in range(MUTANTS):
        data = mutator.mutant()
        try:
            verdict = judge(data, tmp_path / "f.yaml")
        except Exception as crash:
            raise AssertionError(f"{crash!r} of {data!r}") from crash
        assert verdict.seconds < COSTLY, data
        if not verdict.signature <= seen:
            seen |= verdict.signature
            mutator.corpus.append(data)
    assert len(seen) > 50 and "accepted" in seen
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held) // 1024
    assert grown < 300


def test_the_same_seed_makes_the_same_mutants() -> None:
    one, two = Mutator(7, seeds()), Mutator(7, seeds())
    assert [one.mutant() for _ in range(50)] == [two.mutant() for _ in range(50)]


@quiet
@given(data=st.binary(max_size=200))
def test_any_bytes(data: bytes, tmp_path: Path) -> None:
    judge(data, tmp_path / "f.yaml")


names = st.sampled_from([key.decode() for key in KEYS]) | st.text("aA_$-. {}", max_size=4)
scalars = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.datetimes()),
    st.text(max_size=9),
    st.sampled_from(["$A", "4+", "16GB", "A100:8", "s3://b/c", "aws/r/z", "10m", "a.b", "./x"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@quiet
@given(body=st.dictionaries(names, values, max_size=5), staged=st.booleans())
def test_any_structure(body: dict[str, Any], staged: bool, tmp_path: Path) -> None:
    task = {"run": "x", **body}
    text = dump({"stages": {"a": task, "b": body}} if staged else task)
    judge(text.encode("utf-8", "surrogatepass"), tmp_path / "f.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "stages:\n  a: {run: x}\n  b-: {run: x, needs: [a]}\n",
        "name: ${\nexecution: parallel\n---\nrun: x\n",
        "name: a----b\nrun: x\n",
        "run: x\ntimeout: " + "a9" + "9" * 9000 + "\n",
        "run: x\nvolumes: {/a: {name: v, config: {b: 2020-01-02}}}\n",
    ],
)
def test_what_was_found(text: str, tmp_path: Path) -> None:
    assert judge(text.encode(), tmp_path / "f.yaml").seconds < COSTLY


@pytest.mark.parametrize("times", [10, 500])
def test_many_of_everything(times: int, tmp_path: Path) -> None:
    texts = [
        "---\nrun: x\nrnu: x\n" * times,
        "run: x\n" + "".join(f"k{i}: 1\n" for i in range(times * 20)),
        "stages:\n" + "".join(f"  s{i}: {{run: x, needs: [s{i - 1}]}}\n" for i in range(times)),
        "stages:\n" + "".join(f"  s{i}: {{rnu: x, xyz: 1}}\n" for i in range(times)),
        "run: x\nenvs:\n" + "".join(f"  K{i}: no\n" for i in range(times * 10)),
        "run: x\nsecrets:\n" + "".join(f"  K{i}: v\n" for i in range(times * 10)),
        "run: x\nresources: {any_of: [" + "{infra: aws}," * times + "]}\n",
        "run: x\nresources: {any_of: [" + "{infra: aws, x: y}," * times + "]}\n",
        "run: x\nfile_mounts:\n" + "".join(f"  /a{i}: s3://b/$A\n" for i in range(times)),
        "run: x\nresources: {ports: [" + "80," * times + "]}\n",
        f"run: x\nenvs: {{a: {'x' * 1999 * times}}}\nfile_mounts: {{/a: {'$a' * 1999 * times}}}\n",
        f"run: x\nfile_mounts: {{{'$a' * times}x: []}}\nvolumes: {{{'y' * times}: []}}\n",
    ]
    for text in texts:
        verdict = judge(text.encode(), tmp_path / "f.yaml")
        assert verdict.seconds < COSTLY, text[:100]
