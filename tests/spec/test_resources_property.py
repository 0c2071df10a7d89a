"""Resources of any shape are the same after a journey through their forms."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stix.spec.resources import Resources
from stix.spec.sky import canonical
from stix.spec.stage import StageSpec
from stix.spec.wire import stage_to_wire
from stix.spec.yaml.write import dump

NAMES = st.text("abcdefgh-123", min_size=1, max_size=8)
SPACES = st.sampled_from(
    ["aws/r", "gcp/r/z", "*/r", "k8s/a/b", "ssh/lab", "local", "AWS", "oci/*/z"]
)
AMOUNTS = st.one_of(
    st.integers(1, 999),
    st.floats(0.25, 999, allow_nan=False),
    st.integers(1, 999).map(lambda n: f"{n}+"),
)
PORTS = st.one_of(
    st.integers(1, 65535),
    st.tuples(st.integers(1, 30000), st.integers(0, 30000)).map(lambda p: f"{p[0]}-{p[0] + p[1]}"),
)
ONE = st.sampled_from(["A100", "A100:8", "L4:0.5", "80GB+", "NVIDIA:24GB:2", "tpu-v4-8"])
RECOVERY = st.one_of(
    st.sampled_from(["failover", "EAGER_NEXT_REGION", "none"]),
    st.fixed_dictionaries(
        {},
        optional={
            "strategy": st.sampled_from([None, "FAILOVER", "none"]),
            "max_restarts_on_errors": st.integers(0, 9),
            "recover_on_exit_codes": st.one_of(
                st.integers(0, 255), st.lists(st.integers(0, 255), max_size=3, unique=True)
            ),
        },
    ),
)
AUTOSTOP = st.one_of(
    st.booleans(),
    st.integers(0, 999),
    st.sampled_from(["5m", "2h", "1D"]),
    st.fixed_dictionaries(
        {},
        optional={
            "idle_minutes": st.integers(0, 99),
            "down": st.booleans(),
            "wait_for": st.sampled_from(["jobs", "NONE"]),
            "hook": st.just("echo bye"),
        },
    ),
)
LABELS = st.dictionaries(NAMES, NAMES, min_size=1, max_size=3)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "cpus": AMOUNTS,
    "memory": st.one_of(AMOUNTS, st.sampled_from(["16GB", "1TB+", "3x", "512MB"])),
    "use_spot": st.booleans(),
    "disk_size": st.one_of(st.integers(1, 9999), st.sampled_from(["256GB", "1TB"])),
    "disk_tier": st.sampled_from(["low", "BEST"]),
    "network_tier": st.sampled_from(["standard", "best"]),
    "local_disk": st.sampled_from(["nvme", "ssd:500", "1000+"]),
    "max_hourly_cost": st.floats(0.01, 99),
    "ports": st.one_of(PORTS, st.lists(PORTS, max_size=4), st.none()),
    "labels": LABELS,
    "autostop": AUTOSTOP,
    "priority_class": NAMES,
    "image_id": st.one_of(NAMES, st.dictionaries(NAMES, NAMES, max_size=2), st.none()),
    "volumes": st.lists(
        st.fixed_dictionaries(
            {"path": st.just("/mnt"), "name": NAMES}, optional={"disk_size": st.integers(1, 9)}
        ),
        max_size=2,
    ),
    "_is_image_managed": st.booleans(),
    "_requires_fuse": st.booleans(),
}
ENTRIES = st.lists(
    st.fixed_dictionaries({}, optional={**FIELDS, "accelerators": ONE}), min_size=1, max_size=3
)
MAPS = st.fixed_dictionaries(
    {},
    optional={
        **FIELDS,
        "infra": SPACES,
        "priority": st.integers(-1000, 1000),
        "job_recovery": RECOVERY,
        "any_of": ENTRIES,
    },
) | st.fixed_dictionaries(
    {},
    optional={
        **FIELDS,
        "accelerators": st.one_of(
            ONE,
            st.lists(ONE, min_size=1, max_size=3),
            st.dictionaries(NAMES, st.floats(0.5, 8), min_size=1, max_size=3),
        ),
        "job_recovery": RECOVERY,
    },
)


def read(given_map: dict[str, Any]) -> StageSpec | None:
    try:
        return StageSpec.model_validate({"run": "x", "resources": given_map})
    except ValueError:
        return None  # such as a TPU of a cloud that has none


@settings(max_examples=150, deadline=None)
@given(MAPS)
def test_journeys(given_map: dict[str, Any]) -> None:
    before = json.dumps(given_map)
    stage = read(given_map)
    assert json.dumps(given_map) == before
    if stage is None:
        return
    wire = stage_to_wire(stage)
    again = StageSpec.model_validate(json.loads(json.dumps(wire)))
    assert again.resources == stage.resources
    assert again.resources.alternatives() == stage.resources.alternatives()
    kept = Resources.model_validate(stage.resources.model_dump(exclude_unset=True))
    assert kept == stage.resources
    form = canonical(dump({"run": "x", "resources": given_map}))
    assert canonical(json.dumps(form[0])) == form
    assert canonical(json.dumps(wire)) == form
