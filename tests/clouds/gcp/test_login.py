"""Who STIX is at Google: real google-auth, against the double's endpoint for tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stix.clouds.config import CloudConfig
from stix.clouds.errors import AuthError, InvalidRequest
from stix.clouds.gcp import GcpCloud, wire
from tests.support.clouds.gcp import Gcp
from tests.support.clouds.gcp_base import ACCOUNT, PROJECT, TOKEN, key_file, private_pem


def cloud(home: Path, double: Gcp | None = None, **settings: Any) -> GcpCloud:
    url = {"endpoint_url": double.url} if double else {}
    return GcpCloud(CloudConfig(home, home, {**url, "timeout": 0.5, **settings}, "h"))


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer on which nobody has logged in."""
    for name in (wire.VARIABLE, *wire.PROJECTS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setattr(wire, "BOARD", tmp_path / "board")


async def test_without_credentials_the_fix_names_a_way(tmp_path: Path) -> None:
    bare = cloud(tmp_path)
    assert bare.credentials() == ""
    with pytest.raises(AuthError, match="no credentials") as caught:
        await bare.check()
    assert "gcloud auth" in caught.value.fix


def test_a_google_machine_has_a_metadata_server(tmp_path: Path) -> None:
    (tmp_path / "board").write_text("Google Compute Engine\n")
    assert cloud(tmp_path).credentials() == "the metadata server"


async def test_a_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Gcp().running() as double:
        monkeypatch.setenv(wire.VARIABLE, str(key_file(tmp_path, double.url)))
        found = cloud(tmp_path, double)
        assert found.credentials() == f"${wire.VARIABLE}"
        identity = await found.check()
        assert (identity.account, identity.detail) == (ACCOUNT, f"project {PROJECT}")
        await found.check()
        assert [asked.path for asked in double.server.requests].count("/token") == 1
        await found.close()


async def test_a_token_that_was_revoked_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gcp().running() as double:
        monkeypatch.setenv(wire.VARIABLE, str(key_file(tmp_path, double.url)))
        found = cloud(tmp_path, double)
        await found.check()
        double.token_now = f"{TOKEN}-2"
        with pytest.raises(AuthError):
            await found.check()
        await found.check()
        await found.close()


def test_a_user_who_logged_in_with_gcloud(tmp_path: Path) -> None:
    folder = tmp_path / "gcloud"
    folder.mkdir()
    file = folder / "application_default_credentials.json"
    file.write_text("{}")
    assert cloud(tmp_path).credentials() == str(file)


async def test_another_project_may_pay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Gcp().running() as double:
        monkeypatch.setenv(wire.VARIABLE, str(key_file(tmp_path, double.url)))
        monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "payer")
        found = cloud(tmp_path, double)
        await found.check()
        assert double.server.requests[-1].headers["x-goog-user-project"] == "payer"
        await found.close()


async def test_a_refused_key_is_told_without_showing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gcp().running() as double:
        file = key_file(tmp_path, double.url)
        file.write_text(file.read_text().replace(ACCOUNT, "thief@x"))
        monkeypatch.setenv(wire.VARIABLE, str(file))
        with pytest.raises(AuthError, match="refused") as caught:
            await cloud(tmp_path, double).check()
        assert private_pem() not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_file_that_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.json").write_text("{}")
    monkeypatch.setenv(wire.VARIABLE, str(tmp_path / "key.json"))
    with pytest.raises(AuthError, match="cannot be used"):
        await cloud(tmp_path).check()


async def test_the_project_may_be_named_by_the_settings_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gcp().running() as double:
        file = key_file(tmp_path, double.url)
        file.write_text(file.read_text().replace(f'"project_id": "{PROJECT}"', '"project_id": ""'))
        monkeypatch.setenv(wire.VARIABLE, str(file))
        with pytest.raises(AuthError, match="no project"):
            await cloud(tmp_path, double).check()
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
        found = cloud(tmp_path, double)
        assert (await found.check()).detail == f"project {PROJECT}"
        await found.close()


def test_a_setting_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="projekt"):
        cloud(tmp_path, projekt="x")
