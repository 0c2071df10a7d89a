"""RunPod's own words: names of GPUs, the usual image, and what is asked by GraphQL.

Source: the list ``gpuTypeIds`` of its REST document (runpod/docs, 2026-08), and its GraphQL pages.
"""

from __future__ import annotations

from collections.abc import Mapping

GPUS: Mapping[str, str] = {
    "RTXA4000": "NVIDIA RTX A4000",
    "RTXA4500": "NVIDIA RTX A4500",
    "RTXA5000": "NVIDIA RTX A5000",
    "RTXA6000": "NVIDIA RTX A6000",
    "RTX3090": "NVIDIA GeForce RTX 3090",
    "RTX4090": "NVIDIA GeForce RTX 4090",
    "RTX5090": "NVIDIA GeForce RTX 5090",
    "RTX4000-Ada": "NVIDIA RTX 4000 Ada Generation",
    "RTX6000-Ada": "NVIDIA RTX 6000 Ada Generation",
    "A40": "NVIDIA A40",
    "L4": "NVIDIA L4",
    "L40": "NVIDIA L40",
    "L40S": "NVIDIA L40S",
    "A100-80GB": "NVIDIA A100 80GB PCIe",
    "A100-80GB-SXM": "NVIDIA A100-SXM4-80GB",
    "H100": "NVIDIA H100 PCIe",
    "H100-NVL": "NVIDIA H100 NVL",
    "H100-SXM": "NVIDIA H100 80GB HBM3",
    "H200-SXM": "NVIDIA H200",
    "B200": "NVIDIA B200",
    "MI300X": "AMD Instinct MI300X OAM",
}
"""From the name in a type of the catalog to the identifier that orders take."""

IMAGE = "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404"

RENT_SPOT = (
    "mutation Rent($input: PodRentInterruptableInput!) "
    "{ podRentInterruptable(input: $input) { id desiredStatus } }"
)
BIDS = "query { gpuTypes { id lowestPrice(input: { gpuCount: 1 }) { minimumBidPrice } } }"
