"""Where clusters are and how to log in: kubeconfig files, exec plugins, the account of a pod.

Format: ``client.authentication.k8s.io`` for plugins, ``kubectl config`` for files, whose rules of
merging are followed: the first file to set a name or a value wins.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stix.clouds.errors import AuthError, InvalidRequest
from stix.clouds.kubernetes.settings import Settings
from stix.remote.kube import Login

PLUGIN_SECONDS = 60.0
EARLY_SECONDS = 30.0  # a token is renewed so long before it expires
FILE_SECONDS = 60.0  # tokens in files are rotated: read again after so long
IN_CLUSTER = "in-cluster"
_PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """One context: a cluster, a user and a namespace. Shows no secret."""

    context: str
    namespace: str
    server: str
    cluster: Entry = field(repr=False)
    user: Entry = field(repr=False)

    @property
    def host(self) -> str:
        """Name that the certificate must carry, where it is not that of the URL."""
        return str(self.cluster.get("tls-server-name") or "")

    @property
    def proxy(self) -> str | None:
        return self.cluster.get("proxy-url") or None


def sources(settings: Settings) -> list[Path]:
    """The kubeconfig files that exist, in order of precedence."""
    if settings.kubeconfig is not None:
        named = [settings.kubeconfig.expanduser()]
    elif text := os.environ.get("KUBECONFIG"):
        named = [Path(part) for part in text.split(os.pathsep) if part]
    else:
        named = [Path.home() / ".kube" / "config"]
    return [path for path in named if path.is_file()]


def found_in(settings: Settings) -> str:
    """Where credentials are, in words; empty where there are none."""
    files = sources(settings)
    if files:
        return ", ".join(str(file) for file in files)
    return f"service account in {settings.service_account_folder}" if _in_cluster(settings) else ""


def places(settings: Settings) -> dict[str, Place]:
    """The contexts that are to be used, by name.

    Raises:
        AuthError: there is no kubeconfig, and we run in no pod.
        InvalidRequest: a file is broken, or a context is not there.
    """
    files = sources(settings)
    if not files:
        if place := _in_cluster(settings):
            return {place.context: place}
        raise AuthError(
            "kubernetes: there is no kubeconfig",
            fix="write ~/.kube/config, or set KUBECONFIG or `kubernetes: {kubeconfig: ...}`",
        )
    merged = _merge(files)
    names = settings.contexts or tuple(n for n in [merged["current-context"]] if n)
    if not names:
        raise InvalidRequest(
            f"kubernetes: {files[0]} has no current context",
            fix="run `kubectl config use-context NAME`, or set `kubernetes: {contexts: [NAME]}`",
        )
    return {name: _place(name, merged, settings) for name in names}


def _in_cluster(settings: Settings) -> Place | None:
    folder = settings.service_account_folder
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").is_file():
        return None
    space = folder / "namespace"
    own = space.read_text().strip() if space.is_file() else "default"
    cluster = {"certificate-authority": str(folder / "ca.crt")}
    bracketed = f"[{host}]" if ":" in host else host
    return Place(
        IN_CLUSTER,
        settings.namespace or own,
        f"https://{bracketed}:{port}",
        cluster,
        {"tokenFile": str(folder / "token")},
    )


def _merge(files: Sequence[Path]) -> dict[str, Any]:
    import yaml

    merged: dict[str, Any] = {"clusters": {}, "users": {}, "contexts": {}, "current-context": ""}
    for file in files:
        try:
            data = yaml.safe_load(file.read_text()) or {}
            for plural in ("clusters", "users", "contexts"):
                for entry in data.get(plural) or ():
                    body = _absolute(entry.get(plural[:-1]) or {}, file.parent)
                    merged[plural].setdefault(entry["name"], body)
        except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError):
            # The words of the parser would show lines of the file, with their secrets.
            fix = "see what `kubectl config view` says"
            raise InvalidRequest(f"kubernetes: {file} is no kubeconfig", fix=fix) from None
        merged["current-context"] = merged["current-context"] or data.get("current-context") or ""
    return merged


def _absolute(body: Entry, folder: Path) -> Entry:
    """Paths count from the file they stand in."""
    made = dict(body)
    for key in _PATHS:
        if made.get(key):
            made[key] = str(folder / made[key])
    plugin = made.get("exec")
    if plugin and "/" in str(plugin.get("command", "")):
        made["exec"] = {**plugin, "command": str(folder / plugin["command"])}
    return made


def _place(name: str, merged: Mapping[str, Any], settings: Settings) -> Place:
    context = merged["contexts"].get(name)
    if context is None:
        known = ", ".join(sorted(merged["contexts"])) or "none"
        raise InvalidRequest(f"kubernetes: there is no context {name!r}", fix=f"known are: {known}")
    cluster = merged["clusters"].get(context.get("cluster"))
    if not cluster or not cluster.get("server"):
        raise InvalidRequest(
            f"kubernetes: the context {name!r} has no cluster with a server",
            fix="see what `kubectl config view` says",
        )
    user = merged["users"].get(context.get("user")) or {}
    namespace = settings.namespace or context.get("namespace") or "default"
    return Place(name, namespace, str(cluster["server"]).rstrip("/"), cluster, user)


@dataclass(frozen=True)
class _Token:
    header: str = field(default="", repr=False)
    certificate: tuple[bytes, bytes] | None = field(default=None, repr=False)
    until: float | None = None


class Access:
    """Logs in to one place; what expires is renewed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._login: Login | None = None
        self._until: float | None = None
        self._turn = asyncio.Lock()

    async def login(self) -> Login:
        """Headers and TLS for one connection.

        Raises:
            AuthError: the credentials cannot be had.
        """
        async with self._turn:
            if self._login is None or (self._until is not None and _now() > self._until):
                token = await self._token()
                tls = self._login.tls if self._login else None
                if tls is None or token.certificate is not None:
                    tls = await asyncio.to_thread(self._tls, token.certificate)
                headers = {"Authorization": token.header} if token.header else {}
                self._login, self._until = Login(headers, tls), token.until
        return self._login

    def forget(self) -> None:
        """The server refused them: ask anew at the next call."""
        self._login = None

    async def _token(self) -> _Token:
        user = self._place.user
        if user.get("token"):
            return _Token(f"Bearer {user['token']}")
        if user.get("tokenFile"):
            text = self._read(user["tokenFile"]).decode(errors="replace").strip()
            return _Token(f"Bearer {text}", until=_now() + FILE_SECONDS)
        if user.get("exec"):
            return await self._plugin(user["exec"])
        if user.get("username"):
            pair = f"{user['username']}:{user.get('password', '')}".encode()
            return _Token(f"Basic {base64.b64encode(pair).decode()}")
        if user.get("auth-provider"):
            raise self._trouble("`auth-provider` is not known any more", "use an `exec` plugin")
        return _Token()

    async def _plugin(self, spec: Entry) -> _Token:
        info = {
            "apiVersion": spec.get("apiVersion", "client.authentication.k8s.io/v1"),
            "kind": "ExecCredential",
            "spec": {"interactive": False, **self._cluster_info(spec)},
        }
        env = {e["name"]: e["value"] for e in spec.get("env") or ()}
        env["KUBERNETES_EXEC_INFO"] = json.dumps(info)
        command = [str(spec["command"]), *map(str, spec.get("args") or ())]
        hint = str(spec.get("installHint") or f"install {command[0]}")
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **env},
            )
        except OSError as error:
            raise self._trouble(f"cannot run {command[0]}: {error.strerror}", hint) from None
        try:
            async with asyncio.timeout(PLUGIN_SECONDS):
                stdout, stderr = await process.communicate()
        except TimeoutError:
            raise self._trouble(f"{command[0]} gave no answer", "try it by hand") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            words = stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no words"]
            raise self._trouble(f"{command[0]} failed: {words[0][:300]}", "try it by hand")
        return self._credential(stdout, command[0])

    def _cluster_info(self, spec: Entry) -> dict[str, Any]:
        if not spec.get("provideClusterInfo"):
            return {}
        info: dict[str, Any] = {"server": self._place.server}
        if ca := self._data(self._place.cluster, "certificate-authority"):
            info["certificate-authority-data"] = base64.b64encode(ca).decode()
        return {"cluster": info}

    def _credential(self, answer: bytes, command: str) -> _Token:
        try:
            status = json.loads(answer)["status"]
            token = str(status.get("token") or "")
            certificate = None
            if status.get("clientCertificateData"):
                pair = status["clientCertificateData"], status["clientKeyData"]
                certificate = pair[0].encode(), pair[1].encode()
            until = _until(status.get("expirationTimestamp"))
        except (ValueError, LookupError, TypeError, AttributeError):
            # Its output may hold half a secret.
            raise self._trouble(f"{command} printed no ExecCredential", "try it by hand") from None
        return _Token(f"Bearer {token}" if token else "", certificate, until)

    def _tls(self, certificate: tuple[bytes, bytes] | None) -> ssl.SSLContext | None:
        cluster, user = self._place.cluster, self._place.user
        if not self._place.server.startswith("https:"):
            return None
        context = ssl.create_default_context()
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif ca := self._data(cluster, "certificate-authority"):
            try:
                context = ssl.create_default_context(cadata=ca.decode())
            except (ssl.SSLError, ValueError):
                raise self._trouble("its certificate-authority is no PEM", "renew it") from None
        own = self._data(user, "client-certificate"), self._data(user, "client-key")
        pair = certificate or (own if own[0] and own[1] else None)
        if pair:
            self._load(context, pair)
        return context

    def _load(self, context: ssl.SSLContext, pair: tuple[bytes, bytes]) -> None:
        """The library takes files only: they live for a moment, closed to others."""
        with tempfile.TemporaryDirectory(prefix="stix-") as folder:
            names = [Path(folder) / "cert", Path(folder) / "key"]
            for path, data in zip(names, pair, strict=True):
                path.touch(mode=0o600)
                path.write_bytes(data)
            try:
                context.load_cert_chain(str(names[0]), str(names[1]))
            except (ssl.SSLError, OSError):
                raise self._trouble("its client certificate cannot be used", "renew it") from None

    def _data(self, entry: Entry, key: str) -> bytes:
        if entry.get(f"{key}-data"):
            try:
                return base64.b64decode(entry[f"{key}-data"])
            except ValueError:
                raise self._trouble(f"its {key}-data is no base64", "renew it") from None
        return self._read(entry[key]) if entry.get(key) else b""

    def _read(self, path: str) -> bytes:
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise self._trouble(f"{path}: {error.strerror}", "correct the kubeconfig") from None

    def _trouble(self, words: str, fix: str) -> AuthError:
        return AuthError(f"kubernetes/{self._place.context}: {words}", fix=fix)


def _until(text: str | None) -> float | None:
    if not text:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - EARLY_SECONDS


def _now() -> float:
    return datetime.now(UTC).timestamp()
