"""What Azure's errors mean, and where in an answer they stand.

Sources: "Resolve errors" of Azure Resource Manager's documents, "Troubleshoot allocation failures"
of Virtual Machines', and ``CloudError`` in the API documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    InvalidRequest,
    QuotaError,
    Throttled,
    TransientError,
)
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule

MORE = "ask Azure for more: portal.azure.com, Quotas"
WRAPPERS = frozenset({"DeploymentFailed", "ResourceDeploymentFailure", "InvalidTemplateDeployment"})
"""Codes that say only that something inside went wrong."""


class InUse(InvalidRequest):
    """Something else still holds it."""


ERRORS = ErrorTable(
    "azure",
    (
        Rule(Throttled, r"TooManyRequests|SubscriptionRequestsThrottled"),
        # The type is not sold here, or not to this subscription; others are.
        Rule(CapacityError, r"SkuNotAvailable|NotAvailableForSubscription", scope="type"),
        Rule(CapacityError, r"LocationNotAvailableForResourceType", scope="region"),
        Rule(QuotaError, r"QuotaExceeded|.*QuotaExceeded|.*LimitReached", scope="region", fix=MORE),
        Rule(QuotaError, r"OperationNotAllowed", text=r"quota", scope="region", fix=MORE),
        Rule(CapacityError, r"ZonalAllocationFailed|OverconstrainedZonalAllocationRequest"),
        Rule(
            CapacityError,
            r"AllocationFailed|OverconstrainedAllocationRequest|AllocationTimeout",
            scope="region",
        ),
        Rule(
            AuthError,
            r"ReadOnlyDisabledSubscription|SubscriptionNotFound|InvalidSubscriptionId"
            r"|DisallowedProvider",
            fix="see the state of the subscription, or set `azure.subscription`",
        ),
        Rule(
            AuthError,
            r"ClientAuthenticationError|InvalidAuthenticationToken.*|ExpiredAuthenticationToken"
            r"|AuthenticationFailed",
            fix="run `az login`, or see $AZURE_CLIENT_ID and its kin",
        ),
        Rule(
            AuthError,
            r"AuthorizationFailed|LinkedAuthorizationFailed|RequestDisallowedByPolicy",
            fix="give the account the role `Contributor` in the subscription",
        ),
        Rule(
            AuthError,
            r"MissingSubscriptionRegistration",
            fix="run `az provider register -n Microsoft.Compute` and `-n Microsoft.Network`",
        ),
        Rule(
            TransientError,
            r"RetryableError|AnotherOperationInProgress|Conflict|ResourceGroupBeingDeleted"
            r"|ReferencedResourceNotProvisioned|InternalServerError|OperationPreempted"
            r"|CanceledAndSupersededDueToAnotherOperation",
        ),
        Rule(TransientError, text=r"marked for deletion|being deleted"),
        Rule(InUse, r"InUse.*|.*CannotBeDeleted.*|NicInUse|PublicIPAddressInUse"),
        Rule(NotThere, r"ResourceNotFound|ResourceGroupNotFound|NotFound"),
        Rule(InvalidRequest, r"ImageNotFound|PlatformImageNotFound", fix="see `image`"),
        Rule(
            InvalidRequest,
            r"InvalidParameter|MarketplacePurchaseEligibilityFailed|PropertyChangeNotAllowed"
            r"|OperationNotAllowed|InvalidResourceReference|VMMarketplaceInvalidInput",
        ),
        Rule(InvalidRequest, status=(409,)),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    """Code and message. Of an error about a part, the part's."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(error, Mapping):
        return "", str(error or "")
    code, words = str(error.get("code") or ""), str(error.get("message") or "")
    inner = next((each for each in error.get("details") or () if each.get("code")), None)
    if inner is not None and (code in WRAPPERS or not code):
        return str(inner["code"]), "; ".join(filter(None, (words, inner.get("message"))))
    return code, words
