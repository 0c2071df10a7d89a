"""What can go wrong while prices are fetched; the name says what happens next."""

from __future__ import annotations

from stix.errors import StixError


class RefreshError(StixError):
    """The prices of a cloud could not be refreshed; those of before stay in use."""


class Passing(RefreshError):
    """May go by itself: asked again, a bounded number of times.

    Args:
        after: Seconds that the provider asked to wait.
    """

    def __init__(self, message: str, *, fix: str = "", after: float | None = None) -> None:
        super().__init__(message, fix=fix)
        self.after = after


class Refused(RefreshError):
    """The provider said no, and will say so again."""


class NoAccess(Refused):
    """Credentials are missing or not accepted."""


class BadAnswer(Passing):
    """The answer is cut short, or no JSON or CSV at all: a proxy or a passing fault can do that."""


class ChangedSchema(RefreshError):
    """The answer is whole, but a field is missing or of another type."""


class Doubtful(RefreshError):
    """The list is readable, but not believable: too short, or most prices moved at once."""


class Busy(RefreshError):
    """Another refresh of the cloud is under way."""
