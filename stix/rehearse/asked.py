"""From the words of a command to what a rehearsal is asked for."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic_core import PydanticCustomError

from stix.clouds.sim.scenario import FAULTS, Fault, FaultKind, Scenario, Stock, Trace, covers
from stix.errors import UsageError
from stix.plan.offers import Offer
from stix.spec.values import duration

_TIMES = "write PLACE, or PLACE@FROM-TO such as us-east-1a@1h-6h"


@dataclass(frozen=True)
class Asked:
    """What the options of ``stix rehearse`` say.

    Attributes:
        seed: Of the first rehearsal.
        preempt_rate: Preemptions per spot node and hour; None for the usual rate.
        stock: Machines of each kind in each zone and market; None for no limit.
        stockouts: ``PLACE[@FROM-TO]``.
        faults: ``KIND:PLACE[@FROM-TO]``.
        traces: ``PLACE=FILE``.
    """

    seed: int = 0
    preempt_rate: float | None = None
    stock: int | None = None
    stockouts: Sequence[str] = ()
    faults: Sequence[str] = ()
    traces: Sequence[str] = ()

    def scenario(self, offers: Iterable[Offer]) -> Scenario:
        """The world that is asked for.

        Raises:
            UsageError: an option makes no sense, or names a place where nothing is offered.
            InvalidRequest: a trace cannot be read.
        """
        known = list(offers)
        faults = [_fault("stockout", text, "--stockout") for text in self.stockouts]
        faults += [_scripted(text) for text in self.faults]
        traces = [_trace(text) for text in self.traces]
        for place in [*(fault.place for fault in faults), *(trace.place for trace in traces)]:
            _there(place, known)
        plain = Scenario()
        rate = plain.preempt_rate if self.preempt_rate is None else self.preempt_rate
        return Scenario(
            seed=self.seed,
            preempt_rate=rate,
            stock=() if self.stock is None else (Stock(most=self.stock),),
            faults=tuple(faults),
            traces=tuple(traces),
        )


def _scripted(text: str) -> Fault:
    kind, colon, rest = text.partition(":")
    if kind not in FAULTS or not colon:
        fix = f"write KIND:PLACE[@FROM-TO]; kinds are {', '.join(FAULTS)}"
        raise UsageError(f"--fault {text!r} is not understood", fix=fix)
    return _fault(kind, rest, "--fault")


def _fault(kind: str, text: str, option: str) -> Fault:
    place, at, times = text.partition("@")
    start, end = 0.0, math.inf
    if at:
        begin, dash, finish = times.partition("-")
        if not dash:
            raise UsageError(f"{option} {text!r} is not understood", fix=_TIMES)
        try:
            start = duration(begin) if begin else 0.0
            end = duration(finish) if finish else math.inf
        except PydanticCustomError as error:
            raise UsageError(f"{option} {text!r}: {error.message()}", fix=_TIMES) from None
        if end <= start:
            raise UsageError(f"{option} {text!r} ends before it begins", fix=_TIMES)
    if not place:
        raise UsageError(f"{option} {text!r} names no place", fix=_TIMES)
    return Fault(cast(FaultKind, kind), place, start, end)


def _trace(text: str) -> Trace:
    place, equals, file = text.partition("=")
    if not (place and equals and file):
        fix = "write PLACE=FILE, such as us-east-1a=trace.json"
        raise UsageError(f"--trace {text!r} is not understood", fix=fix)
    return Trace.load(place, Path(file).expanduser())


def _there(place: str, offers: Sequence[Offer]) -> None:
    if any(covers(place, offer) for offer in offers):
        return
    places = sorted({p for o in offers for p in (o.cloud, o.region, o.zone) if p and p not in "-*"})
    close = difflib.get_close_matches(place.rpartition("/")[2], places, n=1, cutoff=0.4)
    some = ", ".join(places[:8]) + (" ..." if len(places) > 8 else "")
    fix = f"did you mean {close[0]}? There are: {some}" if close else f"there are: {some}"
    raise UsageError(f"nothing is offered in {place}", fix=fix)
