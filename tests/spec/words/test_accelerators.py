"""Names of accelerators: one spelling of each, whatever people and clouds write."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stix.spec.words import accelerators


@pytest.mark.parametrize(
    "written, meant",
    [
        ("A100", "A100"),
        ("a100", "A100"),
        ("a100-80gb", "A100-80GB"),
        ("A100:80GB", "A100-80GB"),
        ("A100 80GB", "A100-80GB"),
        ("NVIDIA A100-SXM4-80GB", "A100-80GB-SXM"),
        ("NVIDIA A100-SXM4-40GB", "A100"),
        ("H100 SXM", "H100-SXM"),
        ("h100_sxm5", "H100-SXM"),
        ("H100 PCIe", "H100"),
        ("NVIDIA H100 80GB HBM3", "H100-SXM"),
        ("H100NVL", "H100-NVL"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("v100-32gb", "V100-32GB"),
        ("t4g", "T4g"),
        ("RTXPRO6000", "RTX-PRO-6000"),
        ("rtx pro 6000 blackwell", "RTX-PRO-6000"),
        ("RTX-6000-Ada", "RTX6000-Ada"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX6000-Ada"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("Quadro RTX 6000", "RTX6000"),
        ("A6000", "RTXA6000"),
        ("AMD Instinct MI300X", "MI300X"),
        ("AWS Trainium2", "Trainium2"),
        ("tpu-v5e-8", "tpu-v5litepod-8"),
        ("TPU v6e-4", "tpu-v6e-4"),
        ("v5p-128", "tpu-v5p-128"),
        ("tpu-v5litepod-16", "tpu-v5litepod-16"),
    ],
)
def test_spellings(written: str, meant: str) -> None:
    assert accelerators.canonical(written) == meant
    assert accelerators.spelled(written) == meant


@pytest.mark.parametrize("name", ["", "H1000", "A100-160GB", "nvidia", "V40000", "tpu-v9-8"])
def test_unknown_names_stay(name: str) -> None:
    assert accelerators.canonical(name) is None
    assert accelerators.spelled(name) == name
    assert accelerators.memory_gib(name) is None


def test_every_name_is_its_own_spelling_and_has_memory() -> None:
    names = accelerators.known()
    assert len(names) == len(set(names)) > 60
    for name in names:
        assert accelerators.canonical(name) == name
        assert (accelerators.memory_gib(name) or 0) > 0


def test_no_alias_means_two_things() -> None:
    rows = accelerators.TABLE.read_text(encoding="utf-8").splitlines()[1:]
    spellings = []
    for row in rows:
        name, _, _, aliases = row.split(",")
        spellings += [part for part in (name, *aliases.split(";")) if part]
    plain = ["".join(c for c in s.lower() if c.isalnum()) for s in spellings]
    assert sorted(plain) == sorted(set(plain))
    assert {accelerators.canonical(s) for s in spellings} == set(accelerators.known())


@pytest.mark.parametrize(
    "name, family",
    [
        ("H100", ["H100", "H100-MEGA", "H100-NVL", "H100-SXM"]),
        ("a100-80gb", ["A100-80GB", "A100-80GB-SXM"]),
        ("L4", ["L4"]),
        ("T4", ["T4"]),
        ("nothing", []),
    ],
)
def test_family(name: str, family: list[str]) -> None:
    assert accelerators.family(name, accelerators.known()) == family


@pytest.mark.parametrize("word, first", [("H10", "H100"), ("L40X", "L40"), ("MI300", "MI300X")])
def test_nearest(word: str, first: str) -> None:
    assert accelerators.nearest(word, accelerators.known())[0] == first


def test_looking_up_a_name_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom stix.spec.words import accelerators\n"
        "assert accelerators.memory_gib('h100') == 80\n"
        "print([n for n in ('pydantic', 'difflib', 'ruamel') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
