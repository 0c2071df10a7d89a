"""What engines say when they refuse, and what it means here.

Words of dockerd 20.10 and podman 4.3, as they came in tests against both, and of moby's sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    Throttled,
    TransientError,
)
from stix.remote.base import RemoteError
from stix.remote.container import ApiError

Make = Callable[[str, str], CloudError]


def _invalid(message: str, fix: str) -> CloudError:
    return InvalidRequest(message, fix=fix)


def _full(message: str, fix: str) -> CloudError:
    return CapacityError(message, scope="cloud", fix=fix)


def _auth(message: str, fix: str) -> CloudError:
    return AuthError(message, fix=fix)


def _slower(message: str, fix: str) -> CloudError:
    return Throttled(message, retry_after=30.0)


def _again(message: str, fix: str) -> CloudError:
    return TransientError(message, fix=fix)


@dataclass(frozen=True)
class Refusal:
    """One row: a pattern of the engine's words, the error, and what people can do."""

    pattern: str
    make: Make
    fix: str = ""


IMAGE_FIX = "pull the image by hand, or name another one by `image_id` or in config.yaml"
REFUSALS = (
    Refusal(r"toomanyrequests|pull rate limit", _slower),
    # podman 4.3 on a busy machine: the process that unpacks for it was not there yet.
    Refusal(r"passing bulk input to subprocess", _again),
    Refusal(
        r"no such image|image not known|manifest( for .*)? (unknown|not found)", _invalid, IMAGE_FIX
    ),
    Refusal(r"pull access denied|repository does not exist", _invalid, IMAGE_FIX),
    Refusal(r"invalid reference format|invalid reference", _invalid, "correct the image's name"),
    Refusal(
        r"could not select device driver|unresolvable CDI|nvidia-container-cli",
        _invalid,
        "install the NVIDIA container toolkit, and restart the engine",
    ),
    Refusal(r"unknown runtime|invalid runtime|runtime .* not found", _invalid, "correct `runtime`"),
    Refusal(
        r"port is already allocated|address already in use|ports? .*already in use",
        _full,
        "end what uses the port, or ask for another one",
    ),
    Refusal(r"no space left on device|disk quota exceeded", _full, "free disk of the engine"),
    Refusal(
        r"non-overlapping IPv4 address pool|no free subnet|could not find free subnet",
        _full,
        "remove networks by `docker network prune`, or set `network`",
    ),
    Refusal(
        r"executable file .*not found|exec: .*no such file", _invalid, "use an image with a shell"
    ),
    Refusal(r"unable to find user|no matching entries in passwd", _invalid, "correct `user`"),
    Refusal(r"network .*not found|unable to find network", _invalid, "correct `network`"),
    Refusal(r"minimum memory limit|range of cpus|invalid (memory|cpu)", _invalid),
    Refusal(r"operation not permitted|permission denied.*rlimit|setrlimit", _invalid),
    Refusal(r"removal of container .* is already in progress|is being removed", _again),
    Refusal(r"cannot connect to the docker daemon|i/o timeout|tls handshake timeout", _again),
)


def refused(error: RemoteError, name: str) -> CloudError:
    """The same failure in the words of a cloud."""
    if not isinstance(error, ApiError):
        return _unreachable(error, name)
    message = f"{name}: {error.message}"
    for row in REFUSALS:
        if re.search(row.pattern, error.message, re.IGNORECASE):
            return row.make(message, row.fix)
    if error.status in (401, 403):
        return AuthError(message)
    if error.status == 429:
        return Throttled(message)
    if error.status in (502, 503, 504):
        return TransientError(message)
    if error.status < 500:
        return InvalidRequest(message)
    # 500 is also said for what will never work, such as a broken runtime: no blind second try.
    return CloudError(message)


def _unreachable(error: RemoteError, name: str) -> CloudError:
    words = str(error.message)
    if "Permission" in words or isinstance(error.__cause__, PermissionError):
        return AuthError(
            f"{name}: {words}", fix=f"add your user to the group {name}, or use a rootless engine"
        )
    return TransientError(f"{name}: {words}", fix=f"check that `{name} info` works")
