"""Every refresher under the same suite, each beside the double of its provider."""

from __future__ import annotations

import pytest

from stix.clouds.catalog.refresh import registry
from stix.clouds.catalog.refresh.providers.aws import Amazon
from stix.clouds.catalog.refresh.providers.azure import Azure
from stix.clouds.catalog.refresh.providers.cudo import Cudo
from stix.clouds.catalog.refresh.providers.do import DigitalOcean
from stix.clouds.catalog.refresh.providers.gcp import Google
from stix.clouds.catalog.refresh.providers.hetzner import Hetzner
from stix.clouds.catalog.refresh.providers.hyperstack import Hyperstack
from stix.clouds.catalog.refresh.providers.lambda_ import Lambda
from stix.clouds.catalog.refresh.providers.linode import Linode
from stix.clouds.catalog.refresh.providers.oci import Oracle
from stix.clouds.catalog.refresh.providers.runpod import RunPod
from stix.clouds.catalog.refresh.providers.scaleway import Scaleway
from stix.clouds.catalog.refresh.providers.shadeform import Shadeform
from stix.clouds.catalog.refresh.providers.vast import Vast
from stix.clouds.catalog.refresh.providers.verda import Verda
from stix.clouds.catalog.refresh.providers.vultr import Vultr
from stix.clouds.catalog.testing.bench import Bench
from stix.clouds.catalog.testing.suite import RefresherConformance
from stix.clouds.catalog.testing.world import row
from tests.support.pricing import big, gpus, small


