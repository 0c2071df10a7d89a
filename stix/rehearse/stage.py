"""One stage run in virtual time: attempts until one succeeds or the policy gives up.

The shape is that of the real flow of a stage: the same decisions are asked the same questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from stix.clouds.errors import CloudError, Throttled
from stix.clouds.sim.world import World
from stix.clouds.wrappers import Retry
from stix.engine.cloud_events import event_of
from stix.plan.estimates import Estimator, Stage
from stix.plan.offers import Offer
from stix.plan.placement import Placement
from stix.plan.spot import Checkpoints
from stix.recovery.actions import Action, GiveUp
from stix.recovery.decide import decide
from stix.recovery.events import Capacity, Denied, Event, Preempted, TimedOut
from stix.recovery.order import Order, Past, Search
from stix.rehearse.kernel import Body, Signal, Wait
from stix.rehearse.record import AttemptRecord, StageRecord, Try
from stix.spec.recovery import RecoveryPolicy
from stix.spec.states import AttemptState, StageState

_RETRY = Retry()


class Ended(Exception):
    """An attempt ended other than by success."""

    def __init__(self, event: Event, decision: str = "") -> None:
        super().__init__(event.kind)
        self.event, self.decision = event, decision


@dataclass(frozen=True)
class Work:
    """What a stage is, for a rehearsal.

    Attributes:
        stage: For the planner's estimates.
        placement: What it takes first, and what then.
        policy: What to do when something goes wrong.
        timeout: Seconds for setup and command of one attempt.
        checkpoints: From where the command goes on after an interruption.
    """

    stage: Stage
    placement: Placement
    policy: RecoveryPolicy
    timeout: float | None = None
    checkpoints: Checkpoints | None = None


@dataclass
class Stand:
    """What all stage runs of a rehearsal share.

    Attributes:
        rooms: Cloud to what is fired when nodes are given back there.
        tell: Called with a line for people who watch.
    """

    world: World
    estimator: Estimator
    run_id: str
    tell: Callable[[str], None]
    rooms: dict[str, Signal] = field(default_factory=dict)

    def room(self, offer: Offer) -> Signal:
        return self.rooms.setdefault(offer.cloud, Signal())


class StageRun:
    """A stage run; its body is a process."""

    def __init__(self, stand: Stand, work: Work, record: StageRecord) -> None:
        self._stand, self._work, self._record = stand, work, record
        self._world = stand.world
        self._kept = 0.0

    def body(self) -> Body:
        """From the first attempt to a final state."""
        order, events = Order(self._work.placement), list[Event]()
        self._record.state = StageState.RUNNING
        while True:
            search = Search(self._work.placement, self._work.policy, order.next())
            attempt = AttemptRecord(len(events) + 1, search.choice.offer, self._world.now)
            self._record.attempts.append(attempt)
            try:
                yield from self._attempt(attempt, search)
            except Ended as ended:
                attempt.event, attempt.decision = ended.event, ended.decision
            if attempt.event is None:
                self._end(attempt, AttemptState.SUCCEEDED)
                self._record.state = StageState.SUCCEEDED
                return
            action = self._decide(attempt, events, search)
            self._end(attempt, AttemptState.FAILED)
            if isinstance(action, GiveUp):
                self._record.state = StageState.FAILED
                detail = attempt.event.detail or attempt.event.kind
                self._record.reason = f"{detail}; {attempt.decision}"
                return
            order.tried(Past(search.choice, action))
            yield Wait(action.after_s)

    def _decide(self, attempt: AttemptRecord, events: list[Event], search: Search) -> Action:
        assert attempt.event is not None
        before = [*events, *[Capacity()] * len(search.past)]
        seed = f"{self._stand.run_id}/{self._record.key}"
        decision = decide(self._work.policy, attempt.event, before, seed=seed)
        attempt.decision = attempt.decision or decision.reason
        events.append(attempt.event)
        return decision.action

    def cancel(self) -> None:
        """What is under way is over."""
        if not self._record.state.final:
            self._record.state = StageState.CANCELLED
        for attempt in self._record.attempts:
            if attempt.state is AttemptState.RUNNING:
                self._end(attempt, AttemptState.CANCELLED)

    def _end(self, attempt: AttemptRecord, state: AttemptState) -> None:
        attempt.state, attempt.end, attempt.kept_s = state, self._world.now, self._kept
        lease = attempt.lease
        if lease is not None:
            self._world.release(lease)
            self._stand.room(lease.offer).fire()
        why = f": {attempt.event.kind}; {attempt.decision}" if attempt.event else ""
        self._note(f"attempt {attempt.number} {state}{why}")

    def _attempt(self, attempt: AttemptRecord, search: Search) -> Body:
        """Nodes, setup, command. Raises ``Ended``."""
        gone = Signal()
        lease = yield from self._provision(attempt, search, gone)
        attempt.lease = lease
        yield from self._spend(lease.ready - self._world.now, gone)
        attempt.ready = self._world.now
        offer, stage = lease.offer, self._work.stage
        self._note(f"attempt {attempt.number} runs at {offer.infra}")
        deadline = math.inf if self._work.timeout is None else self._world.now + self._work.timeout
        setup = self._stand.estimator.setup(stage).amount.value
        yield from self._within(setup, deadline, gone)
        whole = self._stand.estimator.time(stage, offer).amount.value
        begun = self._world.now
        try:
            yield from self._within(_duration(self._work, whole - self._kept), deadline, gone)
        except Ended:
            self._kept += _saved(self._work, self._world.now - begun)
            raise

    def _provision(self, attempt: AttemptRecord, search: Search, gone: Signal) -> Body:
        """Ask offer by offer, as the real step does. Raises ``Ended``."""
        while True:
            attempt.offer = search.choice.offer
            token = f"{self._stand.run_id}.{self._record.key}.{attempt.number}.{attempt.tried}"
            try:
                return (yield from self._ask(attempt.offer, token, gone))
            except CloudError as error:
                event = event_of(error)
            if not isinstance(event, Capacity | Denied):
                raise Ended(event)
            decision = search.refused(event, token)
            attempt.add(Try(self._world.now, attempt.offer, event, decision.reason))
            self._note(f"{event.detail}: {decision.reason}")
            if isinstance(decision.action, GiveUp):
                raise Ended(event, decision.reason)
            yield Wait(decision.action.after_s, self._stand.room(search.choice.offer))

    def _ask(self, offer: Offer, token: str, gone: Signal) -> Body:
        """Order the nodes; what may go better the next time is tried again as around real clouds.

        Raises:
            CloudError: they cannot be had.
        """
        begun, tries = self._world.now, 0
        while True:
            try:
                return self._world.rent(
                    offer, self._work.stage.nodes, token, lambda lease: gone.fire()
                )
            except CloudError as error:
                tries += 1
                refusal = error
            yield Wait(self._world.climate.scenario.answer_s)
            pause = min(_RETRY.cap_s, 0.2 * 2.0 ** (tries - 1))
            if isinstance(refusal, Throttled):
                pause = refusal.retry_after
            late = self._world.now + pause > begun + _RETRY.budget_s
            if not refusal.retryable or tries >= _RETRY.attempts or late:
                raise refusal
            yield Wait(pause)

    def _within(self, seconds: float, deadline: float, gone: Signal) -> Body:
        """Spend time before the deadline. Raises ``Ended`` where nodes go, or it passes."""
        left = deadline - self._world.now
        yield from self._spend(min(seconds, left), gone)
        if seconds > left:
            timeout = self._work.timeout or 0.0
            raise Ended(TimedOut(detail=f"the timeout of {timeout:g} s passed"))

    def _spend(self, seconds: float, gone: Signal) -> Body:
        if (yield Wait(seconds, gone)) is not None:
            raise Ended(Preempted(detail="the provider took a node back"))

    def _note(self, text: str) -> None:
        self._world.note("stage", f"{self._record.key} {text}")
        self._stand.tell(f"{self._record.key}: {text}")


def _duration(work: Work, left: float) -> float:
    """Seconds of a command with so much left to do, its checkpoints included."""
    points = work.checkpoints
    if points is None or left <= 0:
        return max(0.0, left)
    return left + points.pause * (math.ceil(left / points.every) - 1)


def _saved(work: Work, spent: float) -> float:
    """What of so many seconds need not be done again."""
    points = work.checkpoints
    if points is None:
        return 0.0
    return math.floor(spent / (points.every + points.pause)) * points.every
