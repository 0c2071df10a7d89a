"""Where the facts of the catalog are from, which are left out and why, and where regions lie."""

from __future__ import annotations

from dataclasses import dataclass

from stix.clouds.catalog.rows import COMPUTED, ESTIMATE, LISTED, MARKET, Source

EUR_IN_USD = 1.10
"""A round figure to compare by, not a quotation: whatever it converts is an estimate."""
PLACEHOLDERS = (0.0, 700.0)
"""Prices that mean "not known" in the sources."""


@dataclass(frozen=True)
class Sheet:
    """One file of a small cloud.

    Attributes:
        cloud: Our name of the cloud.
        file: The file inside the folder of facts.
        name: Where its numbers are from.
        as_of: When; the begin of the span where only a span is known.
        confidence: Of its prices.
        currency: Of its prices.
        spot: Confidence of its spot prices where it differs.
    """

    cloud: str
    file: str
    name: str
    as_of: str
    confidence: str = LISTED
    currency: str = "USD"
    spot: str | None = None

    @property
    def source(self) -> Source:
        made = self.confidence if self.currency == "USD" else ESTIMATE
        return Source(self.name, self.as_of, made, self.currency)

    @property
    def spot_source(self) -> Source:
        return Source(self.name, self.as_of, self.spot or self.source.confidence, self.currency)


def _sheet(cloud: str, file: str, version: str, as_of: str, *rest: str) -> Sheet:
    generation, _, commit = version.partition("@")
    folder = {"digitalocean": "do", "ovh": "ovhcloud"}.get(file, file)
    name = f"skypilot-org/skypilot-catalog catalogs/{generation}/{folder}/vms.csv@{commit}"
    return Sheet(cloud, f"skycat_{file}.csv", name, as_of, *rest)


SHEETS = (
    _sheet("cudo", "cudo", "v9@d9bf3aa4", "2026", COMPUTED),
    _sheet("do", "digitalocean", "v6@1fbe7331", "2025"),
    _sheet("hyperbolic", "hyperbolic", "v8@0082b043", "2025", MARKET),
    _sheet("hyperstack", "hyperstack", "v8@fdc9d908", "2025"),
    _sheet("ibm", "ibm", "v9@a5be5386", "2023"),
    _sheet("jarvislabs", "jarvislabs", "v8@57d65781", "2026-09"),
    _sheet("lambda", "lambda", "v8@0f407038", "2026"),
    _sheet("nebius", "nebius", "v9@d9bf3aa4", "2026"),
    _sheet("oci", "oci", "v9@a5be5386", "2026", LISTED, "USD", COMPUTED),
    _sheet("ovh", "ovh", "v6@8a258f54", "2024", LISTED, "EUR"),
    _sheet("paperspace", "paperspace", "v6@e5200541", "2024"),
    _sheet("scaleway", "scaleway", "v6@1fbe7331", "2024", LISTED, "EUR"),
    _sheet("seeweb", "seeweb", "v9@2c3d7ea7", "2026", LISTED, "EUR"),
    _sheet("vast", "vast", "v9@a5be5386", "2026", MARKET),
    _sheet("verda", "verda", "v8@000c1d0b", "2026"),
    Sheet(
        "yotta",
        "",
        "skypilot-org/skypilot-catalog catalogs/v8/yotta/vms.csv@1f690489",
        "2025",
    ),
    Sheet(
        "crusoe",
        "",
        "rates of the provider's price page per dstackai/gpuhunt crusoe.py@2449039f; "
        "sizes of skypilot-org/skypilot-catalog catalogs/v8/primeintellect/vms.csv@d9a304ea",
        "2026-08",
        COMPUTED,
    ),
)
BIG = ("aws", "azure", "gcp", "runpod")
LEFT_OUT = {"fluidstack": "its marketplace is closing, one row is left"}
"""Clouds with facts that are not in the catalog."""

