"""What Scaleway's errors mean: ``{"type", "message", "resource", "details"}``.

Source: scaleway/scaleway-cli 530 for the words about quotas; the other types and words are commonly
known and were not read in a document. Quotas are of the organization and per type.
"""

from __future__ import annotations

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    InvalidRequest,
    QuotaError,
    Throttled,
    TransientError,
)
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule

ERRORS = ErrorTable(
    "scaleway",
    (
        Rule(CapacityError, r"out_of_stock", scope="zone"),
        Rule(CapacityError, text=r"out of stock", scope="zone"),
        Rule(
            QuotaError,
            r"quotas?_exceeded",
            scope="type",
            fix="ask Scaleway for a higher quota, or verify the identity of the account",
        ),
        Rule(QuotaError, text=r"quotas? exceeded", scope="type", fix="ask Scaleway for more"),
        Rule(
            AuthError,
            r"denied_authentication|authentication_error|authorization_required",
            fix="put a valid key in $SCW_SECRET_KEY",
        ),
        Rule(
            AuthError, r"permissions_denied", fix="let the key manage Instances and Block Storage"
        ),
        Rule(AuthError, r"(resource_)?locked", fix="ask Scaleway why the resource is locked"),
        Rule(Throttled, r"too_many_requests"),
        Rule(NotThere, r"not_found|unknown_resource"),
        Rule(TransientError, r"transient_state|resource_not_usable|resource_still_in_use"),
        Rule(TransientError, r"precondition_failed", text=r"in use|still|attached"),
        Rule(
            InvalidRequest,
            r"invalid_arguments|invalid_request_error|precondition_failed|resource_expired"
            r"|conflict",
        ),
    ),
)
