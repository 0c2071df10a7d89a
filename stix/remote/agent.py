"""The agent's client: nodes of one host, and the jobs of one node."""

from __future__ import annotations

from stix.remote.client import AgentClient
from stix.remote.host_agent import HostAgent
from stix.remote.messages import (
    AgentError,
    Chunk,
    End,
    JobStart,
    JobStatus,
    NodeRecord,
    PathInfo,
    UpRequest,
)

__all__ = [
    "AgentClient",
    "AgentError",
    "Chunk",
    "End",
    "HostAgent",
    "JobStart",
    "JobStatus",
    "NodeRecord",
    "PathInfo",
    "UpRequest",
]
