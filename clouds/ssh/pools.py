"""The file of pools of SSH hosts, in the form of SkyPilot's ``~/.sky/ssh_node_pools.yaml``.

A pool has a name, defaults for logging in, and hosts; a host is an address, a name of
``~/.ssh/config``, or a map of its own::

    rack:
      user: ubuntu
      identity_file: ~/.ssh/id_ed25519
      hosts:
        - 10.0.0.1
        - ip: 10.0.0.2
          user: alice
        - name-in-ssh-config
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stix.clouds.errors import InvalidRequest
from stix.spec.problems import Path as Place
from stix.spec.yaml.text import Document, TextErrors, decoded, parse

FILE_NAME = "ssh_node_pools.yaml"
_LOGIN = ("user", "identity_file", "password", "port")
_POOL_KEYS = (*_LOGIN, "hosts")
_HOST_KEYS = (*_LOGIN, "ip")


@dataclass(frozen=True)
class Host:
    """One host of a pool, and how to log in. The password never shows in ``repr``.

    Attributes:
        pool: Name of its pool.
        name: As the file writes it: an address, or a name that ``~/.ssh/config`` knows.
        user, identity_file, port: None where ``~/.ssh/config`` or the defaults of ssh decide.
    """

    pool: str
    name: str
    user: str | None = None
    identity_file: Path | None = None
    port: int | None = None
    password: str | None = field(default=None, repr=False)


Pools = Mapping[str, tuple[Host, ...]]


class PoolFileError(InvalidRequest):
    """The file of pools is wrong: names file, line and field."""


def pool_files(home: Path, settings: Mapping[str, Any]) -> list[Path]:
    """The files to read: the one of ``ssh: {pools: ...}``, else SkyPilot's and that of ``home``.

    Raises:
        PoolFileError: ``config.yaml`` names a file that does not exist.
    """
    named = settings.get("pools")
    if named is None:
        files = (Path.home() / ".sky" / FILE_NAME, home / FILE_NAME)
        return [file for file in files if file.is_file()]
    path = Path(str(named)).expanduser()
    if not path.is_file():
        raise PoolFileError(
            f"{home / 'config.yaml'}: ssh.pools names {path}, which does not exist",
            fix="correct the path, or remove the line to use ~/.sky/ssh_node_pools.yaml",
        )
    return [path]


def read_pools(files: list[Path]) -> dict[str, tuple[Host, ...]]:
    """The pools of all ``files``; a later file replaces a pool of the same name.

    Raises:
        PoolFileError: a file cannot be read or has something in it that does not belong there.
    """
    pools: dict[str, tuple[Host, ...]] = {}
    for file in files:
        pools.update(_read(file))
    return pools


def _read(file: Path) -> dict[str, tuple[Host, ...]]:
    try:
        documents = parse(decoded(file.read_bytes(), str(file)), str(file))
    except TextErrors as refusal:
        first = refusal.problems[0]
        raise PoolFileError(f"{file}:{first.line}: {first.message}", fix=first.fix) from None
    except OSError as error:
        raise PoolFileError(f"{file}: {error}", fix="make the file readable, in UTF-8") from error
    if not documents:
        return {}
    data = documents[0].value
    if not isinstance(data, Mapping) or len(documents) > 1:
        line = documents[-1].where(())[0]
        fix = "write `my-pool: {hosts: [...]}`"
        raise PoolFileError(f"{file}:{line}: expected pool names", fix=fix)
    return {name: _pool(_Where(file, documents[0], (name,)), name, data[name]) for name in data}


@dataclass(frozen=True)
class _Where:
    """A map or list of the file, for the line numbers of its entries."""

    file: Path
    document: Document
    path: Place

    def line(self, *keys: str | int) -> str:
        return f"{self.file}:{self.document.where((*self.path, *keys), key=True)[0]}"

    def below(self, *keys: str | int) -> _Where:
        return _Where(self.file, self.document, (*self.path, *keys))


def _pool(where: _Where, name: str, data: Any) -> tuple[Host, ...]:
    if not isinstance(data, Mapping) or not isinstance(data.get("hosts"), list):
        raise PoolFileError(
            f"{where.line()}: the pool {name!r} needs a list `hosts`",
            fix=f"write `{name}: {{hosts: [10.0.0.1]}}`",
        )
    login = _login(where, data, _POOL_KEYS)
    entries = where.below("hosts")
    hosts = [_host(entries.below(i), name, e, login) for i, e in enumerate(data["hosts"])]
    seen: set[str] = set()
    for i, host in enumerate(hosts):
        if host.name in seen:
            raise PoolFileError(
                f"{entries.line(i)}: the host {host.name!r} stands twice in the pool {name!r}",
                fix="remove one of the two",
            )
        seen.add(host.name)
    return tuple(hosts)


def _host(where: _Where, pool: str, entry: Any, login: Mapping[str, Any]) -> Host:
    if isinstance(entry, Mapping):
        own = _login(where, entry, _HOST_KEYS)
        name = entry.get("ip")
    else:
        own, name = {}, entry
    if not isinstance(name, str) or not name.strip():
        raise PoolFileError(
            f"{where.line()}: a host of the pool {pool!r} has no `ip`",
            fix="write an address, a name of ~/.ssh/config, or `{ip: 10.0.0.1, user: ubuntu}`",
        )
    return Host(pool=pool, name=name.strip(), **{**login, **own})


def _login(where: _Where, data: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            fix = f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(known)}"
            raise PoolFileError(f"{where.line(key)}: unknown field `{key}`", fix=fix)
        if key in _LOGIN and value is not None:
            found[key] = _value(where, key, value)
    return found


def _value(where: _Where, key: str, value: Any) -> Any:
    if key == "port":
        if isinstance(value, int) and 0 < value < 65536:
            return value
        raise PoolFileError(f"{where.line(key)}: `port` is no port number", fix="write `port: 22`")
    if not isinstance(value, (str, int)):
        raise PoolFileError(f"{where.line(key)}: `{key}` must be text", fix=f"quote `{key}`")
    return Path(str(value)).expanduser() if key == "identity_file" else str(value)
