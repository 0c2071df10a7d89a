"""What a rented cloud's block of config.yaml may hold: what it does not know is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.clouds import registry
from stix.clouds.config import CloudConfig
from stix.clouds.errors import InvalidRequest
from stix.clouds.rented.cloud import COMMON, RentedCloud


def rented() -> list[str]:
    """Names of the clouds that stand on the shared base and can be loaded."""
    loaded = {name: registry.load(name) for name in registry.names()}
    return [
        n for n, made in loaded.items() if isinstance(made, type) and issubclass(made, RentedCloud)
    ]


@pytest.mark.parametrize("name", rented())
def test_an_unknown_setting_is_named_with_the_nearest(name: str, tmp_path: Path) -> None:
    block = {"endpont_url": "http://127.0.0.1:9"}
    with pytest.raises(InvalidRequest, match=f"config.yaml: {name}.endpont_url") as refused:
        registry.get(name, CloudConfig(tmp_path, tmp_path, block))
    assert "endpoint_url" in refused.value.fix


@pytest.mark.parametrize("name", rented())
def test_settings_that_all_have_are_known(name: str, tmp_path: Path) -> None:
    adapter = registry.load(name)
    assert isinstance(adapter, type) and issubclass(adapter, RentedCloud)
    known = {setting.name for setting in adapter.settings}
    assert {"endpoint_url", "timeout"} <= known
    assert known >= {s.name for s in COMMON} or adapter.settings is not COMMON
    assert all(setting.doc for setting in adapter.settings)
