"""What a wish is as a job, and what a job is as nodes."""

from __future__ import annotations

import base64
import json
import math
import re
import shlex
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stix.clouds.base import CreateRequest, Node, NodeRef, NodeState
from stix.clouds.config import HOME_TAG
from stix.clouds.errors import InvalidRequest
from stix.clouds.hosts import HostFacts, canonical_accelerator
from stix.clouds.slurm.refusals import STATES
from stix.node import build, guard
from stix.node.agent.files import digest_text
from stix.plan.offers import Offer
from stix.remote.host_agent import PYTHONS

NO_PYTHON = 44
AGENTS = "stix-agents"
SIGN = "stix1."
COMMENT_MAX = 1000  # slurmctld refuses more than 1024 characters
SQUEUE = "%i|%T|%r|%N|%P|%V|%j|%k"
SINFO = "%R|%a|%D|%c|%m|%G|%T"
UNUSABLE = ("down", "drain", "fail", "error", "unknown", "future", "perfctrs", "inval")
_SAFE = re.compile(r"[^A-Za-z0-9._-]+")

# The first line of the input is this program's own text, the second its order.
_MAIN = f"""
for p in {" ".join(PYTHONS)}; do
  p=$(command -v "$p") && "$p" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 8))' \\
    2>/dev/null && exec "$p" -I -S -c \\
    'import sys, base64; exec(base64.b64decode(sys.stdin.readline()))'
done
exit {NO_PYTHON}
"""


@dataclass(frozen=True)
class Job:
    """One of our jobs, as ``squeue`` shows it.

    Attributes:
        hosts: Those of the agents' step, in the order of the step's nodes; empty before it runs.
        kept: Hosts that the job still holds.
        over: Ranks that were terminated.
    """

    id: str
    state: str
    reason: str
    kept: tuple[str, ...]
    created: float | None
    partition: str
    name: str
    count: int
    token: str
    tags: Mapping[str, str]
    accelerators: Mapping[str, int] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    over: frozenset[int] = frozenset()

    def host(self, rank: int) -> str:
        """The host of a rank: the last rank has the first, whose batch script keeps the job, and
        which therefore cannot be given back alone."""
        return self.hosts[self.count - 1 - rank] if len(self.hosts) == self.count else ""

    def ranks(self) -> list[int]:
        """Ranks that are there still."""
        left = [rank for rank in range(self.count) if rank not in self.over]
        if self.state == "RUNNING" and self.hosts:
            return [rank for rank in left if self.host(rank) in self.kept]
        return left

    def agent(self, rank: int) -> str:
        """The agent's name for its node: one per job, since a wish may need a second one."""
        return digest_text(f"{self.token}.{self.id}\0{rank}")

    @property
    def alive(self) -> bool:
        return STATES.get(self.state, NodeState.FAILED).alive and bool(self.ranks())

    @property
    def ended(self) -> bool:
        state = STATES.get(self.state, NodeState.FAILED)
        return state in (NodeState.FAILED, NodeState.PREEMPTED, NodeState.TERMINATED)


def job_name(home: str, token: str) -> str:
    """One per home and token."""
    whole = digest_text(home + "\0" + token)
    return f"stix-{whole}"


def comment(request: CreateRequest) -> str:
    """The tags, as text that survives every output of Slurm.

    Raises:
        InvalidRequest: they are longer than a comment may be.
    """
    told = {
        "t": request.token,
        "n": request.count,
        "tags": dict(request.tags),
        "a": {name: math.ceil(count) for name, count in request.demand.accelerators.items()},
    }
    packed = zlib.compress(json.dumps(told, ensure_ascii=False).encode(), 9)
    text = SIGN + base64.urlsafe_b64encode(packed).decode()
    if len(text) > COMMENT_MAX:
        raise InvalidRequest(
            "slurm: the labels are too long for the comment of a job",
            fix="use fewer or shorter ones",
        )
    return text


def job(line: str, steps: Mapping[str, str], over: Sequence[str]) -> Job | None:
    """The job of a line of ``SQUEUE``; None where it is not one of STIX."""
    words = line.split("|", 7)
    if len(words) < 8 or not words[7].startswith(SIGN):
        return None
    try:
        told = json.loads(zlib.decompress(base64.urlsafe_b64decode(words[7][len(SIGN) :])))
    except (ValueError, zlib.error):
        return None
    number = words[0]
    marks = [mark.partition(".")[2] for mark in over if mark.partition(".")[0] == number]
    gone = range(told["n"]) if "" in marks else [int(mark) for mark in marks]
    return Job(
        id=number,
        state=words[1],
        reason=words[2],
        kept=tuple(hostnames(words[3])),
        created=float(words[5]) if words[5].isdigit() else None,
        partition=words[4],
        name=words[6],
        count=told["n"],
        token=told["t"],
        tags=told["tags"],
        accelerators=told["a"],
        hosts=tuple(hostnames(steps.get(number, ""))),
        over=frozenset(gone),
    )


