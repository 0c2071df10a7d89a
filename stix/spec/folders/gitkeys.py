"""What the program ``git`` may use to reach a repository, and how it gets it.

Values of secrets reach ``git`` and its helpers by their environment and by standard input alone:
no file holds them, and no argument.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from stix.errors import StixError

TOKEN, KEY, KEY_PATH = "GIT_TOKEN", "GIT_SSH_KEY", "GIT_SSH_KEY_PATH"
NAMES = (TOKEN, KEY, KEY_PATH)
"""SkyPilot's names of the secrets."""
AGENT_S = 10.0
STALL_S = 60
_KEPT = ("GIT_SSL_", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
"""Of the user's own variables for git; others, such as GIT_DIR, are about other repositories."""
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$STIX_U" "$STIX_P"; }; f'
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_USERS = {"gitlab": "oauth2", "bitbucket": "x-token-auth"}
"""Part of a host's name to the user that its tokens go with; others take any."""


class GitError(StixError):
    """A repository cannot be fetched. Never holds a credential."""


@dataclass(frozen=True)
class GitKeys:
    """What lets one in; without any, what the user has set up for ``git`` and ``ssh``.

    Attributes:
        token: For https.
        key: A private key of SSH, as its file has it.
        key_path: Where such a key lies, on this machine.
    """

    token: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    key_path: str = ""

    @classmethod
    def of(cls, values: Mapping[str, str | None]) -> GitKeys:
        """From variables of the names of SkyPilot's."""
        return cls(*(values.get(name) or "" for name in NAMES))


@contextmanager
def environment(url: str, keys: GitKeys) -> Iterator[dict[str, str]]:
    """The variables for ``git`` to reach ``url``, as long as the block lasts.

    Raises:
        GitError: a key or token cannot be used.
    """
    env = without_git()
    env |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true"}
    env |= {"GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_SSH_VARIANT": "ssh"}
    scheme = url.partition("://")[0].lower() if "://" in url else "ssh"
    settings = dict(_SETTINGS)
    if scheme in ("http", "https"):
        settings |= _token(url, keys, env)
    for name in ("https", "http", "ssh", *(["file"] if scheme == "file" else [])):
        settings[f"protocol.{name}.allow"] = "always"
    for i, (name, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{i}": name, f"GIT_CONFIG_VALUE_{i}": value}
    env["GIT_CONFIG_COUNT"] = str(len(settings))
    if scheme != "ssh":
        yield env
        return
    with _ssh(keys, env) as options:
        base = shlex.split(os.environ.get("GIT_SSH_COMMAND", "")) or ["ssh"]
        env["GIT_SSH_COMMAND"] = shlex.join([*base, *_SSH, *options])
        yield env


_SETTINGS = {
    "protocol.allow": "never",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": str(STALL_S),
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
_SSH = (
    *("-oBatchMode=yes", "-oStrictHostKeyChecking=accept-new", "-oConnectTimeout=20"),
    *("-oServerAliveInterval=15", "-oServerAliveCountMax=4"),
)


def without_git() -> dict[str, str]:
    """The environment of this process, without what it says to ``git`` of other repositories."""
    return {name: value for name, value in os.environ.items() if _is_kept(name)}


def _is_kept(name: str) -> bool:
    return not name.startswith(("GIT_", "SSH_ASKPASS")) or name.startswith(_KEPT)


def _token(url: str, keys: GitKeys, env: dict[str, str]) -> dict[str, str]:
    """Settings by which ``git`` asks for the token, and only for this host."""
    if not keys.token:
        return {}
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme.lower() == "http" and host not in _LOOPBACK:
        raise GitError(
            f"{TOKEN} would go to {host} as plain text, which anybody on the way can read.",
            fix="Write https:// in the URL, or leave the token out.",
        )
    if not keys.token.isprintable():
        raise GitError(f"The value of {TOKEN} is not one line.", fix="Give the token alone.")
    user = next((user for word, user in _USERS.items() if word in host), "x-access-token")
    env |= {"STIX_U": parts.username or user, "STIX_P": keys.token}
    # The empty one takes out the user's own helpers: they could write the token to a file.
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return {"credential.helper": "", f"credential.{place}.helper": _HELPER}


@contextmanager
def _ssh(keys: GitKeys, env: dict[str, str]) -> Iterator[list[str]]:
    """Options of ``ssh`` for the key."""
    if keys.key:
        with _agent(keys.key, env) as socket:
            yield [f"-oIdentityAgent={socket}", "-oIdentityFile=none", "-oForwardAgent=no"]
        return
    if not keys.key_path:
        yield []
        return
    path = Path(keys.key_path).expanduser()
    if not path.is_file():
        raise GitError(
            f"{KEY_PATH} names {path}, which is not there on this machine.",
            fix=f"Correct {KEY_PATH}, or give the key itself as the secret {KEY}.",
        )
    yield ["-i", str(path), "-oIdentitiesOnly=yes", "-oIdentityAgent=none"]


@contextmanager
def _agent(key: str, env: Mapping[str, str]) -> Iterator[str]:
    """An agent of SSH that holds ``key`` in its memory; its socket."""
    program, add = shutil.which("ssh-agent"), shutil.which("ssh-add")
    if program is None or add is None:
        raise GitError(
            f"{KEY} needs the program ssh-agent, which is not on this machine.",
            fix=f"Install OpenSSH's client, or give {KEY_PATH} instead.",
        )
    with tempfile.TemporaryDirectory(prefix="stix-git-") as folder:
        socket = Path(folder) / "agent"
        agent = subprocess.Popen(
            [program, "-D", "-a", str(socket)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(agent, socket)
            _add(add, socket, key, env)
            yield str(socket)
        finally:
            agent.kill()
            agent.wait()


def _wait(agent: subprocess.Popen[bytes], socket: Path) -> None:
    end = time.monotonic() + AGENT_S
    while not socket.exists():
        if agent.poll() is not None or time.monotonic() > end:
            raise GitError("ssh-agent does not start.", fix=f"Give {KEY_PATH} instead of {KEY}.")
        time.sleep(0.01)


def _add(program: str, socket: Path, key: str, env: Mapping[str, str]) -> None:
    text = key.replace("\r\n", "\n").strip() + "\n"
    done = subprocess.run(
        [program, "-q", "-"],
        input=text.encode(),
        env={**env, "SSH_AUTH_SOCK": str(socket), "SSH_ASKPASS_REQUIRE": "never"},
        capture_output=True,
        start_new_session=True,  # without a terminal it cannot ask for a passphrase
        timeout=AGENT_S,
        check=False,
    )
    if done.returncode:
        raise GitError(
            f"The value of {KEY} is no private key of SSH, or it has a passphrase.",
            fix=f"Give all lines of the key's file; where it has a passphrase, use {KEY_PATH} "
            "with your own agent.",
        )
