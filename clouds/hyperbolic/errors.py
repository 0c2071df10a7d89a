"""What Hyperbolic's errors mean. It documents neither codes nor words: the rows are of what its
clients look for (skypilot 0.14, github HyperbolicLabs/hyperbolic-cli), and of what HTTP says."""

from __future__ import annotations

from typing import Any

from stix.clouds.errors import AuthError, CapacityError, QuotaError
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule

_PAY = "deposit funds at Hyperbolic"
_REFUSED = tuple(range(400, 429))

ERRORS = ErrorTable(
    "hyperbolic",
    (
        Rule(QuotaError, status=(402,), scope="cloud", fix=_PAY),
        Rule(
            QuotaError,
            text=r"insufficient (balance|funds|credit)|not enough (balance|funds|credit)",
            status=_REFUSED,
            scope="cloud",
            fix=_PAY,
        ),
        Rule(QuotaError, text=r"(quota|limit) (is )?(reached|exceeded)", scope="type"),
        Rule(AuthError, status=(401,), fix="put a valid key in $HYPERBOLIC_API_KEY"),
        Rule(NotThere, text=r"instance .*not found|already terminated", status=_REFUSED),
        Rule(
            CapacityError,
            text=r"capacity|not available|unavailable|no (available|matching|machine|instance|node)"
            r"|not enough|out of stock",
            status=_REFUSED,
            scope="type",
        ),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    """``{"error"}`` or ``{"message"}``, of a text or of a list of texts."""
    if not isinstance(body, dict):
        return "", str(body or "")
    words = body.get("error") if not body.get("message") else body["message"]
    return str(body.get("error_code") or ""), str(words or "")
