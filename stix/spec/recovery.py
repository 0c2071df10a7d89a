"""What to do when something goes wrong: one rule per kind of event."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from stix.spec import forms, values
from stix.spec.base import Accepts, Spec, bad
from stix.spec.problems import choose
from stix.spec.words.amounts import whole

if TYPE_CHECKING:
    from stix.spec.stage import StageSpec

Seconds = Annotated[float, BeforeValidator(values.duration), Accepts(forms.DURATION)]
KINDS = ("capacity", "preempted", "node_lost", "setup_failed", "user_error", "timeout")
STRATEGIES = ("EAGER_NEXT_REGION", "FAILOVER", "none")


class Next(StrEnum):
    """Where the next attempt goes."""

    SAME = "same"
    NEXT_OFFER = "next_offer"


def _exit_codes(value: Any) -> Any:
    codes = [value] if isinstance(value, int) and not isinstance(value, bool) else value
    fix = "write a list of whole numbers from 0 to 255, each once, such as [75, 137]"
    if not isinstance(codes, list | tuple):
        raise bad("exit codes must be a list", fix)
    for code in codes:
        if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code <= 255:
            raise bad(f"{code!r} is not an exit code", fix)
    if len(set(codes)) != len(codes):
        raise bad("an exit code is listed twice", fix)
    return list(codes)


ExitCodes = Annotated[list[int], BeforeValidator(_exit_codes), Accepts(forms.EXIT_CODES)]


def _sky_codes(value: Any) -> Any:
    """One code or a list of them, as it was written."""
    fix = "write an exit code from 0 to 255, or a list of them, each once"
    one = whole(0, 255, fix)
    if not isinstance(value, list | tuple):
        return one(value)
    codes = [one(code) for code in value]
    if len(set(codes)) != len(codes):
        raise bad("an exit code is listed twice", fix)
    return codes


class Rule(Spec):
    """How one kind of event is answered.

    Attributes:
        retries: Further attempts at most; None for no limit.
        backoff: Seconds before the first of them; doubles with each.
        max_backoff: Seconds between attempts at most.
        next: Whether the next attempt stays where it was or takes the next offer.
        exit_codes: For ``user_error``: retry only these; empty means any.
        free_exit_codes: For ``user_error``: these are always retried and not counted
            (SkyPilot's ``recover_on_exit_codes``).
    """

    null_means: ClassVar[tuple[str, ...]] = ("retries",)
    short: ClassVar[tuple[dict[str, Any], ...]] = (
        {"type": "integer", "minimum": 0},
        {"enum": ["unlimited", "none"]},
    )

    retries: Annotated[int | None, Accepts(forms.RETRIES)] = 0
    backoff: Seconds = 2.0
    max_backoff: Seconds = 60.0
    next: Annotated[Next, Accepts({"enum": ["same", "next_offer"]})] = Next.SAME
    exit_codes: ExitCodes = Field(default_factory=list)
    free_exit_codes: ExitCodes = Field(default_factory=list)

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @field_validator("retries", mode="before")
    @classmethod
    def _retries(cls, value: Any) -> Any:
        if value is None or value == "unlimited":
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise bad(f"retries cannot be {value!r}", 'write a whole number from 0, or "unlimited"')
        return value

    @field_validator("next", mode="before")
    @classmethod
    def _next(cls, value: Any) -> Any:
        if value not in list(Next):
            raise bad(f"next cannot be {value!r}", choose(str(value), [str(n) for n in Next]))
        return value

    def delay(self, retry: int) -> float:
        """Seconds to wait before retry number ``retry`` (from 1)."""
        return float(min(self.max_backoff, self.backoff * 2 ** min(max(retry, 1) - 1, 60)))


_DEFAULTS: dict[str, dict[str, Any]] = {
    "capacity": {"retries": None, "next": "next_offer"},
    "preempted": {"retries": 10, "next": "next_offer"},
    "node_lost": {"retries": 3, "next": "next_offer"},
    "setup_failed": {"retries": 1},
    "user_error": {"retries": 0},
    "timeout": {"retries": 0},
}


def _default(kind: str) -> Rule:
    return Rule(**_DEFAULTS[kind])


class RecoveryPolicy(Spec):
    """One `Rule` per kind of event; a rule given in part keeps the rest of its default.

    Capacity waits without limit by default. ``recovery: none`` retries nothing, capacity included.

    Attributes:
        capacity: No place has room for the stage.
        preempted: The provider took a spot node away.
        node_lost: A node broke, or cannot be reached.
        setup_failed: ``setup`` failed.
        user_error: ``run`` failed.
        timeout: An attempt took longer than ``timeout``.
    """

    short: ClassVar[tuple[dict[str, Any], ...]] = (forms.word(["none"]),)

    capacity: Rule = Field(default_factory=lambda: _default("capacity"))
    preempted: Rule = Field(default_factory=lambda: _default("preempted"))
    node_lost: Rule = Field(default_factory=lambda: _default("node_lost"))
    setup_failed: Rule = Field(default_factory=lambda: _default("setup_failed"))
    user_error: Rule = Field(default_factory=lambda: _default("user_error"))
    timeout: Rule = Field(default_factory=lambda: _default("timeout"))

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _none_means_none(cls, data: Any) -> Any:
        if isinstance(data, str) and data.lower() == "none":
            return {kind: {"retries": 0} for kind in KINDS}
        if not isinstance(data, dict | RecoveryPolicy):
            fix = "write recovery: none, or a map of " + ", ".join(KINDS)
            raise bad(f"recovery cannot be {values.kind(data)}", fix)
        return data

    @field_validator(*KINDS, mode="before")
    @classmethod
    def _partial(cls, value: Any, info: Any) -> Any:
        base = _DEFAULTS[info.field_name]
        if isinstance(value, Rule):
            return value
        if isinstance(value, dict):
            for key in ("exit_codes", "free_exit_codes"):
                if info.field_name != "user_error" and value.get(key):
                    raise bad(f"{key} belongs to user_error", "move it below user_error", key)
        else:
            value = {"retries": 0 if value == "none" else value}
        rule = Rule.model_validate({**base, **value})
        # Only what was given counts as given when defaults of a pipeline are merged beneath.
        rule.__pydantic_fields_set__.intersection_update(value)
        return rule

    def rule(self, kind: str) -> Rule:
        """The rule of a kind of event; KeyError for an unknown kind."""
        if kind not in KINDS:
            raise KeyError(kind)
        rule: Rule = getattr(self, kind)
        return rule

    @classmethod
    def none(cls) -> RecoveryPolicy:
        """No retry of any kind."""
        return cls.model_validate("none")

    @classmethod
    def effective(cls, stage: StageSpec) -> RecoveryPolicy:
        """The policy that holds for a stage: ``recovery``, else ``job_recovery``, else default."""
        if stage.recovery is not None:
            return stage.recovery
        for resources in stage.resources.alternatives():
            if resources.job_recovery is not None:
                return resources.job_recovery.policy()
        return cls()


class JobRecovery(Spec):
    """SkyPilot's ``job_recovery``.

    Attributes:
        strategy: ``EAGER_NEXT_REGION`` (SkyPilot's default), ``FAILOVER`` or ``none``. Unlike in
            SkyPilot, ``none`` means that nothing is recovered.
        max_restarts_on_errors: Restarts after a failure of the user's setup or command.
        recover_on_exit_codes: Exit codes that restart without limit and without being counted.
    """

    names: ClassVar[tuple[str, ...]] = STRATEGIES
    short: ClassVar[tuple[dict[str, Any], ...]] = (forms.word(STRATEGIES),)

    strategy: Annotated[
        Literal["EAGER_NEXT_REGION", "FAILOVER", "none"] | None, Accepts(forms.word(STRATEGIES))
    ] = None
    max_restarts_on_errors: Annotated[
        int | None,
        BeforeValidator(whole(0, None, "write a whole number from 0")),
        Accepts({"type": "integer", "minimum": 0}),
    ] = None
    recover_on_exit_codes: Annotated[
        int | list[int] | None, BeforeValidator(_sky_codes), Accepts(forms.EXIT_CODES)
    ] = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return {"strategy": data} if isinstance(data, str) else data

    @field_validator("strategy", mode="before")
    @classmethod
    def _strategy(cls, value: Any) -> Any:
        if value is None or value == "none":
            return value
        # In SkyPilot "None" is the name of a strategy, which does not exist.
        known = STRATEGIES[:-1]
        if not isinstance(value, str) or value.upper() not in known:
            shown = repr(value) if isinstance(value, str) else values.kind(value)
            raise bad(f"{shown} is not a strategy", choose(str(value), STRATEGIES))
        return value.upper()

    def policy(self) -> RecoveryPolicy:
        """The same as a `RecoveryPolicy`. SkyPilot recovers from preemption without limit."""
        if self.strategy == "none":
            return RecoveryPolicy.none()
        place = "same" if self.strategy == "FAILOVER" else "next_offer"
        lost = {"retries": None, "next": place}
        restarts = self.max_restarts_on_errors or 0
        codes = self.recover_on_exit_codes
        free = [codes] if isinstance(codes, int) else codes or []
        return RecoveryPolicy(
            preempted=lost,
            node_lost=lost,
            setup_failed={"retries": max(restarts, _DEFAULTS["setup_failed"]["retries"])},
            user_error={"retries": restarts, "free_exit_codes": free},
        )
