from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from stix.config import ArtifactPlace, Config, ConfigError, looks_secret
from stix.errors import UsageError


def load(home: Path, text: str = "") -> Config:
    (home / "config.yaml").write_text(text)
    return Config.load(home)


def test_defaults(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.server.engines == 1 and config.server.idle_minutes == 30
    assert config.server.database_url is None and config.server.port is None
    assert config.artifact_stores == (ArtifactPlace((tmp_path / "artifacts").as_uri()),)
    assert config.artifact_copies == 1
    assert config.cloud("local") == {}


def test_home_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STIX_HOME", str(tmp_path / "there"))
    assert Config.load().home == tmp_path / "there"
    monkeypatch.delenv("STIX_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert Config.load().home.is_relative_to(tmp_path)


def test_values(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "local: {cpus: 8, memory: 32.5, accelerators: {A100: 4}, price: 0.5, spot: true}\n"
        "ssh: {pools: ~/pools.yaml}\n"
        "artifacts: {url: s3://b/p, endpoint_url: http://127.0.0.1:9000}\n"
        "server: {idle_minutes: 1.5, engines: 3, port: 4300}\n",
    )
    assert config.cloud("local")["accelerators"] == {"A100": 4}
    assert config.artifact_stores == (ArtifactPlace("s3://b/p", "http://127.0.0.1:9000"),)
    assert (config.server.engines, config.server.port) == (3, 4300)


def test_a_cloud_is_switched_off(tmp_path: Path) -> None:
    config = load(tmp_path, "local: {enabled: false, cpus: 2}\n")
    assert config.cloud("local") == {"cpus": 2}
    assert config.cloud_enabled("local") is False
    assert config.cloud_enabled("ssh") is None
    assert load(tmp_path, "ssh: {enabled: true}\n").cloud_enabled("ssh") is True


@pytest.fixture
def comet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers the cloud `comet` and cannot be imported."""
    info = tmp_path / "site" / "comet-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: comet\n")
    (info / "entry_points.txt").write_text("[stix.clouds]\ncomet = no_such_module:Cloud\n")
    monkeypatch.syspath_prepend(info.parent)


@pytest.mark.usefixtures("comet")
def test_any_installed_cloud_may_have_a_block(tmp_path: Path) -> None:
    text = "comet: {enabled: true, region: eu, deep: {token_file: ~/t}}\n"
    config = load(tmp_path, text)
    assert config.cloud("comet") == {"region": "eu", "deep": {"token_file": "~/t"}}
    assert config.cloud_enabled("comet") is True
    assert load(tmp_path, "comet:\n").cloud_enabled("comet") is None


@pytest.mark.usefixtures("comet")
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("comet: 3\n", 1, "a map"),
        ("comet:\n  region: eu\n  enabled: 1\n", 3, "true or false"),
        ("comte: {}\n", 1, "did you mean `comet`"),
        ("comet:\n  api_key: k\n", 2, "`comet.api_key` is a secret"),
        ("comet:\n  a:\n    Client-Secret: k\n", 3, "`comet.a.Client-Secret` is a secret"),
    ],
)
def test_mistakes_in_the_block_of_a_cloud(tmp_path: Path, text: str, line: int, words: str) -> None:
    test_mistakes_are_told_with_their_line(tmp_path, text, line, words)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((n, True) for n in ("api_key", "apiKey", "API-KEY", "token", "auth_token", "password")),
        *((n, True) for n in ("client_secret", "secret_access_key", "private_key", "access_key")),
        *((n, False) for n in ("token_file", "key_file", "key_pair", "ssh_key", "region")),
        *((n, False) for n in ("credentials", "access_key_id", "api_key_env", "keys")),
    ],
)
def test_which_names_are_of_secrets(name: str, secret: bool) -> None:
    assert looks_secret(name) is secret


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("local: {enabled: 0}", 1, "true or false"),
        ("server: {idle_minuts: 3}", 1, "idle_minutes"),
        ("local:\n  cpus: 2\n  memry: 3\n", 3, "memory"),
        ("\nsrver: {}\n", 2, "server"),
        ("server:\n  engines: many\n", 2, "a number"),
        ("server:\n  engines: 0\n", 2, "at least 1"),
        ("server:\n  idle_minutes: true\n", 2, "a number"),
        ("local:\n  price: -1\n", 2, "at least 0"),
        ("local:\n  spot: 3\n", 2, "true or false"),
        ("local:\n  accelerators: {A100: four}\n", 2, "local.accelerators.A100"),
        ("artifacts:\n  url: 7\n", 2, "text"),
        ("server: 3\n", 1, "a map"),
        ("- server\n", 1, "a map"),
        ("server: {\n  a: [\n", 2, "not valid YAML"),
        ("server: {}\nserver: {}\n", 2, "here twice"),
        ("server: {port: 1}\n---\nlocal: {}\n", 3, "a map"),
    ],
)
def test_mistakes_are_told_with_their_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    assert f"{tmp_path}/config.yaml:{line}: " in str(refused.value)
    assert words in str(refused.value)


def test_an_empty_file_or_block_is_fine(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing yet\n").settings == {}
    assert load(tmp_path, "server:\n").server.engines == 1


def test_create_makes_private_things_once(tmp_path: Path) -> None:
    config = Config.load(tmp_path / "new")
    with pytest.raises(UsageError, match="no token"):
        config.token()
    config.create()
    token, home_id = config.token(), config.home_id()
    assert len(token) >= 32
    assert stat.S_IMODE(config.home.stat().st_mode) == 0o700
    for path in (config.token_file, config.home / "id"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config.create()
    assert (config.token(), config.home_id()) == (token, home_id)
    other = Config.load(tmp_path / "other")
    other.create()
    assert other.home_id() != home_id


def test_socket_dir_is_short_private_and_one_per_home(tmp_path: Path) -> None:
    one, two = Config.load(tmp_path / ("long" * 40)), Config.load(tmp_path / "two")
    folder = one.socket_dir()
    try:
        assert one.socket_dir() == folder != two.socket_dir()
        assert len(str(folder)) < 60
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        folder.chmod(0o777)
        with pytest.raises(UsageError, match="not a private folder"):
            one.socket_dir()
        folder.rmdir()
        folder.symlink_to(tmp_path)
        with pytest.raises(UsageError, match="not a private folder"):
            one.socket_dir()
    finally:
        folder.unlink() if folder.is_symlink() else folder.rmdir()
        two.socket_dir().rmdir()


def test_attempt_logs_stay_inside(tmp_path: Path) -> None:
    config = Config.load(tmp_path)
    folder = config.attempt_logs("r", "train[path=../../x,a=/b]", 2)
    assert folder.parent.parent == config.run_logs / "r"
    assert os.sep not in folder.parent.name and folder.name == "2"


def test_further_stores_of_artifacts(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "artifacts:\n"
        "  url: s3://b/p\n"
        "  place: aws/us-east-1\n"
        "  copies: 2\n"
        "  replicas:\n"
        "    - gs://c/p\n"
        "    - {url: s3://d, endpoint_url: http://minio:9000, profile: lab, place: ssh/lab}\n",
    )
    assert config.artifact_copies == 2
    assert config.artifact_stores == (
        ArtifactPlace("s3://b/p", place="aws/us-east-1"),
        ArtifactPlace("gs://c/p"),
        ArtifactPlace("s3://d", "http://minio:9000", "lab", "ssh/lab"),
    )


@pytest.mark.parametrize(
    ("replicas", "line", "said"),
    [
        ("[{place: local}]", 2, "must be a URL, or a map with a `url`"),
        ("[5]", 2, "must be a URL"),
        ("['']", 2, "must be a URL"),
        ("gs://c", 2, "`artifacts.replicas` must be a list"),
        ("\n    - {url: gs://c, plaice: x}", 3, "unknown setting `artifacts.replicas[0].plaice`"),
        ("\n    - gs://c\n    - {url: gs://d, place: [x]}", 4, "`artifacts.replicas[1].place`"),
        ("\n    - gs://c\n    - gs://d\n    - gs://c", 5, "the store gs://c is there twice"),
    ],
)
def test_a_wrong_store_of_artifacts_is_named(
    tmp_path: Path, replicas: str, line: int, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, f"artifacts:\n  replicas: {replicas}\n")
    assert f"config.yaml:{line}: " in refused.value.message and said in refused.value.message


def test_at_least_one_copy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"artifacts\.copies.*at least 1"):
        load(tmp_path, "artifacts: {copies: 0}\n")


def test_no_more_copies_than_stores(tmp_path: Path) -> None:
    text = "artifacts:\n  replicas: [gs://c]\n  copies: "
    assert load(tmp_path, f"{text}2\n").artifact_copies == 2
    with pytest.raises(ConfigError, match=r"config\.yaml:3: 3 copies need as many stores, not 2"):
        load(tmp_path, f"{text}3\n")


@pytest.mark.parametrize("store", ["nonsense", "hf", "VOLUME"])
def test_a_store_whose_buckets_are_not_made(tmp_path: Path, store: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml:1: `buckets\.store`") as refused:
        load(tmp_path, f"buckets: {{store: {store}}}\n")
    assert "GCS" in refused.value.fix
    assert load(tmp_path, "buckets: {store: gcs}\n").bucket_store == "GCS"
