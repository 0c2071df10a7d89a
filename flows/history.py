"""What happened to a stage run before, and what it is given: read from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stix.clouds.base import Node
from stix.engine.runtime import RunContext
from stix.ledger import StageRow
from stix.plan.placement import Choice
from stix.recovery.actions import Decision
from stix.recovery.events import Event, event_from_dict
from stix.recovery.order import Past
from stix.spec.expand import Point
from stix.spec.states import AttemptState


@dataclass
class History:
    """The attempts of a stage run so far.

    Attributes:
        events: What ended each finished attempt, oldest first.
        past: The offers tried, with what recovery chose then.
        last: What recovery answered to the last of them.
        made: Outputs and result of an attempt that succeeded, where the stage was not told.
        next_number: Number of a new attempt.
        open_number: An attempt that an engine left unfinished; None where there is none.
    """

    events: list[Event] = field(default_factory=list)
    past: list[Past] = field(default_factory=list)
    last: Decision | None = None
    made: Mapping[str, Any] | None = None
    next_number: int = 1
    open_number: int | None = None
    open_choice: Choice | None = None
    open_steps: dict[str, Any] = field(default_factory=dict)
    open_nodes: list[Node] = field(default_factory=list)

    @classmethod
    async def of(cls, run: RunContext, key: str) -> History:
        """Read it from the ledger; attempts before the last resume do not count."""
        history = cls()
        if not (run.takeover or run.resumed):
            return history
        ledger = run.runtime.ledger
        for row in await ledger.attempts(run.run_id, key):
            history.next_number = row.number + 1
            if row.resume != run.resumed:
                continue
            if row.state is AttemptState.RUNNING:
                history.open_number = row.number
                history.open_choice = Choice.from_dict(row.offer) if row.offer else None
                history.open_steps = {k: v["result"] for k, v in row.steps.items()}
            elif row.state is AttemptState.SUCCEEDED:
                history.made = row.steps["collect"]["result"]
            elif row.event and row.action:
                history.last = Decision.from_dict(row.action)
                history.events.append(event_from_dict(row.event))
                if row.offer:
                    history.past.append(Past(Choice.from_dict(row.offer), history.last.action))
        if history.open_number is not None:
            mine = (run.run_id, key, history.open_number)
            for node in await ledger.nodes(open_only=True):
                if (node.run_id, node.key, node.attempt) == mine:
                    history.open_nodes.append(Node.from_dict(node.data))
        return history

    def add(self, number: int, event: Event, choice: Choice, decision: Decision) -> None:
        """A further attempt has ended."""
        self.next_number = number + 1
        self.events.append(event)
        self.past.append(Past(choice, decision.action))
        self.last = decision

    def close(self) -> None:
        """The open attempt is in hand."""
        self.open_number, self.open_choice = None, None
        self.open_steps, self.open_nodes = {}, []


@dataclass(frozen=True)
class Inputs:
    """What the inputs of a stage run are now.

    Attributes:
        deliveries: Input name to (sub path, digest) pairs.
        digests: The same, flat, for the cache key: ``name`` or ``name/<point>`` to digest.
    """

    deliveries: Mapping[str, list[tuple[str, str]]]
    digests: Mapping[str, str]


async def inputs_of(run: RunContext, point: Point) -> Inputs:
    """Find the artifacts of the stages that ``point`` takes inputs from.

    An input from a stage with a matrix is a folder with one entry per point that succeeded,
    named after its parameters: ``model=svm,seed=1``.
    """
    deliveries: dict[str, list[tuple[str, str]]] = {}
    for name, spec in run.specs[point.stage].inputs.items():
        rows = [run.stage_rows[k] for k, p in run.points.items() if p.stage == spec.stage]
        matrix = any(run.points[row.key].params for row in rows)
        deliveries[name] = [
            (_label(run.points[row.key]) if matrix else "", row.outputs[spec.output])
            for row in rows
            if _usable(row, spec.output)
        ]
    digests = {
        f"{name}/{sub}" if sub else name: digest
        for name, parts in deliveries.items()
        for sub, digest in parts
    }
    return Inputs(deliveries, digests)


def _usable(row: StageRow, output: str) -> bool:
    return row.state.good and output in (row.outputs or {})


def _label(point: Point) -> str:
    """The inside of the point's key as a file name; keys quote ``%`` but not the slash."""
    return point.key[len(point.stage) + 1 : -1].replace("/", "%2F")
