"""What Google's errors mean, and where in an answer they stand.

Sources: "Troubleshooting resource availability" and "API errors" of Compute Engine's documents;
``Operation.error`` in the discovery document of compute v1; ``google.rpc.Code`` for TPUs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    InvalidRequest,
    QuotaError,
    Throttled,
    TransientError,
)
from stix.clouds.rented.failures import ErrorTable, Exists, NotThere, Rule

MORE = "ask Google for more: console.cloud.google.com/iam-admin/quotas"
QUOTA = r"QUOTA_EXCEEDED|quotaExceeded|LIMIT_EXCEEDED|limitExceeded|RESOURCE_EXHAUSTED"
QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"
WRAPPER = "VM_MIN_COUNT_NOT_REACHED"
UNFIT = (
    r"machine ?type .*(does not exist|was not found|not supported|not available)"
    r"|acceleratorTypes/\S+ .*(was not found|does not exist)"
)

ERRORS = ErrorTable(
    "gcp",
    (
        Rule(
            CapacityError,
            r"ZONE_RESOURCE_POOL_EXHAUSTED(_WITH_DETAILS)?|insufficientCapacity|resource_availability"
            rf"|STOCKOUT|{WRAPPER}|UNSUPPORTED_OPERATION|RESOURCE_NOT_READY"
            r"|RESOURCE_OPERATION_RATE_EXCEEDED",
        ),
        Rule(CapacityError, text=r"resource_availability|no more capacity|not enough resources"),
        Rule(Throttled, r"rateLimitExceeded|userRateLimitExceeded|RATE_LIMIT_EXCEEDED"),
        # gRPC codes in the operations of TPUs: preempted, no capacity, no reserved capacity.
        Rule(CapacityError, r"[389]"),
        Rule(QuotaError, r".*QuotaFailure", text=r"in zone", scope="zone", fix=MORE),
        Rule(QuotaError, r".*QuotaFailure", scope="region", fix=MORE),
        Rule(QuotaError, QUOTA, text=r"ALL_REGIONS|globally", scope="cloud", fix=MORE),
        Rule(QuotaError, QUOTA, scope="region", fix=MORE),
        Rule(NotThere, status=(404,), text=r"^(?!.*is not found or access is unauthorized)"),
        Rule(CapacityError, text=r"is not found or access is unauthorized"),
        Rule(CapacityError, r"RESOURCE_NOT_FOUND"),
        Rule(CapacityError, text=UNFIT, scope="type"),
        Rule(CapacityError, r"SUBNET_NOT_FOUND_FOR_VPC", scope="region"),
        Rule(CapacityError, r"VPC_NOT_FOUND", scope="cloud", fix="set `gcp.network`"),
        Rule(
            AuthError,
            r"accessNotConfigured|SERVICE_DISABLED",
            fix="enable the API that the message names, in this project",
        ),
        Rule(
            AuthError,
            r"IAM_PERMISSION_DENIED|PERMISSION_DENIED|forbidden",
            fix="give the account the role `roles/compute.instanceAdmin.v1`",
        ),
        Rule(AuthError, text=r"Policy update access denied", fix="see `stix check gcp`"),
        Rule(
            InvalidRequest,
            text=r"disk size .*cannot be smaller than the image size",
            fix="ask for a larger `disk_size`",
        ),
        Rule(Exists, r"alreadyExists|RESOURCE_ALREADY_EXISTS|ALREADY_EXISTS"),
        Rule(TransientError, r"resourceNotReady|backendError|internalError|INTERNAL_ERROR"),
        Rule(TransientError, r"conditionNotMet", text=r"fingerprint"),
        Rule(InvalidRequest, r"resourceInUse.*|RESOURCE_IN_USE.*"),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    """Code and message of an answer of HTTP, or of an operation that went wrong.

    The most telling code comes first: the reason in ``details``, those in ``errors``, the status
    of gRPC. Of several errors the wrapper of a bulk order says least.
    """
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(error, Mapping):
        return str(error or ""), str(body.get("error_description", "")) if error != body else ""
    single = [each for each in error.get("errors") or () if each.get("code") != WRAPPER]
    inner = single[0] if single else next(iter(error.get("errors") or ()), {})
    told = [error.get("message"), inner.get("message"), *_violations(error)]
    words = "; ".join(dict.fromkeys(str(each) for each in told if each))
    codes = (
        *_reasons(error),
        inner.get("code"),
        inner.get("reason"),
        error.get("status"),
        error.get("code"),
    )
    return str(next((code for code in codes if code), "")), words


def _reasons(error: Mapping[str, Any]) -> Iterator[str]:
    for detail in error.get("details") or ():
        if detail.get("@type") == QUOTA_FAILURE:
            yield QUOTA_FAILURE
        elif detail.get("reason"):
            yield str(detail["reason"])


def _violations(error: Mapping[str, Any]) -> Iterator[str]:
    for detail in error.get("details") or ():
        yield from (str(each.get("description", "")) for each in detail.get("violations") or ())
