"""Doubles of Lambda, RunPod, Vast, Verda, Hyperstack, Shadeform and Cudo: clouds of GPUs."""

from __future__ import annotations

import json
from typing import Any

from stix.clouds.catalog.testing.world import Asked, Machine, World
from tests.support.pricing.shop import machine, need

LAMBDAS = (
    machine("gpu_8x_h100_sxm5", 31.92, gpus=8, about="H100 (80 GB SXM5)", regions=["us-west-3"]),
    machine("gpu_1x_a100_sxm4", 1.99, gpus=1, about="A100 (40 GB SXM4)", regions=[]),
    machine("gpu_1x_gh200", 2.29, gpus=1, about="GH200 (96 GB)", regions=["us-east-3"]),
    machine("cpu_4x_general", 0.2, gpus=0, about="N/A", regions=["us-west-3"]),
)


def lambda_cloud(world: World, asked: Asked, url: str) -> Any:
    """``/api/v1/instance-types``: a map by name; prices in cents."""
    need(asked, "Authorization", "Bearer hidden-lambda_api_key")
    return {"data": {entry.name: _lambda(entry) for entry in world.machines(LAMBDAS)}}


def _lambda(entry: Machine) -> dict[str, Any]:
    specs = {"vcpus": 26, "memory_gib": 225, "storage_gib": 2816, "gpus": entry["gpus"]}
    told = {
        "name": entry.name,
        "description": f"{entry['gpus']}x {entry['about']}",
        "gpu_description": entry["about"],
        "price_cents_per_hour": round(entry.price * 100),
        "specs": specs,
    }
    regions = [{"name": region, "description": "Somewhere"} for region in entry["regions"]]
    return {"instance_type": told, "regions_with_capacity_available": regions}


PODS = (
    machine("NVIDIA A100 80GB PCIe", 1.39, 0.79, name="A100 PCIe", vram=80, most=8, size=(8, 117)),
    machine("NVIDIA H100 80GB HBM3", 2.99, 1.75, name="H100 SXM", vram=80, most=8, size=(20, 251)),
    machine("NVIDIA L40S", 0.99, None, name="L40S", vram=48, most=1, size=None),
)


def runpod(world: World, asked: Asked, url: str) -> Any:
    """GraphQL: per-GPU prices, and the least that a pod of so many GPUs gets."""
    need(asked, "Authorization", "Bearer hidden-runpod_api_key")
    body = json.loads(asked.body)
    if asked.path != "/graphql" or "gpuTypes" not in body["query"]:
        return {"errors": [{"message": "Cannot query field"}]}
    count = body["variables"]["one"]["gpuCount"]
    return {"data": {"gpuTypes": [_pod(entry, count) for entry in world.machines(PODS)]}}


def _pod(entry: Machine, count: int) -> dict[str, Any]:
    size = entry["size"]
    least = {"minVcpu": size[0] * count, "minMemory": size[1] * count} if size else {}
    nothing = {"minVcpu": None, "minMemory": None}
    return {
        "id": entry.name,
        "displayName": entry["name"],
        "memoryInGb": entry["vram"],
        "maxGpuCount": entry["most"],
        "secureCloud": True,
        "communityCloud": False,
        "securePrice": entry.price,
        "communityPrice": 0,
        "secureSpotPrice": entry.spot,
        "communitySpotPrice": None,
        "secure": least or nothing,
        "community": nothing,
    }


OFFERS = (
    machine("RTX 4090", 0.40, 0.25, gpus=1, vram=24564, place="Texas, US"),
    machine("H100 SXM", 14.4, 9.0, gpus=8, vram=81559, place="France, FR"),
    machine("RTX 4090", 0.38, 0.31, gpus=1, vram=24564, place="Norway, NO"),
    machine("RTX 4090", 0.55, 0.20, gpus=1, vram=24564, place="Norway, NO"),
    machine("Tesla V100", 0.18, None, gpus=1, vram=16384, place=None),
)


def vast(world: World, asked: Asked, url: str) -> Any:
    """``POST /api/v0/bundles/``: the offers of hosts."""
    need(asked, "Authorization", "Bearer hidden-vast_api_key")
    if asked.method != "POST" or json.loads(asked.body)["rentable"] != {"eq": True}:
        return {"success": False}
    every = world.machines(OFFERS)
    return {"offers": [_offer(number, entry) for number, entry in enumerate(every)]}


def _offer(number: int, entry: Machine) -> dict[str, Any]:
    return {
        "id": number,
        "gpu_name": entry.name,
        "num_gpus": entry["gpus"],
        "gpu_ram": entry["vram"],
        "cpu_cores": 64,
        "cpu_cores_effective": 16.0,
        "cpu_ram": 257_000,  # of the whole host
        "dph_base": entry.price,
        "dph_total": entry.price + 0.01,
        "min_bid": entry.spot,
        "geolocation": entry["place"],
    }


INSTANCES = (
    machine("1H100.80S.30V", 2.29, 0.80, gpu="1x H100 SXM5 80GB", gpus=1, vram=80),
    machine("2A6000.20V", 0.98, 0.35, gpu="2x RTX A6000 48GB", gpus=2, vram=96),
    machine("CPU.120V.480G", 0.84, 0.29, gpu="", gpus=0, vram=0),
)


def verda(world: World, asked: Asked, url: str) -> Any:
    """A token first; then lists of types and places. Prices are texts."""
    if asked.path == "/v1/oauth2/token":
        told = json.loads(asked.body)
        if told["client_secret"] != "hidden-verda_client_secret":
            raise PermissionError("client_secret")
        return {"access_token": "token-of-verda", "token_type": "Bearer", "expires_in": 3600}
    need(asked, "Authorization", "Bearer token-of-verda")
    if asked.path == "/v1/locations":
        return [{"code": "FIN-01", "name": "Finland 1", "country_code": "FI"},
                {"code": "ICE-01", "name": "Iceland 1", "country_code": "IS"}]  # fmt: skip
    return [_instance(entry) for entry in world.machines(INSTANCES)]


