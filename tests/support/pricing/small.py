"""Doubles of DigitalOcean, Hetzner, Linode, Vultr and Scaleway: general clouds."""

from __future__ import annotations

from typing import Any

from stix.clouds.catalog.testing.world import Asked, Machine, World
from tests.support.pricing.shop import machine, need, pages, part

GIB = 2**30
SIZES = (
    machine("gpu-h100x8-640gb", 23.92, gpu="nvidia_h100", gpus=8, vram=640, regions=["nyc2"]),
    machine("s-4vcpu-8gb", 0.07143, gpus=0, regions=["nyc1", "fra1"]),
    machine("g-8vcpu-32gb", 0.375, gpus=0, regions=["nyc1"]),
    machine("gpu-mi300x1-192gb", 1.99, gpu="amd_mi300x", gpus=1, vram=192, regions=["nyc2"]),
    machine("sold-out", 0.5, gpus=0, regions=[]),
)


def digitalocean(world: World, asked: Asked, url: str) -> Any:
    """``/v2/sizes``, two a page; the links are as the provider writes them, absolute."""
    need(asked, "Authorization", "Bearer hidden-digitalocean_token")
    if asked.path != "/v2/sizes":
        return {"id": "not_found"}
    every = world.machines(SIZES)
    number = int(asked.query["page"])
    last = pages(every)
    links = {"next": f"{url}/v2/sizes?page={number + 1}"} if number < last else {}
    return {
        "sizes": [_size(entry) for entry in part(every, number)],
        "links": {"pages": links} if links or number > 1 else {},
        "meta": {"total": len(every)},
    }


def _size(entry: Machine) -> dict[str, Any]:
    size = {
        "slug": entry.name,
        "memory": 8192,
        "vcpus": 4,
        "disk": 160,
        "transfer": 5.0,
        "price_monthly": round(entry.price * 672, 2),
        "price_hourly": entry.price,
        "regions": entry["regions"],
        "available": True,
        "description": "Basic",
        "disk_info": [{"type": "local", "size": {"amount": 160, "unit": "gib"}}],
    }
    if entry["gpus"]:
        vram = {"amount": entry["vram"], "unit": "gib"}
        size["gpu_info"] = {"count": entry["gpus"], "model": entry["gpu"], "vram": vram}
    return size


TYPES = (
    machine("ccx33", 0.1, arch="x86", places=["fsn1", "hel1"]),
    machine("cax41", 0.05, arch="arm", places=["fsn1"]),
    machine("cpx22", 0.02, arch="x86", places=["ash"]),
    machine("cx53", 0.03, arch="x86", places=["nbg2"]),
)


def hetzner(world: World, asked: Asked, url: str) -> Any:
    """``/v1/server_types``, two a page, and ``/v1/pricing``; prices are texts."""
    need(asked, "Authorization", "Bearer hidden-hcloud_token")
    if asked.path == "/v1/pricing":
        return {"pricing": {"currency": "EUR", "vat_rate": "19.00", "server_types": []}}
    every = world.machines(TYPES)
    number = int(asked.query["page"])
    following = number + 1 if number < pages(every) else None
    pagination = {"page": number, "per_page": 2, "next_page": following, "last_page": pages(every)}
    types = [_server_type(entry) for entry in part(every, number)]
    return {"server_types": types, "meta": {"pagination": pagination}}


def _server_type(entry: Machine) -> dict[str, Any]:
    net = f"{entry.price:.10f}"
    gross = f"{entry.price * 1.19:.10f}"
    price = {"price_hourly": {"net": net, "gross": gross}, "included_traffic": 1}
    old = {"announced": "2026-01-01T00:00:00Z", "unavailable_after": "2026-04-01T00:00:00Z"}
    places = [{"id": 1, "name": p, "deprecation": None, "available": True} for p in entry["places"]]
    return {
        "id": 45,
        "name": entry.name,
        "cores": 8,
        "memory": 32.0,
        "disk": 240,
        "architecture": entry["arch"],
        "storage_type": "local",
        "cpu_type": "dedicated",
        "deprecated": False,
        # nbg1 has a price, and is deprecated
        "prices": [{"location": place, **price} for place in (*entry["places"], "nbg1")],
        "locations": [*places, {"id": 2, "name": "nbg1", "deprecation": old, "available": True}],
    }


LINODES = (
    machine("g6-dedicated-8", 0.216, label="Dedicated 16GB", gpus=0, dear={"id-cgk": 0.2592}),
    machine("g2-gpu-rtx4000a2-s", 1.04, label="RTX4000 Ada x2 Small", gpus=2, dear={}),
    machine("g1-gpu-rtx6000-1", 1.5, label="Dedicated 32GB + RTX6000 GPU x1", gpus=1, dear={}),
)
PLACES = (("us-ord", "us", True), ("id-cgk", "id", False), ("de-fra-2", "de", True))


def linode(world: World, asked: Asked, url: str) -> Any:
    """``/v4/linode/types`` and ``/v4/regions``, two a page."""
    if asked.path == "/v4/regions":
        every: list[Any] = [_place(*place) for place in PLACES]
    else:
        every = [_linode(entry) for entry in world.machines(LINODES)]
    number = int(asked.query["page"])
    data = part(every, number)
    return {"data": data, "page": number, "pages": pages(every), "results": len(every)}


