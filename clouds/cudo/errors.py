"""What CUDO's errors mean: those of gRPC as JSON, ``{"code", "message", "details"}``.

Source: the types of failed preconditions in its Terraform provider (github cudoventures/
terraform-provider-cudo, ``vm.pb.go``); the codes of gRPC are those of google.rpc.Code.
"""

from __future__ import annotations

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

CODES = {
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}
_REFUSED = (400, 403, 409, 412, 429)


class NotReady(TransientError):
    """The machine is being changed, and takes this order once that is over."""


ERRORS = ErrorTable(
    "cudo",
    (
        Rule(
            AuthError,
            r"BILLING_ACCOUNT_(BLOCKED|DISABLED)",
            fix="look at the billing account at CUDO Compute",
        ),
        Rule(NotReady, r"VM_NOT_READY|VM_NOT_ACTIVE|VM_NOT_STOPPED|VM_NOT_ACTIVE_OR_STOPPED"),
        Rule(TransientError, r"NETWORK_NOT_READY|DISK_NOT_READY"),
        Rule(Exists, r"ALREADY_EXISTS|SECURITY_GROUP_IN_USE"),
        Rule(InvalidRequest, r"IMAGE_NOT_READY|IMAGE_IN_USE|DISK_[A-Z_]+|VM_COMMITTED"),
        Rule(
            QuotaError,
            text=r"quota|spend limit|limit (is )?(reached|exceeded)",
            status=_REFUSED,
            scope="region",
            fix="ask CUDO Compute for a higher limit",
        ),
        Rule(
            CapacityError,
            text=r"capacity|no (host|machine|resource)|not enough|insufficient|unavailable",
            status=_REFUSED,
            scope="region",
        ),
        Rule(AuthError, r"UNAUTHENTICATED", fix="put a valid key in $CUDO_API_KEY"),
        Rule(AuthError, r"PERMISSION_DENIED", fix="give the key a role in the project"),
        Rule(NotThere, r"NOT_FOUND"),
        Rule(Throttled, r"RESOURCE_EXHAUSTED"),
        Rule(NotReady, r"FAILED_PRECONDITION", text=r"not ready|in progress|state"),
        Rule(TransientError, r"ABORTED|DEADLINE_EXCEEDED|UNAVAILABLE|INTERNAL"),
        Rule(InvalidRequest, r"INVALID_ARGUMENT|FAILED_PRECONDITION"),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    """The type of the precondition that failed, where one did, else gRPC's name of the code."""
    if not isinstance(body, dict):
        return "", str(body or "")
    words = str(body.get("message") or "")
    for detail in body.get("details") or ():
        for violation in detail.get("violations") or ():
            if violation.get("type"):
                return str(violation["type"]), words
    code = body.get("code")
    return CODES.get(code, str(code or "")) if isinstance(code, int) else str(code or ""), words
