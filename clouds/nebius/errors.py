"""What Nebius's errors mean: a code of gRPC, words, and mostly a ``ServiceError`` with a kind.

Source: ``nebius/common/v1/error.proto`` for the kinds (github nebius/api), and the codes of gRPC.
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
from stix.clouds.rented.failures import ErrorTable, Exists, Failure, NotThere, Rule

HTTP: Mapping[str, int] = {
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 400,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "CANCELLED": 500,
}
"""The status that says the same, for the rules that all clouds share."""

ERRORS = ErrorTable(
    "nebius",
    (
        Rule(CapacityError, "not_enough_resources", scope="region"),
        Rule(
            QuotaError,
            "quota_failure",
            scope="region",
            fix="ask Nebius for a higher quota",
        ),
        Rule(
            QuotaError,
            text=r"quota limit exceeded|quota exceeded",
            scope="region",
            fix="ask Nebius for a higher quota",
        ),
        Rule(CapacityError, text=r"not enough resources|out of capacity", scope="region"),
        Rule(Throttled, "too_many_requests"),
        Rule(QuotaError, "RESOURCE_EXHAUSTED", scope="region"),
        Rule(AuthError, "permission_denied", fix="give the account the role `editor`"),
        Rule(AuthError, "UNAUTHENTICATED", fix="put a valid token in $NEBIUS_IAM_TOKEN"),
        Rule(NotThere, "resource_not_found"),
        Rule(Exists, "resource_already_exists"),
        Rule(TransientError, "resource_conflict|operation_conflict|operation_aborted|ABORTED"),
        Rule(TransientError, "internal_error"),
        Rule(InvalidRequest, "bad_request|bad_resource_state|out_of_range"),
    ),
)


def failure(status: Any) -> Failure:
    """A status of the SDK, of a request or of an operation, as a failure.

    Its words are those of the status, and those of the details, where there are some.
    """
    from nebius.aio.service_error import to_str

    name = status.code.name
    details = [error for error in status.service_errors if error.details is not None]
    kind = details[0].details.field if details else name
    words = "; ".join([status.message or "", *(to_str(error) for error in details)])
    return Failure(HTTP.get(name, 0), kind, words.strip("; ") or name)
