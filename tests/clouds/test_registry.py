"""Clouds are found by entry points: a package that is on the path joins with no edit here."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from stix.clouds import registry
from stix.clouds.config import CloudConfig

ADAPTER = """
class Cloud:
    name = "comet"

    def __init__(self, config):
        self.config = config

    async def check(self): ...
    async def offers(self): return []
    async def create(self, request): return []
    async def list(self, selector): return []
    async def terminate(self, nodes): ...
    async def runner(self, node): ...
    async def close(self): ...
"""


def package(folder: Path, name: str, entry: str, source: str, extra: str = "") -> None:
    """Lay out an installed distribution, as pip would."""
    (folder / f"{name}_cloud.py").write_text(source)
    info = folder / f"{name}_cloud-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(f"[stix.clouds]\n{name} = {entry}\n")
    provides = f"Provides-Extra: {extra}\n" if extra else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-cloud\n{provides}\n")


@pytest.fixture
def config(tmp_path: Path) -> CloudConfig:
    return CloudConfig(home=tmp_path, socket_dir=tmp_path)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    return folder


def test_our_own_clouds_are_there(config: CloudConfig) -> None:
    assert {"local", "ssh"} <= set(registry.names())
    assert registry.get("local", config).name == "local"


def test_a_third_party_joins_with_no_edit(site: Path, config: CloudConfig) -> None:
    package(site, "comet", "comet_cloud:Cloud", ADAPTER)
    assert "comet" in registry.names()
    cloud = registry.get("comet", config)
    assert (cloud.name, vars(cloud)["config"]) == ("comet", config)
    assert registry.open_cloud("comet", config).name == "comet"


def test_an_unknown_name_is_answered_with_the_nearest(config: CloudConfig) -> None:
    with pytest.raises(registry.UnknownCloud, match="no cloud named 'locl'") as caught:
        registry.get("locl", config)
    assert "did you mean 'local'?" in caught.value.fix
    with pytest.raises(registry.UnknownCloud) as caught:
        registry.get("zzzzz", config)
    assert f"installed clouds: {', '.join(registry.names())}" in caught.value.fix


@pytest.mark.parametrize(
    ("extra", "fix"),
    [("meteor", "pip install 'meteor-cloud[meteor]'"), ("", "pip install no_such_library")],
)
def test_a_missing_library_is_named_with_what_to_install(
    site: Path, config: CloudConfig, extra: str, fix: str
) -> None:
    package(site, "meteor", "meteor_cloud:Cloud", "import no_such_library\n", extra)
    sys.modules.pop("meteor_cloud", None)
    with pytest.raises(registry.CloudNotInstalled, match="needs the module 'no_such_library'") as e:
        registry.get("meteor", config)
    assert e.value.fix == fix


def test_names_load_no_adapter() -> None:
    code = (
        "import sys; from stix.clouds import registry; registry.names();"
        "print([m for m in sys.modules if m in ('asyncssh', 'boto3', 'prefect')"
        " or m.startswith('stix.clouds.local') or m.startswith('stix.clouds.ssh')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
