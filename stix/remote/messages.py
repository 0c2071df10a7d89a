"""What goes to the agent and comes back, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from stix.errors import StixError

JobState = Literal["waiting", "running", "exited"]


class AgentError(StixError):
    """The agent refused a request.

    Attributes:
        code: ``capacity``, ``fenced``, ``not_found``, ``invalid``, ``failed``, or ``no_python``.
    """

    def __init__(self, code: str, message: str, *, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.code = code


def _known(cls: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(cls)}
    return {key: value for key, value in data.items() if key in names}


@dataclass(frozen=True)
class UpRequest:
    """A wish for one node on a host.

    Attributes:
        token: Names the wish, with ``rank``: asked twice, there is one node.
        demand: ``cpus``, ``memory_gib``, ``accelerators`` {name: count} to reserve.
        limits: The same keys: what the host may give to all nodes; a missing key is no limit.
        address: Address at which other nodes reach this one.
        socket_dir: Where the agent's socket shall lie; None lets the agent choose.
    """

    token: str
    rank: int = 0
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    demand: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    address: str = "127.0.0.1"
    socket_dir: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "tags": dict(self.tags)}


@dataclass(frozen=True)
class NodeRecord:
    """A node as its host reports it. ``state``: running, failed or preempted."""

    id: str
    token: str
    rank: int
    name: str
    state: str
    address: str
    directory: str
    socket: str
    pid: int
    host: str
    tags: Mapping[str, str]
    demand: Mapping[str, Any]
    accelerators: Mapping[str, Sequence[int]]
    created: float

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(**_known(cls, data))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class JobStart:
    """A job to start.

    Attributes:
        job: Its id, ``<run>/...``; starting an id twice starts it once.
        fence: Lease token of the run; a lower one than the highest seen is refused.
        script: Text for bash.
        cwd: Directory; None is the node's ``work``.
        env: Variables beside the base environment (PATH, HOME, LANG, USER, SHELL, TMPDIR).
        secrets: Variables whose values are replaced by ``***`` in the output.
        barrier: Prepare only, and start at ``release``.
        log_limit: Bytes of output to keep; None keeps all.
    """

    job: str
    script: str
    fence: int | None = None
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    barrier: bool = False
    log_limit: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "env": dict(self.env), "secrets": dict(self.secrets)}


@dataclass(frozen=True)
class JobStatus:
    """How a job stands. ``exit_code`` is 128 + ``signal`` where a signal ended it.

    ``usage``: ``cpu_seconds``, ``max_rss_bytes``. ``size``: bytes of the log. ``truncated``: the
    log lacks something (its limit, or a full disk). ``oom``: the kernel killed it for memory.
    """

    state: JobState
    exit_code: int | None = None
    signal: int | None = None
    oom: bool = False
    started: float | None = None
    ended: float | None = None
    usage: Mapping[str, float] = field(default_factory=dict)
    size: int = 0
    truncated: bool = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(**_known(cls, data))


@dataclass(frozen=True)
class Chunk:
    """A piece of a log, which begins at ``offset``."""

    offset: int
    data: bytes

    @property
    def next_offset(self) -> int:
        return self.offset + len(self.data)


@dataclass(frozen=True)
class End:
    """The last item of a tail. ``ended`` is False where the caller did not want to follow."""

    ended: bool
    offset: int
    status: JobStatus


@dataclass(frozen=True)
class PathInfo:
    """``type``: file, dir, link, other or missing."""

    type: Literal["file", "dir", "link", "other", "missing"]
    size: int
    mode: int
    mtime: float
