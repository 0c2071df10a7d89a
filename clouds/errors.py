"""What can go wrong with a provider, named by the decision it causes."""

from __future__ import annotations

from typing import Literal

from stix.errors import StixError

Scope = Literal["type", "zone", "region", "cloud"]


class CloudError(StixError):
    """Any failure of a provider call. ``retryable``: the same call may succeed later."""

    retryable = False

    def __init__(self, message: str, *, fix: str = "", created: tuple[str, ...] = ()) -> None:
        super().__init__(message, fix=fix)
        self.created = created
        """Ids of nodes that exist in spite of the error."""


class CapacityError(CloudError):
    """The place has none left: try the next offer outside ``scope``."""

    def __init__(self, message: str, *, scope: Scope = "zone", fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.scope = scope


class QuotaError(CapacityError):
    """The account may not have more here."""


class AuthError(CloudError):
    """Credentials are missing, wrong or lack a right."""


class InvalidRequest(CloudError):
    """The provider will never accept this request."""


class Throttled(CloudError):
    """Too many calls. Wait ``retry_after`` seconds."""

    retryable = True

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TransientError(CloudError):
    """The provider or the way to it failed; the call may have had an effect or not."""

    retryable = True


class UnsupportedFeature(CloudError):
    """The request asks for an ability that the adapter does not have."""


class VolumeInUse(CloudError):
    """A node holds the volume, so that it is not deleted."""


class NodeGone(CloudError):
    """The node was taken away by the provider (``preempted``), or died, before it was ready."""

    def __init__(self, message: str, *, preempted: bool = False, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.preempted = preempted


class CircuitOpen(CloudError):
    """Nothing was sent: the provider failed too often a short time ago, in the region or, where
    calls name none, in the whole cloud. It may be asked again in ``wait_s`` seconds."""

    def __init__(self, message: str, *, scope: Scope = "cloud", wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.scope = scope
        self.wait_s = wait_s