def _instance(entry: Machine) -> dict[str, Any]:
    return {
        "id": "c01dd00d",
        "instance_type": entry.name,
        "cpu": {"description": "30 CPU", "number_of_cores": 30},
        "gpu": {"description": entry["gpu"], "number_of_gpus": entry["gpus"]},
        "gpu_memory": {"description": "", "size_in_gigabytes": entry["vram"]},
        "memory": {"description": "120GB RAM", "size_in_gigabytes": 120},
        "currency": "usd",
        "price_per_hour": f"{entry.price:.4f}",
        "spot_price": f"{entry.spot:.4f}",
    }


FLAVORS = (
    machine("H100-80G-PCIe", 1.90, flavors=[("n3-H100x1", "CANADA-1", 1)]),
    machine("L40", 1.00, flavors=[("n3-L40x2", "CANADA-1", 2), ("n3-L40x2-spot", "CANADA-1", 2)]),
    machine("RTX-A6000", 0.5, flavors=[("n3-RTX-A6000x1", "NORWAY-1", 1)]),
    machine("A100-80G-PCIe", 1.35, flavors=[("n3-A100x8", "NORWAY-1", 8)]),
)
CPU_ONLY = {"name": "n1-cpu-small", "region_name": "CANADA-1", "cpu": 4, "ram": 4.0, "disk": 100,
            "ephemeral": 0, "gpu": "", "gpu_count": 0}  # fmt: skip


def hyperstack(world: World, asked: Asked, url: str) -> Any:
    """The price book is a bare list; flavors come in groups."""
    need(asked, "api_key", "hidden-hyperstack_api_key")
    every = world.machines(FLAVORS)
    if asked.path == "/v1/pricebook":
        return [{"id": n, "name": e.name, "value": e.price, "original_value": e.price,
                 "discount_applied": False, "start_time": None, "end_time": None}
                for n, e in enumerate(every)]  # fmt: skip
    groups = [{"gpu": e.name, "region_name": f[1], "flavors": [_flavor(e.name, *f)]}
              for e in every for f in e["flavors"]]  # fmt: skip
    cpus = {"gpu": "", "region_name": "CANADA-1", "flavors": [CPU_ONLY]}
    return {"status": True, "message": "Flavors retrieved", "data": [*groups, cpus]}


def _flavor(gpu: str, name: str, region: str, count: int) -> dict[str, Any]:
    sizes = {"cpu": 28 * count, "ram": 180.0 * count, "disk": 100, "ephemeral": 750 * count}
    return {"name": name, "region_name": region, "gpu": gpu, "gpu_count": count, **sizes}


SHADES = (
    machine("H100", 2.40, cloud="hyperstack", gpus=1, gpu="H100", vram=80, regions=["canada-1"]),
    machine("A100_80Gx8", 13.0, cloud="lambdalabs", gpus=8, gpu="A100_80G", vram=80,
            regions=["us-east-1", "us-west-1"]),
    machine("A6000", 0.8, cloud="imwt", gpus=1, gpu="A6000", vram=48, regions=["us-central-3"]),
)  # fmt: skip


def shadeform(world: World, asked: Asked, url: str) -> Any:
    """``/v1/instances/types``: prices in cents."""
    need(asked, "X-API-KEY", "hidden-shadeform_api_key")
    return {"instance_types": [_shade(entry) for entry in world.machines(SHADES)]}


def _shade(entry: Machine) -> dict[str, Any]:
    told = {
        "memory_in_gb": 180,
        "storage_in_gb": 100,
        "vcpus": 28,
        "num_gpus": entry["gpus"],
        "gpu_type": entry["gpu"],
        "vram_per_gpu_in_gb": entry["vram"],
        "interconnect": "pcie",
    }
    return {
        "cloud": entry["cloud"],
        "shade_instance_type": entry.name,
        "cloud_instance_type": "internal",
        "configuration": told,
        "hourly_price": round(entry.price * 100),
        "deployment_type": "vm",
        "availability": [{"region": r, "available": False} for r in entry["regions"]],
    }


CUDOS = (
    machine("epyc-genoa-h100", 2.5, gpu="H100 SXM", place="no-luster-1", vram=80),
    machine("cascade-lake", 0.05, gpu="RTX 3080", place="br-saopaulo-1", vram=10),
    machine("ice-lake-a40", 0.45, gpu="A40", place="se-smedjebacken-1", vram=48),
    machine("epyc-rome", 0.0, gpu="", place="no-luster-1", vram=0),
)


def cudo(world: World, asked: Asked, url: str) -> Any:
    """``/v1/vms/machine-types``: prices per part, as texts."""
    need(asked, "Authorization", "Bearer hidden-cudo_api_key")
    return {"machineTypes": [_cudo(entry) for entry in world.machines(CUDOS)]}


def _cudo(entry: Machine) -> dict[str, Any]:
    return {
        "dataCenterId": entry["place"],
        "machineType": entry.name,
        "gpuModel": entry["gpu"],
        "gpuMemoryGib": entry["vram"],
        "minVcpuPerGpu": 1,
        "maxVcpuPerGpu": 13,
        "vcpuPriceHr": {"value": "0.002500"},
        "memoryGibPriceHr": {"value": "0.003800"},
        "gpuPriceHr": {"value": f"{entry.price}"},
        "totalGpuFree": 4,
    }
