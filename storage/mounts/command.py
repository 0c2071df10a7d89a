"""The job on a node that is a mount: a script without secrets, and its environment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from stix.storage.base import Access, Mode, MountPlan, StorageError
from stix.storage.mounts.live import Bounds, Place
from stix.storage.mounts.probe import Found

REMOTE = "stix"
KNOWS_HOSTS = (1, 75)
"""The first rclone that takes the keys of SSH hosts without a file."""

_MODES: dict[str, list[str]] = {
    # What others change is seen within a second; what is closed goes out at once. Files that are
    # open for writing lie on the node's disk: else nothing can be appended to or changed inside.
    "MOUNT": ["--vfs-cache-mode=writes", "--vfs-write-back=100ms", "--dir-cache-time=1s"],
    "MOUNT_CACHED": ["--vfs-cache-mode=full", "--vfs-write-back=1s", "--dir-cache-time=10s"],
    # From the start to the end, by way of memory alone.
    "STREAM": ["--vfs-cache-mode=off", "--buffer-size=32M", "--dir-cache-time=10s"],
}


@dataclass(frozen=True)
class Wish:
    """What is to be mounted how.

    Attributes:
        access: What the tool signs with.
        options: Further arguments for rclone.
    """

    url: str
    mode: Mode
    plan: MountPlan
    access: Access
    write: bool = True
    options: Sequence[str] = ()


@dataclass(frozen=True)
class MountCommand:
    """A job for the agent.

    Attributes:
        tool: What mounts, with its version where it is known.
        program: Its path on the node.
        env: Without secrets.
        secrets: Reach the process by its environment alone.
    """

    tool: str
    program: str
    script: str
    env: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)


def mount_command(wish: Wish, found: Found, place: Place, bounds: Bounds) -> MountCommand:
    """The job that mounts ``wish`` at ``place``, by a tool that the node has.

    Raises:
        StorageError: The node has none, or the store or mode is not for it.
    """
    problem = found.problem()
    if problem:
        raise StorageError(f"{wish.url} cannot be mounted: {problem}.", fix="Or write mode: COPY.")
    if found.rclone and wish.plan.rclone is not None:
        argv = _rclone(wish, found, place, bounds)
        tool = f"rclone {found.version}"
        env, secrets = _environment(wish.plan), _secrets(wish)
    else:
        tool, argv = _other(wish, found, place, bounds)
        env, secrets = {}, dict(wish.access.env)
    return MountCommand(tool, argv[0], _script(argv, place, bounds), env, secrets)


def _script(argv: Sequence[str], place: Place, bounds: Bounds) -> str:
    given = {
        "stix_point": place.point,
        "stix_cache": place.cache,
        "stix_bound": f"{bounds.silence:.0f}",
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in given.items()]
    lines += [f"stix_argv=({shlex.join(argv)})"]
    # A relative socket: the path of a node's directory may be too long for one.
    lines += [f"mkdir -p -m 700 {shlex.quote(place.folder)}", f"cd {shlex.quote(place.folder)}"]
    return "\n".join([*lines, _keeper()])


@cache
def _keeper() -> str:
    return files(__package__).joinpath("keep.sh").read_text(encoding="utf-8")


def _rclone(wish: Wish, found: Found, place: Place, bounds: Bounds) -> list[str]:
    kind = (wish.plan.rclone or {}).get("type")
    if kind == "sftp" and not found.at_least(*KNOWS_HOSTS):
        raise StorageError(
            f"{wish.url}: rclone {found.version} of the node does not check the host's key.",
            fix="Install rclone {}.{} or newer there.".format(*KNOWS_HOSTS),
        )
    argv = [found.rclone, "mount", f"{REMOTE}:{wish.plan.path}", place.point, *_MODES[wish.mode]]
    # Tries add up: those of the mount, of the backend and of its client multiply.
    argv += [f"--timeout={bounds.idle:g}s", f"--contimeout={bounds.connect:g}s"]
    argv += ["--low-level-retries=2", "--retries=1", "--attr-timeout=1s"]
    if kind == "s3":
        argv.append("--use-server-modtime")  # else each file costs a request
    argv += [f"--cache-dir={place.cache}", "--rc", "--rc-no-auth"]
    argv += [f"--rc-addr=unix://{place.socket}", "--log-level=NOTICE", "--stats=0"]
    if not wish.write:
        argv.append("--read-only")
    return [*argv, *wish.options]


def _environment(plan: MountPlan) -> dict[str, str]:
    fields = dict(plan.rclone or {})
    if fields.get("type") == "s3":
        # Else the first write asks whether the bucket exists, and makes it where it does not.
        fields.setdefault("no_check_bucket", "true")
    return {**_remote(fields), "RCLONE_CONFIG": "/dev/null"}


def _remote(fields: Mapping[str, str]) -> dict[str, str]:
    return {f"RCLONE_CONFIG_{REMOTE.upper()}_{k.upper()}": v for k, v in fields.items()}


_S3 = {"key": "access_key_id", "secret": "secret_access_key", "token": "session_token"}
_AZURE = {"account": "account", "account_key": "key", "connection_string": "connection_string"}
_SFTP = {"key_pem": "key_pem", "host_keys": "host_keys"}


def _secrets(wish: Wish) -> dict[str, str]:
    """The credentials under rclone's names; nothing that the node has itself stands in for them."""
    plan, given = wish.plan.rclone or {}, wish.access.options
    kind = plan.get("type", "")
    names = {"s3": _S3, "azureblob": _AZURE, "sftp": _SFTP}.get(kind, {})
    fields = {names[name]: value for name, value in given.items() if name in names}
    if kind == "azureblob" and "sas_token" in given:
        base = plan.get("endpoint") or f"https://{given.get('account')}.blob.core.windows.net"
        container = wish.plan.path.partition("/")[0]
        fields = {"sas_url": f"{base}/{container}?{given['sas_token']}"}
    if fields:
        fields["env_auth"] = "false"
    return {**wish.access.env, **_remote(fields)}


def _other(wish: Wish, found: Found, place: Place, bounds: Bounds) -> tuple[str, list[str]]:
    """Another program that mounts this store; each uploads a file when it is closed.

    Raises:
        StorageError: There is none, or the mode needs rclone.
    """
    have = [name for name in wish.plan.tools if name in found.tools]
    if wish.mode != "MOUNT" or wish.options or not have:
        known = ", ".join(["rclone", *wish.plan.tools]) if wish.mode == "MOUNT" else "rclone"
        raise StorageError(
            f"{wish.url} cannot be mounted with mode {wish.mode}: the node has no {known}.",
            fix="Install rclone on the node, or here: pip install 'stix-pipelines[mounts]'.",
        )
    name = have[0]
    path, args, point = found.tools[name], list(wish.plan.tools[name]), place.point
    patience = f"connect_timeout={bounds.connect:.0f},readwrite_timeout={bounds.idle:.0f}"
    more = f"{patience},retries=2,stat_cache_expire=1"
    forms = {
        "s3fs": [path, *args[:1], point, *args[1:], "-f", "-o", more],
        "sshfs": [path, *args[:1], point, *args[1:], "-f"],
        "goofys": [path, "-f", *args[1:], *args[:1], point],
        "gcsfuse": [path, "--foreground", *args, point],
        "blobfuse2": [path, "mount", point, "--foreground", *args, f"--tmp-path={place.cache}"],
    }
    return name, forms[name]
