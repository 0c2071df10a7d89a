"""Fail-over over three providers: what each answers leads where it should, and is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from stix.clouds.config import CloudConfig
from stix.engine.runtime import CloudSet
from stix.ledger import AttemptRow
from tests.support.clouds.do import KEY as DO_KEY
from tests.support.clouds.do import DigitalOcean
from tests.support.clouds.hetzner import KEY as HETZNER_KEY
from tests.support.clouds.hetzner import Hetzner
from tests.support.clouds.lambda_ import KEY as LAMBDA_KEY
from tests.support.clouds.lambda_ import Lambda
from tests.support.yard import Yard

TEXT = """
name: elsewhere
stages:
  a:
    run: 'true'
    estimate: {time: 1m}
    recovery: {capacity: {retries: 5, backoff: 0s}}
    resources:
      ordered:
        - {infra: lambda/us-west-1, instance_type: cpu_4x_general}
        - {infra: lambda/us-east-1, instance_type: cpu_4x_general}
        - {infra: do/nyc1, instance_type: s-4vcpu-8gb}
        - {infra: hetzner/fsn1, instance_type: ccx13}
"""


@dataclass
class Three:
    """Three providers, and a yard that may use them."""

    yard: Yard
    gpus: Lambda
    ocean: DigitalOcean
    hetzner: Hetzner

    async def tried(self) -> list[tuple[str, str, str]]:
        """A run that ends badly: where, what happened, and how far it reaches, in order."""
        ended = await self.yard.run(TEXT)
        assert ended.state == "failed"
        assert not (self.gpus.boxes or self.ocean.boxes or self.hetzner.boxes)
        [attempt] = ended.attempts
        return history(attempt)


def history(attempt: AttemptRow) -> list[tuple[str, str, str]]:
    """As ``stix runs show`` has it."""
    tried = attempt.steps["shortages"]["result"]["tried"] if "shortages" in attempt.steps else []
    found = [(t["infra"], t["event"]["kind"], t["event"].get("scope", "")) for t in tried]
    assert attempt.event is not None and attempt.offer is not None
    last = attempt.offer["offer"]
    return [*found, (f"{last['cloud']}/{last['region']}", attempt.event["kind"], "")]


@pytest.fixture
def three(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Three]:
    keys = {"LAMBDA_API_KEY": LAMBDA_KEY, "DIGITALOCEAN_TOKEN": DO_KEY, "HCLOUD_TOKEN": HETZNER_KEY}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        gpus = stack.enter_context(Lambda().running())
        ocean = stack.enter_context(DigitalOcean().running())
        hetzner = stack.enter_context(Hetzner().running())
        home = yard.workshop.runtime.config.home
        urls = {"lambda": gpus.url, "do": ocean.url, "hetzner": hetzner.url}
        configs = {
            name: CloudConfig(home, home, {"endpoint_url": url}, "0a1b2c3d4e5f")
            for name, url in urls.items()
        }
        clouds = CloudSet(configs, dict.fromkeys(configs, True), yard.ledger)
        yard.workshop.runtime = replace(yard.workshop.runtime, clouds=clouds)
        yield Three(yard, gpus, ocean, hetzner)


async def test_a_full_region_leads_to_the_next_and_a_refused_login_to_the_next_cloud(
    three: Three,
) -> None:
    three.gpus.refuse("capacity", 2)
    three.ocean.lock_out(True)
    three.hetzner.refuse("invalid")
    assert await three.tried() == [
        ("lambda/us-west-1", "capacity", "region"),
        ("lambda/us-east-1", "capacity", "region"),
        ("do/nyc1", "denied", "cloud"),
        ("hetzner/fsn1", "refused", ""),
    ]


async def test_a_quota_of_the_account_leads_to_the_next_cloud(three: Three) -> None:
    three.gpus.refuse("quota")
    three.ocean.refuse("invalid")
    assert await three.tried() == [
        ("lambda/us-west-1", "capacity", "cloud"),
        ("do/nyc1", "refused", ""),
    ]


async def test_a_wrong_order_stops_at_once(three: Three) -> None:
    three.gpus.refuse("invalid")
    assert await three.tried() == [("lambda/us-west-1", "refused", "")]
    assert three.ocean.asked() == 0
