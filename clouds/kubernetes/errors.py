"""What an API server's refusals mean.

Codes and reasons: ``k8s.io/apimachinery/pkg/apis/meta/v1`` (``Status``, ``StatusReason``).
"""

from __future__ import annotations

from stix.clouds.errors import (
    AuthError,
    CloudError,
    InvalidRequest,
    QuotaError,
    Throttled,
    TransientError,
)
from stix.clouds.rented.failures import ErrorTable, Exists, NotThere, Rule


class Expired(CloudError):
    """410: what the call goes on from is not kept any more."""

    retryable = True


RULES = (
    Rule(AuthError, status=(401,), fix="log in again; see `stix check`"),
    Rule(QuotaError, text="exceeded quota", status=(403,), scope="region"),
    Rule(
        AuthError,
        text=r'User "[^"]*" cannot |cannot \w+ resource',
        status=(403,),
        fix="grant this right by a Role and a RoleBinding; see `stix check`",
    ),
    Rule(InvalidRequest, status=(403,), fix="the cluster's policy forbids it: ask who runs it"),
    Rule(NotThere, status=(404,)),
    Rule(Exists, code="AlreadyExists", status=(409,)),
    Rule(TransientError, status=(409,)),
    Rule(Expired, status=(410,)),
    Rule(Throttled, status=(429,)),
    Rule(TransientError, status=(408, *range(500, 600))),
    Rule(InvalidRequest, status=tuple(range(400, 500)), fix="correct what it names"),
)

ERRORS = ErrorTable("kubernetes", RULES)
