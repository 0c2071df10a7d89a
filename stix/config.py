"""``STIX_HOME``: where everything lies, and the user's settings in ``config.yaml``."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stix.errors import UsageError
from stix.files import write_private

if TYPE_CHECKING:
    from stix.spec.yaml.text import Document

_NUMBER = (int, float)
_SCHEMA: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "local": {
        "enabled": (bool,),
        "cpus": _NUMBER,
        "memory": _NUMBER,
        "accelerators": (dict,),
        "price": _NUMBER,
        "spot": (bool,),
    },
    "ssh": {"enabled": (bool,), "pools": (str,)},
    "catalog": {
        "urls": (dict,),
        "secrets": (dict,),
        "rates": (dict,),
        "max_move": _NUMBER,
        "stale_days": _NUMBER,
    },
    "artifacts": {
        "url": (str,),
        "endpoint_url": (str, type(None)),
        "profile": (str, type(None)),
        "place": (str, type(None)),
        "copies": (int,),
        "replicas": (list,),
        "host_cache": _NUMBER,
    },
    # Seconds; stix.storage.mounts.Bounds says what they bound.
    "mounts": dict.fromkeys(("mount", "flush", "idle", "connect", "silence", "check"), _NUMBER),
    "buckets": {"store": (str,), "region": (str,)},
    "server": {
        "idle_minutes": _NUMBER,
        "engines": (int,),
        "port": (int,),
        "database_url": (str, type(None)),
    },
}
_TEXTS = frozenset({"catalog.urls", "catalog.secrets"})
"""Maps whose values are texts; of other maps they are counts."""
_SECRET = re.compile(
    r"(.*[_-])?(api[_-]?key|apikey|secret|token|password|passwd|passphrase|credential"
    r"|(secret|access|private|auth|account)[_-]?key)\Z",
    re.IGNORECASE,
)
_CLOUDS = "stix.clouds"
_WORDS = {int: "a number", float: "a number", dict: "a map", bool: "true or false", list: "a list"}
_AT_LEAST_ONE = frozenset({"server.engines", "artifacts.copies"})
_REPLICA: Mapping[str, tuple[type, ...]] = {
    key: _SCHEMA["artifacts"][key] for key in ("url", "endpoint_url", "profile", "place")
}


def looks_secret(name: str) -> bool:
    """Whether a setting of this name would hold a secret, and not the place of one."""
    return _SECRET.match(name) is not None


class ConfigError(UsageError):
    """``config.yaml`` holds something that is not allowed; the message names file and line."""


@dataclass(frozen=True)
class ServerSettings:
    """The block ``server`` of ``config.yaml``.

    Attributes:
        idle_minutes: A server that started itself stops after this long without work.
        engines: Engine processes.
        port: Port of the API on loopback; None takes a free one and keeps it.
        database_url: An own PostgreSQL (``postgresql://user:password@host``), on which the
            databases ``prefect`` and ``stix`` are used; None means the embedded one.
    """

    idle_minutes: float = 30.0
    engines: int = 1
    port: int | None = None
    database_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ArtifactPlace:
    """A store of artifacts, as the block ``artifacts`` of ``config.yaml`` has it.

    Attributes:
        url: ``file:///...`` or ``s3://bucket/prefix``.
        endpoint_url: Of a server other than the provider's own.
        profile: Of the provider's own file of credentials, where several stores need several.
        place: ``cloud/region``, where the store cannot tell where it lies; None asks it.
    """

    url: str
    endpoint_url: str | None = None
    profile: str | None = None
    place: str | None = None


@dataclass(frozen=True)
class Config:
    """One ``STIX_HOME`` and its settings.

    Attributes:
        home: Absolute path of the state folder.
        settings: ``config.yaml`` as plain maps, one per block.
    """

    home: Path
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, home: Path | str | None = None) -> Config:
        """Read ``home`` (default: ``STIX_HOME``, else the platform's data folder).

        Raises:
            ConfigError: ``config.yaml`` is malformed.
        """
        place = home or os.environ.get("STIX_HOME")
        if not place:
            from platformdirs import user_data_path

            place = user_data_path("stix")
        path = Path(place).expanduser().absolute()
        return cls(path, _read(path / "config.yaml"))

    def create(self) -> None:
        """Make the state folder, its private folders, the token and the id, where missing."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        for folder in (self.server_logs, self.run_logs, self.vault, self.prefect_home):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.token_file, secrets.token_urlsafe(32), replace=False)
        write_private(self.home / "id", secrets.token_hex(6), replace=False)

    @property
    def token_file(self) -> Path:
        return self.home / "token"

    @property
    def server_file(self) -> Path:
        return self.home / "server.json"

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def vault(self) -> Path:
        return self.home / "vault"

    @property
    def prefect_home(self) -> Path:
        return self.home / "prefect"

    @property
    def server_logs(self) -> Path:
        return self.home / "logs" / "server"

    @property
    def run_logs(self) -> Path:
        return self.home / "logs" / "runs"

    def attempt_logs(self, run: str, stage: str, attempt: int) -> Path:
        """Folder of the full output of one attempt: ``<setup|run>-<rank>.log``."""
        return self.run_logs / run / quote(stage, safe="") / str(attempt)

    @property
    def artifact_stores(self) -> tuple[ArtifactPlace, ...]:
        """Where artifacts are kept: the main store first, then those for replicas."""
        block = self.settings.get("artifacts", {})
        main = {key: block.get(key) for key in _REPLICA}
        main["url"] = str(block.get("url") or (self.home / "artifacts").as_uri())
        others = [{"url": o} if isinstance(o, str) else o for o in block.get("replicas", ())]
        return tuple(ArtifactPlace(**one) for one in (main, *others))

    @property
    def artifact_copies(self) -> int:
        """In how many of these stores each artifact is written."""
        return int(self.settings.get("artifacts", {}).get("copies", 1))

    @property
    def host_cache(self) -> int:
        """Bytes of artifacts that a host of several nodes keeps for later stages."""
        return int(float(self.settings.get("artifacts", {}).get("host_cache", 20)) * 2**30)

    @property
    def bucket_store(self) -> str:
        """The store of buckets that name none, such as ``GCS``; empty where nothing is said."""
        return str(self.settings.get("buckets", {}).get("store", "")).upper()

    @property
    def bucket_region(self) -> str:
        """Where buckets are made for stages that run in a cloud without such; empty: the store's
        own choice."""
        return str(self.settings.get("buckets", {}).get("region", ""))

    @property
    def server(self) -> ServerSettings:
        return ServerSettings(**self.settings.get("server", {}))

    def cloud(self, name: str) -> Mapping[str, Any]:
        """What the block of a cloud says to its adapter; empty where there is none."""
        block = self.settings.get(name, {})
        return {key: value for key, value in block.items() if key != "enabled"}

    def cloud_enabled(self, name: str) -> bool | None:
        """Whether new nodes may be made there, as far as the user says; None where nothing is
        said: then a cloud is used that needs no credentials or has some. Nodes that exist are
        looked after anyway."""
        value = self.settings.get(name, {}).get("enabled")
        return None if value is None else bool(value)

    def token(self) -> str:
        """The bearer token of the STIX API.

        Raises:
            UsageError: this home never had a server.
        """
        try:
            return self.token_file.read_text().strip()
        except FileNotFoundError:
            raise UsageError(
                f"there is no token in {self.home}: no server was ever started there",
                fix="run `stix server start`, or set STIX_HOME to the folder of your server",
            ) from None

    def home_id(self) -> str:
        """Names this home on machines that it shares with others; written by ``create``."""
        return (self.home / "id").read_text().strip()

    def socket_dir(self) -> Path:
        """A folder of mode 0700 that is ours, with a short path, for Unix sockets."""
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:8]
        folder = Path(tempfile.gettempdir()) / f"stix-{os.geteuid()}-{digest}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        # The temporary folder is everybody's: another user may have been there first.
        if folder.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise UsageError(
                f"{folder} is not a private folder of this user",
                fix=f"remove {folder}, or set TMPDIR to a folder of your own",
            )
        return folder


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    from stix.spec.yaml.text import TextErrors, decoded, parse

    try:
        documents = parse(decoded(path.read_bytes(), str(path)), str(path))
    except TextErrors as refusal:
        first = refusal.problems[0]
        raise ConfigError(f"{path}:{first.line}: {first.message}", fix=first.fix) from None
    if not documents:
        return {}
    data = documents[0].value
    if not isinstance(data, dict) or len(documents) > 1:
        line = documents[-1].where(())[0]
        raise ConfigError(f"{path}:{line}: expected a map of settings, such as `server:`")
    return {name: _block(path, documents[0], name) for name in data}


def _block(path: Path, document: Document, name: str) -> dict[str, Any]:
    def at(*keys: str | int) -> str:
        return f"{path}:{document.where(keys, key=True)[0]}"

    clouds = [] if name in _SCHEMA else _cloud_names()
    if name not in _SCHEMA and name not in clouds:
        raise _unknown(at(name), name, sorted({*_SCHEMA, *clouds}))
    block = document.value[name]
    if block is None:
        return {}
    if not isinstance(block, dict):
        raise ConfigError(f"{at(name)}: `{name}` must be a map")
    if name in clouds:
        _check_cloud(at, (name,), block)
        return dict(block)
    known = _SCHEMA[name]
    for key, value in block.items():
        if key not in known:
            raise _unknown(at(name, key), key, list(known), f"{name}.")
        _check(at(name, key), f"{name}.{key}", value, known[key])
    if name == "artifacts":
        _check_stores(at, block)
    if name == "buckets" and block.get("store"):
        _check_bucket_store(at(name, "store"), block["store"])
    return dict(block)


def _check_stores(at: Callable[..., str], block: Mapping[str, Any]) -> None:
    """Each store once, and no more copies than stores."""
    urls = [block.get("url")]
    for number, one in enumerate(block.get("replicas", ())):
        urls.append(_checked_replica(at, number, one))
        if urls[-1] in urls[:-1]:
            where = at("artifacts", "replicas", number)
            raise ConfigError(f"{where}: the store {urls[-1]} is there twice", fix="remove one")
    copies = block.get("copies", 1)
    if copies > len(urls):
        raise ConfigError(
            f"{at('artifacts', 'copies')}: {copies} copies need as many stores, not {len(urls)}",
            fix="name more stores in artifacts.replicas, or ask for fewer copies",
        )


def _check_bucket_store(at: str, store: str) -> None:
    from stix.spec.buckets import SCHEMES  # the model of the file is heavy, and asked for here only

    known = [word for word in SCHEMES if word != "HF"]  # whose buckets are not made
    if store.upper() not in known:
        raise ConfigError(
            f"{at}: `buckets.store` is no store of buckets: {store}",
            fix=f"write one of {', '.join(known)}",
        )


def _checked_replica(at: Callable[..., str], number: int, one: Any) -> str:
    """The URL of an entry of ``artifacts.replicas``."""
    name = f"artifacts.replicas[{number}]"
    where = at("artifacts", "replicas", number)
    if isinstance(one, str) and one:
        return one
    if not isinstance(one, dict) or not one.get("url"):
        raise ConfigError(
            f"{where}: `{name}` must be a URL, or a map with a `url`",
            fix="write `- gs://bucket/prefix`, or `- {url: ..., place: gcp/us-central1}`",
        )
    for key, value in one.items():
        if key not in _REPLICA:
            raise _unknown(where, key, list(_REPLICA), f"{name}.")
        _check(where, f"{name}.{key}", value, _REPLICA[key])
    return str(one["url"])


def _cloud_names() -> list[str]:
    """The clouds that installed packages offer; asked only for a block that is none of ours."""
    from importlib.metadata import entry_points

    return sorted({point.name for point in entry_points(group=_CLOUDS)})


def _check_cloud(at: Callable[..., str], path: tuple[str, ...], block: Mapping[str, Any]) -> None:
    """What can be told without the adapter, which reads the rest when it is opened."""
    for key, value in block.items():
        where = (*path, key)
        if len(path) == 1 and key == "enabled":
            _check(at(*where), f"{path[0]}.enabled", value, (bool,))
        if isinstance(key, str) and looks_secret(key):
            name = ".".join(map(str, where))
            raise ConfigError(
                f"{at(*where)}: `{name}` is a secret, which must not be in config.yaml",
                fix=f"remove it; `stix check {path[0]}` names the variable or file to use instead",
            )
        if isinstance(value, dict):
            _check_cloud(at, where, value)


def _check(at: str, name: str, value: Any, allowed: tuple[type, ...]) -> None:
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        words = " or ".join(dict.fromkeys(_WORDS.get(kind, "text") for kind in allowed[:1]))
        raise ConfigError(f"{at}: `{name}` must be {words}, not {value!r}")
    if isinstance(value, dict):
        for key, count in value.items():
            if name in _TEXTS:
                if not isinstance(count, str):
                    raise ConfigError(f"{at}: `{name}.{key}` must be text")
            elif not isinstance(count, _NUMBER) or isinstance(count, bool) or count < 0:
                raise ConfigError(f"{at}: `{name}.{key}` must be a count, not {count!r}")
    least = 1 if name in _AT_LEAST_ONE else 0
    if isinstance(value, _NUMBER) and value < least:
        raise ConfigError(f"{at}: `{name}` must be at least {least}, not {value!r}")


def _unknown(at: str, key: str, known: list[str], prefix: str = "") -> ConfigError:
    close = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    fix = f"did you mean `{close[0]}`?" if close else f"allowed: {', '.join(known)}"
    return ConfigError(f"{at}: unknown setting `{prefix}{key}`", fix=fix)
