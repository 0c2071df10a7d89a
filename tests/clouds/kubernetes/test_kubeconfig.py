"""Where clusters are found, and how to log in to them."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stix.clouds.config import CloudConfig
from stix.clouds.errors import AuthError, InvalidRequest
from stix.clouds.kubernetes import KubernetesCloud
from stix.clouds.kubernetes.kubeconfig import places
from stix.clouds.kubernetes.settings import Settings
from tests.support.kube.double import TOKEN, USER, KubeDouble
from tests.support.kube.fixture import kube_double

SECRET = "s3cr3t-5d41402abc"


@pytest.fixture(scope="module")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    with kube_double(tmp_path_factory.mktemp("kube")) as double:
        yield double


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kube: KubeDouble) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    kube.clear()


def write(path: Path, **document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


def named(name: str, key: str, **body: Any) -> list[dict[str, Any]]:
    return [{"name": name, key: body}]


async def identity(tmp_path: Path, **settings: Any) -> str:
    cloud = KubernetesCloud(CloudConfig(tmp_path, tmp_path, settings, "home"))
    try:
        return (await cloud.check()).account
    finally:
        await cloud.close()


async def refused(tmp_path: Path, **settings: Any) -> AuthError:
    with pytest.raises(AuthError) as caught:
        await identity(tmp_path, **settings)
    assert SECRET not in f"{caught.value!r}{caught.value}{caught.value.fix}"
    assert caught.value.fix
    return caught.value


def test_files_are_merged_and_the_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write(
        tmp_path / "one" / "config",
        contexts=named("a", "context", cluster="east", user="u", namespace="first"),
        users=named("u", "user", token="one"),
    )
    two = write(
        tmp_path / "two" / "config",
        **{"current-context": "a"},
        contexts=named("a", "context", cluster="west", user="u", namespace="second")
        + named("b", "context", cluster="east", user="u"),
        clusters=named("east", "cluster", server="https://e/", **{"certificate-authority": "ca"}),
        users=named("u", "user", token="two", tokenFile="token"),
    )
    monkeypatch.setenv("KUBECONFIG", f"{one}:{tmp_path / 'missing'}:{two}")
    found = places(Settings())
    assert list(found) == ["a"]
    assert (found["a"].namespace, found["a"].server) == ("first", "https://e")
    assert found["a"].user == {"token": "one"}
    assert found["a"].cluster["certificate-authority"] == str(tmp_path / "two" / "ca")
    both = places(Settings(contexts=("a", "b"), namespace="own"))
    assert [(p.context, p.namespace) for p in both.values()] == [("a", "own"), ("b", "own")]


def test_no_place_shows_a_secret(tmp_path: Path) -> None:
    file = write(
        tmp_path / ".kube" / "config",
        **{"current-context": "a"},
        contexts=named("a", "context", cluster="c", user="u"),
        clusters=named("c", "cluster", server="https://e"),
        users=named("u", "user", token=SECRET),
    )
    assert SECRET in file.read_text()
    assert SECRET not in repr(places(Settings()))


@pytest.mark.parametrize(
    "text", ["users: [{name: u, user: {token: " + SECRET, "[1, 2]", "contexts: {a: b}", "\x00"]
)
def test_a_broken_file_is_named_and_not_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(InvalidRequest, match=str(file)) as caught:
        places(Settings(kubeconfig=file))
    assert SECRET not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_an_unknown_context_names_the_known(kube: KubeDouble) -> None:
    with pytest.raises(InvalidRequest, match="no context 'tset'") as caught:
        places(Settings(kubeconfig=kube.kubeconfig(), contexts=("tset",)))
    assert "test" in caught.value.fix


def test_a_context_without_a_cluster(tmp_path: Path) -> None:
    contexts = named("a", "context", cluster="c")
    file = write(tmp_path / "config", contexts=contexts, **{"current-context": "a"})
    with pytest.raises(InvalidRequest, match="no cluster with a server"):
        places(Settings(kubeconfig=file))
    file = write(tmp_path / "config", contexts=contexts)
    with pytest.raises(InvalidRequest, match="no current context"):
        places(Settings(kubeconfig=file))


async def test_no_kubeconfig_at_all(tmp_path: Path) -> None:
    error = await refused(tmp_path)
    assert "KUBECONFIG" in error.fix
    assert KubernetesCloud(CloudConfig(tmp_path, tmp_path)).credentials() == ""


async def test_a_token(kube: KubeDouble, tmp_path: Path) -> None:
    assert await identity(tmp_path, kubeconfig=str(kube.kubeconfig())) == f"{USER}@test"


async def test_credentials_are_named_by_their_place(kube: KubeDouble, tmp_path: Path) -> None:
    file = kube.kubeconfig()
    cloud = KubernetesCloud(CloudConfig(tmp_path, tmp_path, {"kubeconfig": str(file)}))
    assert cloud.credentials() == str(file)


async def test_a_token_in_a_file(kube: KubeDouble, tmp_path: Path) -> None:
    (kube.folder / "token").write_text(f"{TOKEN}\n")
    file = kube.kubeconfig("file", user={"tokenFile": "token"})
    assert await identity(tmp_path, kubeconfig=str(file)) == f"{USER}@test"
    (kube.folder / "token").unlink()
    error = await refused(tmp_path, kubeconfig=str(file))
    assert "token" in error.message


@pytest.mark.parametrize("inline", [True, False])
async def test_a_client_certificate(kube: KubeDouble, tmp_path: Path, inline: bool) -> None:
    pair = kube.certificates.pair("client")
    keys = ("client-certificate", "client-key")
    user = {key: str(path) for key, path in zip(keys, pair, strict=True)}
    if inline:
        user = {
            f"{key}-data": base64.b64encode(path.read_bytes()).decode()
            for key, path in zip(keys, pair, strict=True)
        }
    file = kube.kubeconfig("cert", user=user)
    assert await identity(tmp_path, kubeconfig=str(file)) == f"{USER}@test"


async def test_a_broken_client_certificate(kube: KubeDouble, tmp_path: Path) -> None:
    data = base64.b64encode(SECRET.encode()).decode()
    user = {"client-certificate-data": data, "client-key-data": data}
    error = await refused(tmp_path, kubeconfig=str(kube.kubeconfig("bad", user=user)))
    assert "client certificate" in error.message


async def test_a_wrong_token_is_refused(kube: KubeDouble, tmp_path: Path) -> None:
    file = kube.kubeconfig("wrong", user={"token": SECRET})
    assert "Unauthorized" in (await refused(tmp_path, kubeconfig=str(file))).message


async def test_no_credentials_for_a_server_that_wants_some(
    kube: KubeDouble, tmp_path: Path
) -> None:
    file = kube.kubeconfig("nobody", user={"auth-provider": {"name": "gcp"}})
    assert "auth-provider" in (await refused(tmp_path, kubeconfig=str(file))).message


async def test_a_server_that_is_not_trusted(kube: KubeDouble, tmp_path: Path) -> None:
    document = yaml.safe_load(kube.kubeconfig().read_text())
    cluster = document["clusters"][0]["cluster"]
    del cluster["certificate-authority"]
    file = write(tmp_path / "strange", **document)
    error = await refused(tmp_path, kubeconfig=str(file))
    assert "certificate" in error.message
    assert "certificate-authority" in error.fix
    cluster["insecure-skip-tls-verify"] = True
    file = write(tmp_path / "strange", **document)
    assert await identity(tmp_path, kubeconfig=str(file)) == f"{USER}@test"


async def test_the_name_in_the_certificate_can_be_given(kube: KubeDouble, tmp_path: Path) -> None:
    document = yaml.safe_load(kube.kubeconfig().read_text())
    document["clusters"][0]["cluster"]["tls-server-name"] = "elsewhere"
    file = write(tmp_path / "named", **document)
    assert "certificate" in (await refused(tmp_path, kubeconfig=str(file))).message
    document["clusters"][0]["cluster"]["tls-server-name"] = "localhost"
    file = write(tmp_path / "named", **document)
    assert await identity(tmp_path, kubeconfig=str(file)) == f"{USER}@test"


PLUGIN = """
import json, os, pathlib, sys
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
runs = pathlib.Path(os.environ["RUNS"])
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
runs.with_name("info").write_text(json.dumps(info))
tokens = json.loads(os.environ["TOKENS"])
status = {"token": tokens[min(len(runs.read_text()), len(tokens)) - 1]}
if sys.argv[1:]:
    status["expirationTimestamp"] = sys.argv[1]
