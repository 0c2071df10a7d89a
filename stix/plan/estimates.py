"""How long a stage takes and how large its data is: from earlier runs, the user, or a guess.

Times of one stage on one shape are taken for log-normal. Their spread is thought to be about 15 %
before anything is seen, which counts as much as two runs; so that one run gives a bar already.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from statistics import fmean

from stix.plan.amount import Amount, student
from stix.plan.history import History, Seen, Shape
from stix.plan.offers import Offer
from stix.spec.estimate import EstimateSpec
from stix.spec.words.accelerators import spelled

DEFAULT_S = 3600.0
"""What a stage is thought to take of which nothing is known."""
SPREAD, SPREAD_RUNS = 0.15, 2.0
_GUESSED, _SAID, _OTHER_SHAPE, _OTHER_KIND = 6.0, 2.0, 0.35, 1.0
"""How wrong it may be: a factor for a guess and for the user, a deviation of the logarithm for
other accelerators and for an accelerator in place of none."""
SCALING = 0.9
"""Twice the accelerators are 2^0.9 times as fast."""
RUNS_KEPT = 30
"""Older runs of a stage do not count: its code changes."""
SETUP_S = 120.0
ASSUMED, SAID, SEEN, SEEN_ELSEWHERE = "assumed", "your estimate", "history", "history elsewhere"


@dataclass(frozen=True)
class Estimate:
    """An amount and where it is from.

    Attributes:
        amount: Seconds, or GB.
        basis: ``history`` (this shape), ``history elsewhere`` (another shape, scaled by speed),
            ``your estimate`` or ``assumed``.
        runs: How many runs it is made of.
    """

    amount: Amount
    basis: str
    runs: int = 0


def predicted(values: Sequence[float], extra: float = 0.0) -> Amount:
    """The next of a series of times: about 19 of 20 lie within the bar.

    Args:
        values: What was seen, all above zero.
        extra: A further deviation of the logarithm.
    """
    logs = [math.log(value) for value in values]
    count, middle = len(logs), fmean(logs)
    freedom = SPREAD_RUNS + count - 1
    squares = SPREAD_RUNS * SPREAD**2 + sum((log - middle) ** 2 for log in logs)
    deviation = math.sqrt(squares / freedom * (1 + 1 / count) + extra**2)
    reach = student(freedom) * deviation
    value = math.exp(middle)
    return Amount(value, value * math.exp(-reach), value * math.exp(reach))


@lru_cache(maxsize=1)
def _table() -> dict[str, float]:
    text = (files("stix.plan") / "data" / "speeds.json").read_text(encoding="utf-8")
    known = json.loads(text)["accelerators"]
    return {name.lower(): math.sqrt(tflops * gb_s) for name, (tflops, gb_s) in known.items()}


@lru_cache(maxsize=4096)
def speed(shape: Shape) -> float | None:
    """Relative speed of a shape; None where nothing is known of its accelerator.

    Machines without an accelerator all count alike: whether a command uses more CPUs is not known
    before it was seen.
    """
    nodes: float = shape.nodes**SCALING
    if not shape.accelerator:
        return nodes
    one = _table().get(spelled(shape.accelerator).lower())
    return None if one is None else one * shape.count**SCALING * nodes


@dataclass(frozen=True)
class Stage:
    """What times are asked for: a stage by its name, with what the user expects.

    Attributes:
        name: Of the stage.
        nodes: That work together.
        said: ``estimate`` of the file.
        has_setup: Whether there is anything to set up.
    """

    name: str
    nodes: int = 1
    said: EstimateSpec = field(default_factory=EstimateSpec)
    has_setup: bool = False


class Estimator:
    """Estimates for the stages of a pipeline, each found once."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._runs: dict[str, dict[Shape, list[Seen]]] = {}
        self._known: dict[tuple[object, ...], Estimate] = {}
        self._setups: dict[tuple[str, bool], Estimate] = {}

    def runs(self, stage: str) -> dict[Shape, list[Seen]]:
        """The latest runs of a stage, by shape."""
        if stage not in self._runs:
            found: dict[Shape, list[Seen]] = {}
            for seen in self._history.of(stage)[-RUNS_KEPT:]:
                if seen.seconds > 0:
                    found.setdefault(seen.shape, []).append(seen)
            self._runs[stage] = found
        return self._runs[stage]

    def pace(self, stage: Stage) -> Callable[[Offer], object] | None:
        """What tells apart offers on which the stage may take different times; None for none."""
        if self.runs(stage.name) or stage.said.accelerators:
            return lambda offer: Shape.of(offer, stage.nodes)
        return None

    def time(self, stage: Stage, offer: Offer) -> Estimate:
        """Seconds of the command of a stage on an offer."""
        shape = Shape.of(offer, stage.nodes)
        said = stage.said.time, tuple(stage.said.accelerators.items())
        key = stage.name, said, shape
        if key not in self._known:
            self._known[key] = self._time(stage, shape)
        return self._known[key]

    def _time(self, stage: Stage, shape: Shape) -> Estimate:
        runs = self.runs(stage.name)
        if shape in runs:
            times = [seen.seconds for seen in runs[shape]]
            return Estimate(predicted(times), SEEN, len(times))
        if runs:
            return _scaled(runs, shape)
        said = stage.said
        if said.time is None:
            return Estimate(Amount.within(DEFAULT_S, _GUESSED), ASSUMED)
        if not said.accelerators:
            return Estimate(Amount.within(said.time, _SAID), SAID)
        (name, count), *_ = said.accelerators.items()
        there = Shape(spelled(name), count, 0.0, stage.nodes)
        factor, deviation = compared(there, shape)
        reach = _SAID if deviation == 0 else math.exp(math.hypot(math.log(_SAID), 2 * deviation))
        return Estimate(Amount.within(said.time * factor, reach), SAID)

    def setup(self, stage: Stage) -> Estimate:
        """Seconds of its setup."""
        key = stage.name, stage.has_setup
        if key not in self._setups:
            self._setups[key] = self._setup(stage)
        return self._setups[key]

    def _setup(self, stage: Stage) -> Estimate:
        seen = self._history.of(stage.name)[-RUNS_KEPT:]
        times = [s.setup_seconds for s in seen if s.setup_seconds is not None]
        positive = [time for time in times if time > 0]
        if positive:
            return Estimate(predicted(positive), SEEN, len(positive))
        if times or not stage.has_setup:
            return Estimate(Amount.exact(0.0), SEEN if times else ASSUMED, len(times))
        return Estimate(Amount.within(SETUP_S, 4.0), ASSUMED)

    def output(self, stage: Stage, name: str) -> Estimate:
        """GB of one output; nothing where nobody knows."""
        seen = [run.outputs[name] for run in self._history.of(stage.name) if name in run.outputs]
        return _size(seen, stage.said.outputs, name)

    def input(self, stage: Stage, url: str) -> Estimate:
        """GB that are read from a URL; nothing where nobody knows."""
        seen = [run.inputs[url] for run in self._history.of(stage.name) if url in run.inputs]
        return _size(seen, stage.said.inputs, url)


