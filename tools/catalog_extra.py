"""Facts of clouds that are few enough to be written down: shape, place and price."""

from __future__ import annotations

from collections.abc import Iterator

Fact = dict[str, str]


def _fact(name: str, shape: tuple[float, float], price: tuple[float, float], region: str) -> Fact:
    cpus, memory = shape
    on_demand, spot = price
    return {
        "InstanceType": name,
        "AcceleratorName": "",
        "AcceleratorCount": "",
        "vCPUs": f"{cpus:g}",
        "MemoryGiB": f"{memory:g}",
        "AcceleratorMemoryGiB": "",
        "Price": f"{on_demand:.6g}",
        "SpotPrice": f"{spot:.6g}" if spot else "",
        "Region": region,
        "AvailabilityZone": "",
    }


def crusoe() -> Iterator[Fact]:
    """Rates: A100 80GB 1.65 (spot 1.20), L40S 1.00 (0.50) per GPU; c1a 0.04 per vCPU."""
    east, south, iceland = "us-east1-a", "us-southcentral1-a", "eu-iceland1-a"
    for n in (1, 2, 4, 8):
        made = _fact(f"a100-80gb.{n}x", (12 * n, 120 * n), (1.65 * n, 1.20 * n), east)
        yield made | {"AcceleratorName": "A100-80GB", "AcceleratorCount": str(n)}
    for region in (east, south):
        for n in (1, 2, 4, 8, 10):
            made = _fact(f"l40s-48gb.{n}x", (8 * n, 147 * n), (1.00 * n, 0.50 * n), region)
            yield made | {"AcceleratorName": "L40S", "AcceleratorCount": str(n)}
    for region in (east, south, iceland):
        for n in (2, 4, 8, 16):
            yield _fact(f"c1a.{n}x", (n, 4 * n), (0.04 * n, 0), region)


def yotta() -> Iterator[Fact]:
    """0.65 per RTX 5090, in two regions with machines of their own."""
    for region, cpus, memory in (("us-east-2", 14, 119), ("us-central-2", 30, 115)):
        for n in (1, 2, 4, 8):
            name = f"{n}x{cpus * n}v{memory * n}g_NVIDIA_GeForce_RTX_5090_32G_SECURE"
            made = _fact(name, (cpus * n, memory * n), (0.65 * n, 0), region)
            yield made | {"AcceleratorName": "RTX5090", "AcceleratorCount": str(n)}


EXTRA = {"crusoe": crusoe, "yotta": yotta}