print(json.dumps({"kind": "ExecCredential", "apiVersion": info["apiVersion"], "status": status}))
"""


def plugin(kube: KubeDouble, tokens: list[str], *args: str, code: str = PLUGIN) -> dict[str, Any]:
    (kube.folder / "plugin.py").write_text(f"#!{sys.executable}\n{code}")
    (kube.folder / "plugin.py").chmod(0o755)
    (kube.folder / "runs").unlink(missing_ok=True)
    spec = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./plugin.py",
        "args": list(args),
        "provideClusterInfo": True,
        "env": [
            {"name": "RUNS", "value": str(kube.folder / "runs")},
            {"name": "TOKENS", "value": json.dumps(tokens)},
        ],
    }
    return {"exec": spec}


async def test_a_plugin_is_asked_once(kube: KubeDouble, tmp_path: Path) -> None:
    file = kube.kubeconfig("plugin", user=plugin(kube, [TOKEN], "2099-01-01T00:00:00Z"))
    assert await identity(tmp_path, kubeconfig=str(file)) == f"{USER}@test"
    assert (kube.folder / "runs").read_text() == "x"
    info = json.loads((kube.folder / "info").read_text())
    assert info["spec"]["interactive"] is False
    assert info["spec"]["cluster"]["server"] == kube.url
    ca = base64.b64decode(info["spec"]["cluster"]["certificate-authority-data"])
    assert ca == kube.certificates.ca.read_bytes()


async def test_a_token_that_expires_is_renewed(kube: KubeDouble, tmp_path: Path) -> None:
    file = kube.kubeconfig("plugin", user=plugin(kube, [TOKEN], "2000-01-01T00:00:00Z"))
    await identity(tmp_path, kubeconfig=str(file))
    assert len((kube.folder / "runs").read_text()) > 1


async def test_a_token_that_is_refused_is_asked_for_again(kube: KubeDouble, tmp_path: Path) -> None:
    file = kube.kubeconfig("plugin", user=plugin(kube, ["stale", TOKEN]))
    assert await identity(tmp_path, kubeconfig=str(file)) == f"{USER}@test"
    assert (kube.folder / "runs").read_text() == "xx"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print('session expired', file=sys.stderr); sys.exit(3)", "session expired"),
        (f"print('{SECRET}')", "no ExecCredential"),
        (f'print(\'{{"status": ["{SECRET}"]}}\')', "no ExecCredential"),
    ],
)
async def test_a_plugin_that_fails(kube: KubeDouble, tmp_path: Path, code: str, words: str) -> None:
    file = kube.kubeconfig("plugin", user=plugin(kube, [], code=code))
    assert words in (await refused(tmp_path, kubeconfig=str(file))).message


async def test_a_plugin_that_is_not_installed(kube: KubeDouble, tmp_path: Path) -> None:
    spec = {"command": "no-such-plugin", "installHint": "install the cloud's own tools"}
    file = kube.kubeconfig("plugin", user={"exec": spec})
    error = await refused(tmp_path, kubeconfig=str(file))
    assert "no-such-plugin" in error.message
    assert error.fix == "install the cloud's own tools"


async def test_the_account_of_the_pod_that_we_run_in(
    kube: KubeDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text(TOKEN)
    (folder / "namespace").write_text("kube-system")
    (folder / "ca.crt").write_bytes(kube.certificates.ca.read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(kube.port))
    settings = {"service_account_folder": str(folder)}
    assert await identity(tmp_path, **settings) == f"{USER}@in-cluster"
    cloud = KubernetesCloud(CloudConfig(tmp_path, tmp_path, settings))
    assert str(folder) in cloud.credentials()
    assert places(Settings(service_account_folder=folder))["in-cluster"].namespace == "kube-system"
