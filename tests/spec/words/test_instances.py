"""Memory of types of machines."""

from __future__ import annotations

import pytest

from stix.spec.words import instances


@pytest.mark.parametrize(
    ("cloud", "name", "gib"),
    [
        ("aws", "p4d.24xlarge", 1152.0),
        ("aws", "t3.small", 2.0),
        ("gcp", "n1-highmem-8", 52.0),
        ("gcp", "a3-highgpu-8g", 1872.0),
        ("azure", "Standard_D16_v5", 64.0),
        ("lambda", "gpu_1x_a10", 200.0),
        ("oci", "VM.Standard.E4.Flex$_2_16", 16.0),
        ("ibm", "gx2-8x64x1v100", 64.0),
        ("nebius", "gpu-h100-sxm_8gpu-128vcpu-1600gb", 1600.0),
        ("vast", "1x-RTX_5090-32-65536", 64.0),
        ("runpod", "1x_A100-80GB_SECURE", 117.0),
        ("runpod", "3x_A100-80GB_SECURE", 351.0),
        ("kubernetes", "4CPU--16GB", 16.0),
        ("kubernetes", "4CPU--16GB--H100:1", 16.0),
        ("ssh", "0.5CPU--1.5GB", 1.5),
        ("aws", "p9.huge", None),
        ("gcp", "TPU-VM", None),
        ("kubernetes", "m5.large", None),
        ("nowhere", "m5.large", None),
    ],
)
def test_memory(cloud: str, name: str, gib: float | None) -> None:
    assert instances.memory_gib(cloud, name) == gib


def test_where_a_type_is_offered() -> None:
    assert instances.elsewhere("m5.large") == ["aws"]
    assert instances.elsewhere("p9.huge") == []
    assert len(instances.types("aws")) > 1000
    assert instances.types("nowhere") == []


def test_machines_that_are_no_longer_on_offer() -> None:
    """Old files name them, and SkyPilot knew their memory."""
    assert instances.memory_gib("aws", "p3.8xlarge") == 244
    assert instances.memory_gib("azure", "Standard_NC24r") == 224
    assert instances.memory_gib("azure", "Standard_D8s_v3") == 32
    assert instances.memory_gib("azure", "Standard_E16_v4") == 128
    assert instances.memory_gib("azure", "Standard_F4s_v2") == 8
    assert instances.memory_gib("azure", "Standard_E64_v3") is None  # 432 rather than 512
    assert instances.memory_gib("azure", "Standard_D8s_v9") is None
