"""What Hyperstack's errors mean: ``{"status": false, "message", "error_reason"}``.

Source: its table of errors, as kept in github api-evangelist/nexgen-cloud (2026-08). Shortages have
no reason of their own there: the words tell.
"""

from __future__ import annotations

from typing import Any

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    InvalidRequest,
    QuotaError,
    TransientError,
)
from stix.clouds.rented.failures import ErrorTable, Exists, NotThere, Rule

_PAY = "add credit at Hyperstack"
_REFUSED = tuple(range(400, 429))

ERRORS = ErrorTable(
    "hyperstack",
    (
        Rule(QuotaError, status=(402,), scope="cloud", fix=_PAY),
        Rule(
            QuotaError,
            text=r"insufficient (balance|credit|funds)",
            status=_REFUSED,
            scope="cloud",
            fix=_PAY,
        ),
        Rule(
            QuotaError,
            text=r"quota|limit (is )?(reached|exceeded)",
            status=_REFUSED,
            scope="region",
            fix="ask Hyperstack for a higher quota",
        ),
        Rule(CapacityError, text=r"stock|no capacity|not enough", status=_REFUSED, scope="region"),
        Rule(AuthError, r"unauthorized", fix="put a valid key in $HYPERSTACK_API_KEY"),
        Rule(AuthError, r"forbidden", fix="use a key that may do this"),
        Rule(NotThere, r"not_found"),
        Rule(Exists, r"already_exist"),
        # A machine that is being changed takes no other change until that is over.
        Rule(TransientError, status=(409,)),
        Rule(TransientError, r"server_error"),
        Rule(InvalidRequest, r"bad_request|not_allowed"),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    """Answers of a few calls have no ``error_reason``."""
    if not isinstance(body, dict):
        return "", str(body or "")
    return str(body.get("error_reason") or ""), str(body.get("message") or "")