def compared(there: Shape, here: Shape) -> tuple[float, float]:
    """How much longer something takes here than there, and how wrong that may be (log)."""
    if there == here:
        return 1.0, 0.0
    one, other = speed(there), speed(here)
    if one is None or other is None or bool(there.accelerator) != bool(here.accelerator):
        return 1.0, _OTHER_KIND
    return one / other, _OTHER_SHAPE


def _scaled(runs: Mapping[Shape, list[Seen]], shape: Shape) -> Estimate:
    """From the shapes whose times say most about this one."""
    ratios = {there: compared(there, shape) for there in runs}
    least = min(deviation for _, deviation in ratios.values())
    near = [there for there, (_, deviation) in ratios.items() if deviation == least]
    if not shape.accelerator:  # the machine of the most similar size
        near = [min(near, key=lambda s: (abs(math.log((s.cpus or 1) / (shape.cpus or 1))), s.cpus))]
    times = [seen.seconds * ratios[there][0] for there in near for seen in runs[there]]
    return Estimate(predicted(times, least), SEEN_ELSEWHERE, len(times))


def _size(seen: Sequence[float], said: Mapping[str, float], name: str) -> Estimate:
    recent = [gb for gb in seen[-RUNS_KEPT:] if gb > 0]
    if recent:
        return Estimate(predicted(recent), SEEN, len(recent))
    if seen:
        return Estimate(Amount.exact(0.0), SEEN, len(seen))
    if name in said:
        return Estimate(Amount.within(said[name], _SAID), SAID)
    return Estimate(Amount.exact(0.0), ASSUMED)
