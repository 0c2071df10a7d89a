"""Names of accelerators and sizes of hosts."""

from __future__ import annotations

import pytest

from stix.clouds.hosts import HostFacts, canonical_accelerator


@pytest.mark.parametrize(
    ("reported", "name"),
    [
        ("NVIDIA A100-SXM4-40GB", "A100"),
        ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA GH200 480GB", "GH200"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA A10G", "A10G"),
        ("Tesla T4", "T4"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("Tesla V100-SXM2-32GB", "V100-32GB"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("NVIDIA GeForce RTX 3080 Ti", "RTX3080Ti"),
        ("NVIDIA RTX A6000", "A6000"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX6000-Ada"),
        ("NVIDIA Something New", "Something-New"),
    ],
)
def test_reported_names_become_the_usual_ones(reported: str, name: str) -> None:
    assert canonical_accelerator(reported) == name


def test_facts_add_up_accelerators_of_one_name() -> None:
    names = {"NVIDIA A100-SXM4-40GB": 2, "NVIDIA A100-PCIE-40GB": 2}
    facts = HostFacts.from_info({"cpus": 8, "memory_gib": 31.2, "accelerators": names})
    assert facts.accelerators == {"A100": 4}
    assert facts.size() == "8cpu-31gb-4xA100"


def test_a_host_holds_what_is_no_bigger_in_any_way() -> None:
    small, big = HostFacts(4, 8), HostFacts(8, 16, {"A100": 1})
    assert big.holds(small)
    assert big.holds(big)
    assert not small.holds(big)
    assert not HostFacts(99, 99).holds(big)