def _place(name: str, country: str, gpus: bool) -> dict[str, Any]:
    has = ["Linodes", "GPU Linodes"] if gpus else ["Linodes"]
    return {"id": name, "country": country, "capabilities": has, "status": "ok"}


def _linode(entry: Machine) -> dict[str, Any]:
    dear = [{"id": p, "hourly": v, "monthly": None} for p, v in entry["dear"].items()]
    return {
        "id": entry.name,
        "label": entry["label"],
        "class": "gpu" if entry["gpus"] else "dedicated",
        "vcpus": 8,
        "memory": 16384,
        "disk": 327680,
        "gpus": entry["gpus"],
        "price": {"hourly": entry.price, "monthly": round(entry.price * 672)},
        "region_prices": dear,
        "transfer": 6000,
    }


PLANS = (
    machine("vcg-a100-6c-60g-40vram", 1.397, gpu="NVIDIA_A100", vram=40, places=["ewr"]),
    machine("vcg-l40s-16c-180g-48vram", 1.671, gpu="NVIDIA_L40S", vram=48, places=["ewr"]),
    machine("vc2-1c-1gb", 0.007, places=["ewr", "ams"], special={"ams": 0.009}),
    machine("vhp-2c-4gb-amd", 0.036, places=["ams"]),
    machine("vbm-256c-2048gb-8-mi300x-gpu", 17.52, 14.72, places=["ord"], metal=True, gpus=8),
    machine("vbm-72c-480gb-gpu", 1.99, places=["ord"], metal=True, gpus=0),
)


def vultr(world: World, asked: Asked, url: str) -> Any:
    """``/v2/plans`` and ``/v2/plans-metal``, two a page by cursor."""
    name = "plans_metal" if asked.path.endswith("-metal") else "plans"
    metal = name == "plans_metal"
    every = [e for e in world.machines(PLANS) if bool(e.more.get("metal")) == metal]
    number = int(asked.query.get("cursor", "1"))
    following = str(number + 1) if number < pages(every) else ""
    links = {"next": following, "prev": ""}
    plans = [_plan(entry) for entry in part(every, number)]
    return {name: plans, "meta": {"total": len(every), "links": links}}


def _plan(entry: Machine) -> dict[str, Any]:
    more = entry.more
    special = {p: {"hourly_cost": v, "monthly_cost": 6} for p, v in more.get("special", {}).items()}
    plan = {
        "id": entry.name,
        "ram": 61440,
        "disk": 960,
        "disk_count": 1,
        "monthly_cost": entry.price * 672,
        "hourly_cost": entry.price,
        "hourly_cost_preemptible": entry.spot if entry.spot is not None else entry.price,
        "locations": more["places"],
        "location_cost": special or [],
        "deploy_ondemand": True,
        "deploy_preemptible": entry.spot is not None,
    }
    if more.get("metal"):
        gpu = {"gpu_type": "AMD_MI300X", "gpu_count": 8} if more["gpus"] else {}
        return plan | {"cpu_threads": 256, "cpu_count": 128} | gpu
    told = {"gpu_type": more["gpu"], "gpu_vram_gb": more["vram"]} if "gpu" in more else {}
    return plan | {"vcpu_count": 12, "type": entry.name[:3]} | told


SERVERS = (
    machine("H100-1-80G", 2.52, zone="fr-par-2", gpu="H100-PCIe", gpus=1, vram=80),
    machine("L4-2-24G", 1.5, zone="pl-waw-2", gpu="L4", gpus=2, vram=24),
    machine("GPU-3070-S", 0.98, zone="fr-par-2", gpus=1, gpu="", vram=0, ended=True),
    machine("POP2-4C-16G", 0.147, zone="fr-par-1", gpus=0),
    machine("AMP2-C8", 0.07, zone="fr-par-1", gpus=0, arch="arm64"),
    machine("PRO2-S", 0.219, zone="fr-par-1", gpus=0),
)


def scaleway(world: World, asked: Asked, url: str) -> Any:
    """``/instance/v1/zones/{zone}/products/servers``, two a page; a map by name, in EUR."""
    need(asked, "X-Auth-Token", "hidden-scw_secret_key")
    zone = asked.path.split("/")[4]
    every = [entry for entry in world.machines(SERVERS) if entry["zone"] == zone]
    found = part(list({entry.name: entry for entry in every}.values()), int(asked.query["page"]))
    return {"servers": {entry.name: _server(entry) for entry in found}}


def _server(entry: Machine) -> dict[str, Any]:
    more = entry.more
    server = {
        "monthly_price": entry.price * 730,
        "hourly_price": entry.price,
        "alt_names": [],
        "ncpus": 24,
        "ram": 240 * GIB,
        "arch": more.get("arch", "x86_64"),
        "gpu": more["gpus"],
        "end_of_service": more.get("ended", False),
        "per_volume_constraint": {"l_ssd": {"min_size": 0, "max_size": 0}},
    }
    if more["gpus"]:
        about = {"gpu_manufacturer": "NVIDIA", "gpu_name": more["gpu"]}
        server["gpu_info"] = {**about, "gpu_memory": more["vram"] * GIB}
    return server
