"""What to do next, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class RetryHere:
    """Try again in the same place after ``after_s`` seconds; nodes that live may be kept."""

    kind: ClassVar[str] = "retry_here"
    after_s: float = 0.0


@dataclass(frozen=True)
class NextOffer:
    """Try the next offer of the plan after ``after_s`` seconds; with none left, start over.

    ``skip_scope``: pass over offers that share the failed one's ``type``, ``zone``, ``region`` or
    ``cloud``. ``for_good``: pass over its cloud in every later round too.
    """

    kind: ClassVar[str] = "next_offer"
    after_s: float = 0.0
    skip_scope: str = "type"
    for_good: bool = False


@dataclass(frozen=True)
class GiveUp:
    """The stage has failed (or is cancelled). ``reason`` is for people."""

    kind: ClassVar[str] = "give_up"
    reason: str = ""


Action = RetryHere | NextOffer | GiveUp
_ACTIONS: Mapping[str, type[Action]] = {cls.kind: cls for cls in (RetryHere, NextOffer, GiveUp)}


@dataclass(frozen=True)
class Decision:
    """An action, and why it was chosen.

    Attributes:
        action: What to do.
        rule: The rule that spoke, as the file names it: ``preempted``,
            ``user_error.free_exit_codes``; ``none`` where no rule is asked.
        used: Further attempts that the rule has granted, this one included.
        allowed: Further attempts it grants at most; None where there is no limit.
        reason: One sentence for people.
    """

    action: Action
    rule: str
    used: int
    allowed: int | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "action": {"kind": self.action.kind, **asdict(self.action)}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Decision:
        fields = dict(data["action"])
        return cls(**{**data, "action": _ACTIONS[fields.pop("kind")](**fields)})
