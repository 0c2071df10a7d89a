"""Vultr: ``GET /v2/plans`` and ``/v2/plans-metal``, public, paged by cursor (vultr.com/api)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu
from stix.spec.words import accelerators

LISTS = {"plans": {"type": "all"}, "plans-metal": {}}
GRACE = ("GH200", "GB200")


class Vultr(Refresher):
    """Prices of a plan, for some places others; preemptible ones where it can be had so."""

    cloud = "vultr"
    url = "https://api.vultr.com"
    source = "Vultr API /v2/plans and /v2/plans-metal"

    def first(self) -> list[Page]:
        return [_page(name) for name in LISTS]

    def read(self, page: Page, answer: Answer) -> Found:
        data = answer.record()
        items = [_item(plan) for plan in data.records(page.about.replace("-", "_"))]
        cursor = data.record("meta").record("links").text("next")
        return Found(items, [_page(page.about, cursor)] if cursor else [])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        for item in items:
            about = _gpu(item)
            if about is None:
                self.leave_out("an accelerator that the plan does not name")
                continue
            arch = "arm64" if about.get("accelerator") in GRACE else "x86_64"
            kind = self.machine(
                item["id"],
                item["cpus"],
                item["mib"] / 1024,
                local_disk_gib=item["disk"],
                arch=arch,
                **about,
            )
            for region in item["places"]:
                price, spot = item["prices"].get(region, (item["price"], item["spot"]))
                yield Quote(
                    kind,
                    region,
                    on_demand=price if item["lists"] else None,
                    spot=spot if item["preemptible"] else None,
                )


def _gpu(item: Item) -> Item | None:
    """The accelerators; None where it has some and does not say which."""
    name = item["gpu"].partition("_")[2].replace("_", " ")  # NVIDIA_A100
    if not name:
        return None if "gpu" in item["id"] or item["id"].startswith("vcg") else {}
    # The memory is that of all together; below one whole device it is a part of it.
    whole = next(
        (m for m in (80.0 if name == "A100" else None, accelerators.memory_gib(name)) if m), 0.0
    )
    count = item["gpus"] or (item["vram"] / whole if whole else 0.0)
    if not count:
        return None
    count = float(round(count)) if count >= 1 else round(count, 3)
    return gpu(name, count, whole or None)


def _page(name: str, cursor: str = "") -> Page:
    query = {**LISTS[name], "per_page": "500"} | ({"cursor": cursor} if cursor else {})
    return Page(f"{name} {cursor}".strip(), f"/v2/{name}", query, about=name)


def _item(plan: Record) -> Item:
    # An empty map is sent as a list by some versions.
    special = plan.data.get("location_cost") or {}
    places = {k: Record.of(v, f"{plan.where}.location_cost.{k}") for k, v in dict(special).items()}
    disks = plan.number("disk_count") if "disk_count" in plan else 1.0
    return {
        "id": plan.text("id"),
        "cpus": plan.number("vcpu_count" if "vcpu_count" in plan else "cpu_threads"),
        "mib": plan.number("ram"),
        "disk": plan.number("disk") * disks,
        "price": plan.number("hourly_cost"),
        "spot": _spot(plan),
        "prices": {k: (v.number("hourly_cost"), _spot(v)) for k, v in places.items()},
        "lists": plan.flag("deploy_ondemand") if "deploy_ondemand" in plan else True,
        "preemptible": plan.flag("deploy_preemptible") if "deploy_preemptible" in plan else False,
        "places": plan.texts("locations"),
        "gpu": plan.text("gpu_type") if "gpu_type" in plan else "",
        "gpus": plan.number("gpu_count") if "gpu_count" in plan else 0.0,
        "vram": plan.number("gpu_vram_gb") if "gpu_vram_gb" in plan else 0.0,
    }


def _spot(cost: Record) -> float | None:
    name = "hourly_cost_preemptible"
    return cost.number(name) if name in cost else None