RETIRED = {
    "azure": {
        "NCv3": (
            "Standard_NC6s_v3",
            "Standard_NC12s_v3",
            "Standard_NC24s_v3",
            "Standard_NC24rs_v3",
        ),
        "NDv2": ("Standard_ND40rs_v2",),
        "NVv3": ("Standard_NV12s_v3", "Standard_NV24s_v3", "Standard_NV48s_v3"),
        "NVv4": (
            "Standard_NV4as_v4",
            "Standard_NV8as_v4",
            "Standard_NV16as_v4",
            "Standard_NV32as_v4",
        ),
    }
}
"""Families that a price list still has, and that can no longer be had."""
UNRESOLVED = {("azure", "Standard_NCC40ads_H100_v5"), ("runpod", "RTX4090")}
"""Machines (or accelerators) whose price is second-hand, or differs between sources."""

SPOT_KINDS = {
    "observed_region": LISTED,
    "observed_min_zone": MARKET,
    "observed_min_zone_partial": MARKET,
    "derived_advisor": ESTIMATE,
}

ATTACHED = {"T4": 4, "P4": 4, "P100": 8, "V100": 8}
"""GCP accelerators that are attached to an N1 machine: vCPUs of the machine for each of them."""
HOSTS = ("n1-standard", "n1-highmem")

VAST = (  # its regions are countries
    *("BG", "CA", "CH", "CN", "CZ", "DE", "DK", "EE", "FR", "IS", "JP"),
    *("KR", "NL", "NO", "PL", "RO", "RU", "SE", "TW", "US", "VN"),
)
COUNTRIES = {
    "crusoe": {"us-east1-a": "US", "us-southcentral1-a": "US", "eu-iceland1-a": "IS"},
    "cudo": {
        "ca-montreal-3": "CA",
        "no-kristiansand-1": "NO",
        "se-stockholm-1": "SE",
        "us-carlsbad-1": "US",
        "us-dallas-1": "US",
        "us-newyork-1": "US",
    },
    "do": dict.fromkeys(("nyc1", "nyc2", "nyc3", "sfo1", "sfo2", "sfo3"), "US") | {"tor1": "CA"},
    "gcp": {"us-central2": "US"},  # of TPUs alone
    "hyperstack": {"CANADA-1": "CA", "NORWAY-1": "NO", "US-1": "US"},
    "ibm": {
        "au-syd": "AU",
        "br-sao": "BR",
        "ca-tor": "CA",
        "eu-de": "DE",
        "eu-gb": "GB",
        "jp-osa": "JP",
        "jp-tok": "JP",
        "us-east": "US",
        "us-south": "US",
    },
    "jarvislabs": {"IN1": "IN", "IN2": "IN"},
    "lambda": {
        "asia-northeast-1": "JP",
        "asia-northeast-2": "JP",
        "asia-south-1": "IN",
        "australia-east-1": "AU",
        "europe-central-1": "DE",
        "europe-south-1": "IT",
        "me-west-1": "IL",
        **dict.fromkeys(("us-east-1", "us-east-2", "us-east-3", "us-midwest-1"), "US"),
        **dict.fromkeys(("us-south-1", "us-south-2", "us-south-3"), "US"),
        **dict.fromkeys(("us-west-1", "us-west-2", "us-west-3"), "US"),
    },
    "nebius": {"eu-north1": "FI", "eu-west1": "FR", "me-west1": "IL", "us-central1": "US"},
    "ovh": {"BHS": "CA", "FRA": "DE", "GRA": "FR", "LON": "GB", "WAW": "PL"},
    "paperspace": {"East Coast (NY2)": "US"},
    "scaleway": {"fr-par": "FR"},
    "seeweb": {"bg-sof1": "BG", "ch-lug1": "CH", "it-fr2": "IT", "it-mi2": "IT"},
    "vast": {code: code for code in VAST},
    "verda": {"FIN-01": "FI", "FIN-02": "FI", "FIN-03": "FI"},
    "yotta": {"us-east-2": "US", "us-central-2": "US"},
}
"""The country (ISO 3166) of each region; most of aws, azure and gcp are in the facts."""
