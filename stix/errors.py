"""The root of STIX's own errors: a message for people, and the fix."""

from __future__ import annotations


class StixError(Exception):
    """Something STIX refuses or cannot do.

    Args:
        message: What is wrong, in one sentence, with the name of the thing.
        fix: What the user can do about it, in one sentence.
    """

    exit_code = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n  fix: {self.fix}" if self.fix else self.message


class UsageError(StixError):
    """The call itself is wrong (exit code 2)."""

    exit_code = 2


class NotYet(StixError, NotImplementedError):
    """Something that SkyPilot has and this release does not; the fix says what to use meanwhile."""
