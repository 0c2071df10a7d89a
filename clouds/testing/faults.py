"""What a suite may do to the provider behind an adapter: a double that breaks on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from stix.clouds.base import NodeState

Wire = Literal[
    "cut before", "cut after", "silent before", "silent after", "error 500", "busy 429", "garbage"
]
"""What happens to one request. ``before``: the provider did nothing; ``after``: it did it all, and
only the answer is lost. ``garbage``: a page of HTML with status 200, and nothing was done."""

Refusal = Literal["capacity", "quota", "auth", "invalid"]
"""Why a provider turns an order down, in its own words."""


class Faults(Protocol):
    """The other side of a wire. Counting begins anew with each ``watch``."""

    @property
    def refusals(self) -> Mapping[Refusal, str]:
        """Those that the provider knows for an order, each with the scope that its words mean
        (``type``, ``zone``, ``region``, ``cloud``; empty where there is none)."""

    def watch(self) -> None:
        """Forget the requests so far and all faults that are left."""

    def asked(self) -> int:
        """Requests since ``watch``."""

    def wire(self, kind: Wire, at: int, times: int = 1) -> None:
        """Break the request number ``at`` from 0 (and those after it, of ``times``)."""

    def kill(self, pid: int, at: int, *, after: bool) -> None:
        """SIGKILL to the caller at request ``at``, before or after it is done."""

    def refuse(self, why: Refusal, times: int = 1) -> None:
        """Turn down the next orders."""

    def lock_out(self, out: bool) -> None:
        """Whether the credentials are refused, at every request."""

    def lag(self, listings: int) -> None:
        """So many listings still miss a machine that is made from now on."""

    def states(self) -> Mapping[str, NodeState]:
        """Every state in the provider's words, and what it means."""

    def billed(self, state: str) -> bool:
        """Whether a machine in this state costs money."""

    def put(self, node_id: str, state: str) -> None:
        """Have a machine in a state."""

    def take_away(self, node_id: str) -> None:
        """Preempt a spot machine, as the provider does it."""

    def stranger(self, name: str) -> str:
        """Somebody else's machine in the account, with this name and no tag of ours: its id."""

    def alive(self) -> Sequence[str]:
        """Ids of the machines that cost money, whoever made them."""

    def leftovers(self) -> Sequence[str]:
        """What else there is that serves single nodes and costs money or room: disks, addresses,
        security groups."""
