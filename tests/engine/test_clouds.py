"""Which clouds an engine uses: what the user says, else where there are credentials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.config import CloudConfig
from stix.clouds.errors import InvalidRequest
from stix.engine.runtime import CloudSet
from tests.support.comet import Comet


@pytest.fixture
def comet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comet:
    made = Comet.make(tmp_path)
    monkeypatch.syspath_prepend(made.site)
    monkeypatch.setenv("COMET_FOLDER", str(made.folder))
    return made


def clouds(folder: Path, said: bool | None = None, **settings: Any) -> CloudSet:
    def config(block: Mapping[str, Any]) -> CloudConfig:
        return CloudConfig(home=folder, socket_dir=folder, settings=block)

    configs = {"local": config({}), "comet": config(settings), "broken": config({})}
    return CloudSet(configs, {"local": None, "comet": said, "broken": None})


def test_a_cloud_is_used_as_long_as_it_has_credentials(comet: Comet, tmp_path: Path) -> None:
    used = clouds(tmp_path)
    assert used.names == ["local"]
    comet.give_key()
    assert used.names == ["local", "comet"]
    comet.lose_key()
    assert used.names == ["local"]
    assert comet.calls() == []


def test_the_users_word_counts(comet: Comet, tmp_path: Path) -> None:
    assert clouds(tmp_path, True).names == ["local", "comet"]
    comet.give_key()
    assert clouds(tmp_path, False).names == ["local"]


@pytest.mark.usefixtures("comet")
def test_who_wrote_a_block_hears_what_is_wrong_with_it(tmp_path: Path) -> None:
    used = clouds(tmp_path, regoin="us")
    assert used.names == ["local", "comet"]
    with pytest.raises(InvalidRequest, match=r"config\.yaml: comet\.regoin is not known") as caught:
        used.get("comet")
    assert "did you mean 'region'" in caught.value.fix


def test_an_adapter_that_breaks_hides_no_other(
    comet: Comet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    comet.give_key()
    info = comet.site / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\n")
    (info / "entry_points.txt").write_text("[stix.clouds]\nbroken = broken_cloud:Cloud\n")
    (comet.site / "broken_cloud.py").write_text("1 / 0\n")
    assert clouds(tmp_path).names == ["local", "comet"]
    assert "the adapter of broken failed" in caplog.text