class TestAws(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        h100 = {"accelerator": "H100", "accelerator_count": 8.0, "cpus": 192.0}
        before = [
            row("aws", "p5.48xlarge", "us-east-1", 55.04, **h100),
            row("aws", "g6.2xlarge", "eu-west-1", 1.1, accelerator="L4", accelerator_count=1.0),
        ]
        expect = {
            ("p5.48xlarge", "us-east-1"): (55.04, 18.2),
            ("g6.xlarge", "us-east-1"): (0.8048, 0.31),
            ("c7g.large", "us-east-1"): (0.0725, None),
            ("m7i.xlarge", "eu-west-1"): (0.2241, 0.09),
        }
        return Bench(Amazon, big.aws, expect, "PricePerUnit", 7, before)


class TestAzure(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        h100 = {"accelerator": "H100", "accelerator_count": 8.0, "cpus": 96.0}
        before = [
            row("azure", "Standard_ND96isr_H100_v5", "eastus", 98.32, **h100),
            row("azure", "Standard_D4s_v5", "westeurope", 0.224),
            row("azure", "Standard_E4s_v5", "eastus", 0.252),
        ]
        expect = {
            ("Standard_ND96isr_H100_v5", "eastus"): (98.32, 18.2),
            ("Standard_D4s_v5", "eastus"): (0.192, 0.0354),
            ("Standard_D4s_v5", "westeurope"): (0.224, None),
        }
        return Bench(Azure, big.azure, expect, "retailPrice", 6, before)


class TestGcp(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        t4 = {"accelerator": "T4", "accelerator_count": 1.0}
        mega = {"accelerator": "H100-MEGA", "accelerator_count": 8.0}
        slice_ = {"cpus": 0.0, "memory_gib": 0.0, "accelerator": "tpu-v5e-8", "scope": "slice"}
        before = [
            row("gcp", "n1-standard-4", "us-central1", 0.19, memory_gib=15.0),
            row("gcp", "n1-standard-4", "us-east1", 0.54, memory_gib=15.0, zone="us-east1-c", **t4),
            row("gcp", "a3-megagpu-8g", "us-east1", 82.0, cpus=208.0, memory_gib=1872.0, **mega),
            row("gcp", "c2-standard-4", "us-east1", 0.21),
            row("gcp", "TPU-VM", "us-east1", 9.6, accelerator_count=1.0, **slice_),
        ]
        expect = {
            ("n1-standard-4", "us-central1"): (0.189999, 0.04202),
            ("n1-standard-4", "us-east1"): (0.539999, 0.15202),
            ("a3-megagpu-8g", "us-east1"): (83.369534, None),
            ("c2-standard-4", "us-east1"): (0.20872, None),
            ("TPU-VM", "us-east1"): (9.6, None),
        }
        return Bench(Google, big.gcp, expect, "unitPrice", 3, before)


class TestOci(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        before = [
            row("oci", "VM.Standard.E5.Flex$_8_32", "*", 0.18, cpus=8.0),
            row("oci", "VM.Standard.A1.Flex$_4_24", "*", 0.08, cpus=4.0),
            row("oci", "BM.GPU.H100.8", "*", 80.0, cpus=112.0),
            row("oci", "VM.GPU.A10.2", "*", 4.0, cpus=30.0),
        ]
        expect = {
            ("VM.Standard.E5.Flex$_8_32", "*"): (0.184, 0.092),
            ("VM.Standard.A1.Flex$_4_24", "*"): (0.076, None),
            ("BM.GPU.H100.8", "*"): (80.0, None),
        }
        return Bench(Oracle, big.oci, expect, "partNumber", 2, before)


class TestRunPod(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("1x_A100-80GB_SECURE", "*"): (1.39, 0.79),
            ("8x_H100-SXM_SECURE", "*"): (23.92, 14.0),
            ("1x_L40S_SECURE", "*"): (0.99, None),
        }
        before = [row("runpod", "1x_L40S_SECURE", "*", 0.99, accelerator="L40S")]
        return Bench(RunPod, gpus.runpod, expect, "securePrice", 4, before)


class TestLambda(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("gpu_8x_h100_sxm5", "us-west-3"): (31.92, None),
            ("gpu_1x_a100_sxm4", "us-east-3"): (1.99, None),
            ("gpu_1x_gh200", "nowhere"): (2.29, None),
        }
        return Bench(Lambda, gpus.lambda_cloud, expect, "price_cents_per_hour")


class TestVast(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("1x-RTX_4090-16-65536", "US"): (0.40, 0.25),
            ("1x-RTX_4090-16-65536", "NO"): (0.38, 0.20),
            ("8x-H100_SXM-16-65536", "FR"): (14.4, 9.0),
        }
        return Bench(Vast, gpus.vast, expect, "dph_base")


class TestDigitalOcean(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("gpu-h100x8-640gb", "nyc2"): (23.92, None),
            ("s-4vcpu-8gb", "fra1"): (0.07143, None),
        }
        return Bench(DigitalOcean, small.digitalocean, expect, "price_hourly", 3)


class TestHetzner(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {("ccx33", "fsn1"): (0.11, None), ("cpx22", "ash"): (0.022, None)}
        return Bench(Hetzner, small.hetzner, expect, "price_hourly", 3)


class TestLinode(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("g6-dedicated-8", "us-ord"): (0.216, None),
            ("g6-dedicated-8", "id-cgk"): (0.2592, None),
            ("g2-gpu-rtx4000a2-s", "de-fra-2"): (1.04, None),
        }
        return Bench(Linode, small.linode, expect, "hourly", 4)


class TestVultr(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("vcg-l40s-16c-180g-48vram", "ewr"): (1.671, None),
            ("vc2-1c-1gb", "ams"): (0.009, None),
            ("vbm-256c-2048gb-8-mi300x-gpu", "ord"): (17.52, 14.72),
        }
        return Bench(Vultr, small.vultr, expect, "hourly_cost", 3)


class TestScaleway(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("H100-1-80G", "fr-par"): (2.772, None),
            ("L4-2-24G", "pl-waw"): (1.65, None),
            ("AMP2-C8", "fr-par"): (0.077, None),
        }
        return Bench(Scaleway, small.scaleway, expect, "hourly_price", 14)


class TestVerda(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("1H100.80S.30V", "FIN-01"): (2.29, 0.80),
            ("CPU.120V.480G", "ICE-01"): (0.84, 0.29),
        }
        return Bench(Verda, gpus.verda, expect, "price_per_hour", 2)


class TestHyperstack(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("n3-H100x1", "CANADA-1"): (1.90, None),
            ("n3-L40x2", "CANADA-1"): (2.0, None),
            ("n3-A100x8", "NORWAY-1"): (10.8, None),
        }
        return Bench(Hyperstack, gpus.hyperstack, expect, "value", 2)


class TestShadeform(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("hyperstack_H100", "canada-1"): (2.40, None),
            ("lambdalabs_A100_80Gx8", "us-west-1"): (13.0, None),
        }
        return Bench(Shadeform, gpus.shadeform, expect, "hourly_price")


class TestCudo(RefresherConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        expect = {
            ("epyc-genoa-h100_1x2v4gb", "no-luster-1"): (2.5202, None),
            ("ice-lake-a40_8x32v64gb", "se-smedjebacken-1"): (3.9232, None),
        }
        return Bench(Cudo, gpus.cudo, expect, "gpuPriceHr")


def test_every_refresher_is_under_the_suite() -> None:
    suites = [kind for kind in globals().values() if isinstance(kind, type)]
    tested = [k for k in suites if issubclass(k, RefresherConformance)][1:]
    assert len(tested) == len(registry.names()) == 16