def nodes(cloud: str, found: Job, base: str, sockets: str) -> list[Node]:
    """The nodes of a job."""
    state = STATES.get(found.state, NodeState.FAILED)
    if state is NodeState.RUNNING and not found.hosts:
        state = NodeState.STARTING if found.state == "RUNNING" else state  # no agents yet
    up = state is NodeState.RUNNING and bool(found.hosts)
    made = []
    for rank in found.ranks():
        name = found.agent(rank)
        made.append(
            Node(
                ref=NodeRef(cloud, f"{found.id}.{rank}", found.partition),
                state=state,
                address=found.host(rank) if up else "",
                rank=rank,
                directory=f"{base}/nodes/{name}",
                socket=f"{sockets}/{name}" if up else "",
                tags=dict(found.tags),
                accelerators={n: [*range(c)] for n, c in found.accelerators.items()},
                created=found.created,
                reason=f"{found.state}: {found.reason}" if found.reason != "None" else found.state,
            )
        )
    return made


def hostnames(text: str) -> list[str]:
    """``n[1-3,07],m`` as names, as ``scontrol show hostnames`` gives them."""
    found: list[str] = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        found += _expand(part)
    return found


def _expand(part: str) -> list[str]:
    head, bracket, rest = part.partition("[")
    if not bracket:
        return [part]
    inside, _, tail = rest.partition("]")
    numbers: list[str] = []
    for word in inside.split(","):
        first, _, last = word.partition("-")
        width = len(first)
        numbers += [f"{n:0{width}d}" for n in range(int(first), int(last or first) + 1)]
    return [f"{head}{number}{after}" for number in numbers for after in _expand(tail)]


@dataclass(frozen=True)
class Size:
    """Nodes of one size in one partition. ``gres``: canonical accelerator to Slurm's type."""

    partition: str
    facts: HostFacts
    count: int
    gres: Mapping[str, str]

    def offer(self, cloud: str, price: float) -> Offer:
        return Offer(
            cloud=cloud,
            region=self.partition,
            zone=None,
            instance_type=self.facts.size(),
            cpus=self.facts.cpus,
            memory_gib=self.facts.memory_gib,
            accelerators=dict(self.facts.accelerators),
            price=price,
            capacity=self.count,
        )


def sizes(text: str) -> list[Size]:
    """From lines of ``SINFO``: partition, availability, nodes, CPUs, MB, GRES, state."""
    found: dict[tuple[str, ...], int] = {}
    for line in text.splitlines():
        words = line.split("|")
        if len(words) != 7 or words[1] != "up" or words[6].startswith(UNUSABLE):
            continue
        key = (words[0], words[3].rstrip("+"), words[4].rstrip("+"), words[5])
        found[key] = found.get(key, 0) + int(words[2])
    made = []
    for (partition, cpus, memory, gres), count in found.items():
        accelerators, types = _accelerators(gres)
        facts = HostFacts(float(cpus), round(float(memory) / 1024, 2), accelerators)
        made.append(Size(partition, facts, count, types))
    return made


def _accelerators(gres: str) -> tuple[dict[str, float], dict[str, str]]:
    """``gpu:a100:4(S:0-1),gpu:2`` as counts by canonical name, and Slurm's types."""
    counts: dict[str, float] = {}
    types: dict[str, str] = {}
    for kind, count in re.findall(r"\bgpu:(?:([^:,()]+):)?(\d+)", gres):
        words = kind.replace("_", " ").replace("-", " ").upper()
        name = canonical_accelerator(words).upper() if kind else "GPU"
        counts[name] = counts.get(name, 0) + int(count)
        types[name] = kind
    return counts, types


def script(request: CreateRequest, base: str, sockets: str) -> str:
    """The batch script: it starts an agent on each node, and ends with the last of them."""
    order = {
        "base": base,
        "digest": build.digest(),
        "archive": base64.b64encode(build.zipapp_bytes()).decode(),
        "ranks": request.count,
        "request": {
            "token": request.token,
            "name": request.name,
            "tags": dict(request.tags),
            "demand": {},
            "limits": {},
            "socket_dir": sockets,
        },
    }
    program = base64.b64encode(Path(guard.__file__).read_bytes()).decode()
    nodes = f"--nodes={request.count} --ntasks={request.count} --ntasks-per-node=1"
    cpus = f"--cpus-per-task={_cpus(request)}"
    step = f"srun --overlap --job-name={AGENTS} --mpi=none --kill-on-bad-exit=0 --wait=0"
    return (
        f"#!/bin/sh\n{step} {nodes} {cpus} sh -c {shlex.quote(_MAIN)} <<'STIX'\n"
        f"{program}\n{json.dumps(order)}\nSTIX\n"
    )


def options(request: CreateRequest, size: Size) -> list[str]:
    """What ``sbatch`` is told about the size of a job."""
    demand = request.demand
    found = [
        f"--job-name={job_name(request.tags[HOME_TAG], request.token)}",
        f"--comment={comment(request)}",
        f"--partition={size.partition}",
        f"--nodes={request.count}-{request.count}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={_cpus(request)}",
        "--no-requeue",  # a second life would have other hosts, and nobody would know
        "--output=/dev/null",
    ]
    if demand.memory_gib:
        found.append(f"--mem={math.ceil(demand.memory_gib * 1024)}M")
    for name, count in demand.accelerators.items():
        kind = f":{size.gres[name]}" if size.gres.get(name) else ""
        found.append(f"--gres=gpu{kind}:{math.ceil(count)}")
    return found


def _cpus(request: CreateRequest) -> int:
    return max(1, math.ceil(request.demand.cpus))


def fits(request: CreateRequest, size: Size) -> bool:
    """Whether a node of this size holds one of the wish."""
    demand: dict[str, Any] = dict(request.demand.accelerators)
    wanted = HostFacts(request.demand.cpus, request.demand.memory_gib, demand)
    return size.facts.holds(wanted)
