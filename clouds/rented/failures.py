"""From a provider's words to the error that says what to do: one table per provider."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    Scope,
    Throttled,
    TransientError,
)


class NotThere(InvalidRequest):
    """The provider does not know the thing. What removes it says nothing."""


class Exists(InvalidRequest):
    """There is one of this name already."""


@dataclass(frozen=True)
class Failure:
    """What a provider answered.

    Attributes:
        status: Of HTTP; 0 where there is none.
        code: The provider's name of the error.
        message: Its words.
        retry_after: Seconds that it asks us to wait.
    """

    status: int = 0
    code: str = ""
    message: str = ""
    retry_after: float | None = None


@dataclass(frozen=True)
class Rule:
    """One row: what it is about, and what it means.

    Attributes:
        error: The class.
        code: Regular expression of the whole code; empty for any.
        text: Regular expression to be found in the message, whatever the case; empty for any.
        status: Empty for any.
        scope: Of a ``CapacityError``.
        fix: What the user can do.
    """

    error: type[CloudError]
    code: str = ""
    text: str = ""
    status: Sequence[int] = ()
    scope: Scope = "zone"
    fix: str = ""

    def covers(self, failure: Failure) -> bool:
        return (
            (not self.code or re.fullmatch(self.code, failure.code) is not None)
            and (not self.text or re.search(self.text, failure.message, re.IGNORECASE) is not None)
            and (not self.status or failure.status in self.status)
        )


_HTTP: tuple[Rule, ...] = (
    Rule(AuthError, status=(401, 403), fix="see `stix check`"),
    Rule(NotThere, status=(404, 410)),
    Rule(Exists, status=(409,)),
    Rule(Throttled, status=(429,)),
    Rule(TransientError, status=(408, 425, *range(500, 600))),
    Rule(InvalidRequest, status=tuple(range(400, 500))),
)


@dataclass(frozen=True)
class ErrorTable:
    """The rows of one provider, the first that fits counts; what HTTP says is known already."""

    cloud: str
    rules: Sequence[Rule] = field(default_factory=tuple)

    def classify(self, failure: Failure) -> CloudError:
        """The error to raise. An answer that no row knows is a plain ``CloudError``."""
        words = failure.message.strip() or f"HTTP {failure.status}"
        named = f"{failure.code}: " if failure.code and failure.code not in words else ""
        message = f"{self.cloud}: {named}{words}"[:1000]
        for rule in (*self.rules, *_HTTP):
            if rule.covers(failure):
                return _made(rule, message, failure.retry_after)
        return CloudError(message)


def _made(rule: Rule, message: str, retry_after: float | None) -> CloudError:
    if issubclass(rule.error, CapacityError):
        return rule.error(message, scope=rule.scope, fix=rule.fix)
    if issubclass(rule.error, Throttled):
        return rule.error(message, retry_after=1.0 if retry_after is None else retry_after)
    return rule.error(message, fix=rule.fix)
