"""What stages hand on lies in a store between them, and both ways are paid."""

from __future__ import annotations

import pytest

from stix.plan.egress import Egress
from stix.plan.joint import Given, place_together
from stix.plan.landing import Landing
from stix.plan.regions import Place
from tests.plan.test_joint import ALL, EAST, GCP, GPU, WEST, chain, pipeline, regions

AT_EAST, AT_WEST = Place("aws", "us-east-1"), Place("aws", "us-west-2")
AT_GCP, HERE = Place("gcp", "us-central1"), Place("local")


def test_a_store_in_each_region_costs_but_the_time_to_write() -> None:
    stores = [AT_EAST, AT_WEST, AT_GCP]
    straight = place_together(chain(), ALL)
    stored = place_together(chain(), ALL, given=Given(stores=stores))
    assert regions(stored) == regions(straight) and stored.egress_usd == straight.egress_usd == 0
    parts = [(stage.cost.parts, stage.offer.price) for stage in stored.stages.values()]
    writing = sum(part.data_s * price for part, price in parts) / 3600
    assert stored.usd.value - straight.usd.value == pytest.approx(writing)
    assert [e.usd for e in stored.edges] == [e.usd for e in straight.edges]


def test_outputs_land_in_the_nearest_store() -> None:
    landing = Landing((HERE, AT_EAST, AT_GCP), Egress.bundled())
    assert landing.of(Place("aws", "us-east-1", "us-east-1b")) == AT_EAST
    assert landing.of(AT_GCP) == AT_GCP
    assert landing.of(Place("local", "-")) == HERE
    assert landing.of(AT_WEST) == AT_EAST  # 0.02 USD for a GB, and 0.09 to anywhere else
    assert Landing((), Egress.bundled()).of(AT_WEST) == AT_WEST


def test_what_goes_to_a_store_elsewhere_is_paid_both_ways() -> None:
    """All on GCP, and the only store on AWS: nothing would be moved, were it not for the store."""
    pins = {"prepare": GCP[0], "train": GCP[1], "test": GCP[1]}
    straight = place_together(chain(), ALL, given=Given(pinned=pins))
    stored = place_together(chain(), ALL, given=Given(pinned=pins, stores=[AT_EAST]))
    egress, made, read = Egress.bundled(), 500 + 400, 500 + 400 + 500
    volume = made + read
    there = egress.way(AT_GCP, AT_EAST, volume).usd_per_gb * made
    back = egress.way(AT_EAST, AT_GCP, volume).usd_per_gb * read
    assert straight.egress_usd == 0 and there > 0 and back > 0
    assert stored.egress_usd == pytest.approx(there + back)
    parts = [stage.cost.parts for stage in stored.stages.values()]
    assert sum(part.written_usd for part in parts) == pytest.approx(there)
    assert [part.data_s > 0 for part in parts] == [True, True, False]  # `test` makes nothing
    assert {edge.origin for edge in stored.edges} == {"aws/us-east-1"}
    # The movement takes its time on machines that are paid.
    compute = sum(part.data_s for part in parts[:1]) / 3600 * GCP[0].price
    assert stored.usd.value - straight.usd.value > there + back + compute * 0.99


def test_stages_go_to_the_store_where_their_data_is_heavy() -> None:
    given = Given(stores=[AT_WEST])
    assert regions(place_together(chain(), ALL, given=given)) == ["aws/us-west-2"] * 3
    light = place_together(chain("0GB"), ALL, given=given)
    assert light.stages["prepare"].offer == GCP[0]


def test_outputs_that_nobody_reads_are_paid_too() -> None:
    spec = pipeline(
        make={
            "resources": GPU,
            "outputs": {"o": "o"},
            "estimate": {"time": "1h", "outputs": {"o": 900}},
        }
    )
    offers = [EAST[1], GCP[1]]
    assert place_together(spec, offers).stages["make"].offer == EAST[1]
    stored = place_together(spec, offers, given=Given(stores=[AT_GCP]))
    assert stored.stages["make"].offer == GCP[1] and stored.egress_usd == 0


def test_a_store_on_this_machine_costs_what_leaves_the_cloud() -> None:
    pins = {"prepare": WEST[0], "train": WEST[1], "test": WEST[1]}
    stored = place_together(chain(), ALL, given=Given(pinned=pins, stores=[HERE]))
    egress = Egress.bundled()
    out = egress.way(AT_WEST, HERE, 2300).usd_per_gb * 900
    assert stored.egress_usd == pytest.approx(out) and sum(e.usd.value for e in stored.edges) == 0
