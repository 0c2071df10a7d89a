"""Who STIX is at Azure: real azure-identity, against the double of a managed identity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.azure import AzureCloud, wire
from stix.clouds.config import CloudConfig
from stix.clouds.errors import AuthError, TransientError
from tests.support.clouds.azure import Azure
from tests.support.clouds.azure_base import HEADER, SUBSCRIPTION, TOKEN, surroundings

PRINCIPAL = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t"}


def cloud(home: Path, double: Azure | None = None, **settings: Any) -> AzureCloud:
    url = {"endpoint_url": double.url} if double else {}
    return AzureCloud(CloudConfig(home, home, {**url, "timeout": 0.5, **settings}, "h"))


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer on which nobody has logged in."""
    for name in (*wire.PRINCIPAL, *wire.IDENTITY, *PRINCIPAL, "AZURE_SUBSCRIPTION_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "cli"))
    monkeypatch.setattr(wire, "BOARD", tmp_path / "board")


def settle(monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)


async def test_without_credentials_the_fix_names_a_way(tmp_path: Path) -> None:
    bare = cloud(tmp_path)
    assert bare.credentials() == ""
    with pytest.raises(AuthError, match="no credentials") as caught:
        await bare.check()
    assert "az login" in caught.value.fix


@pytest.mark.parametrize("name", wire.PRINCIPAL)
def test_a_service_principal_comes_first(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(monkeypatch, IDENTITY_ENDPOINT="http://x", **{name: "v"})
    assert cloud(tmp_path).credentials() == "the managed identity of $IDENTITY_ENDPOINT"
    settle(monkeypatch, **PRINCIPAL)
    assert cloud(tmp_path).credentials() == f"${name}"


def test_the_login_of_the_cli_and_the_identity_of_a_machine(tmp_path: Path) -> None:
    (tmp_path / "board").write_text(f"{wire.AZURES_BOARD}\n")
    assert cloud(tmp_path).credentials() == "the managed identity of this machine"
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "azureProfile.json").write_text("{}")
    assert cloud(tmp_path).credentials() == str(tmp_path / "cli")


async def test_a_managed_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Azure().running() as double:
        settle(monkeypatch, **surroundings(double.url))
        found = cloud(tmp_path, double)
        identity = await found.check()
        assert (identity.account, identity.detail) == ("Comet", f"subscription {SUBSCRIPTION}")
        await found.check()
        asked = [request.path for request in double.server.requests]
        assert asked.count("/msi/token") == 1
        await found.close()


async def test_a_refused_identity_is_told_without_showing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Azure().running() as double:
        settle(monkeypatch, **{**surroundings(double.url), "IDENTITY_HEADER": f"{HEADER}-old"})
        with pytest.raises(AuthError, match="refused") as caught:
            await cloud(tmp_path, double).check()
        shown = f"{caught.value!r} {caught.value.__cause__!r}"
        assert HEADER not in shown
        assert TOKEN not in shown


@pytest.mark.parametrize("kind", ["error 500", "cut before", "busy 429"])
async def test_no_token_for_now_is_no_refusal(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Azure().running() as double:
        settle(monkeypatch, **surroundings(double.url))
        double.wire(kind, 0)
        found = cloud(tmp_path, double)
        with pytest.raises(TransientError):
            await found.check()
        await found.check()
        await found.close()


async def test_the_subscription_is_that_of_the_cli_where_nothing_else_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Azure().running() as double:
        settle(monkeypatch, **surroundings(double.url))
        monkeypatch.delenv("AZURE_SUBSCRIPTION_ID")
        with pytest.raises(AuthError, match="no subscription"):
            await cloud(tmp_path, double).check()
        known = [{"id": "other"}, {"id": SUBSCRIPTION, "isDefault": True}]
        (tmp_path / "cli").mkdir()
        profile = tmp_path / "cli" / "azureProfile.json"
        profile.write_text(json.dumps({"subscriptions": known}), encoding="utf-8-sig")
        found = cloud(tmp_path, double)
        assert (await found.check()).detail == f"subscription {SUBSCRIPTION}"
        await found.close()
