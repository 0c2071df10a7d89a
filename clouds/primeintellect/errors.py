"""What Prime Intellect's errors mean. Source: its API document (api-evangelist/prime-intellect,
2026-08). The document has no codes: the words are often those of the provider behind it."""

from __future__ import annotations

from typing import Any

from stix.clouds.errors import AuthError, CapacityError, QuotaError
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule

_PAY = "add funds at Prime Intellect"

ERRORS = ErrorTable(
    "primeintellect",
    (
        Rule(QuotaError, status=(402,), scope="cloud", fix=_PAY),
        Rule(
            QuotaError, text=r"insufficient (funds|balance|credit)|wallet", scope="cloud", fix=_PAY
        ),
        Rule(QuotaError, text=r"(quota|limit) exceeded", scope="type"),
        Rule(AuthError, text=r"authorization failed|invalid api key|not authenticated"),
        Rule(NotThere, text=r"pod not found|ssh key not found"),
        # An image that one provider does not have another may have.
        Rule(CapacityError, text=r"not (supported|available) for image", scope="type"),
        Rule(CapacityError, text=r"image (is )?not (supported|available)", scope="type"),
        Rule(
            CapacityError,
            text=r"capacity|unavailable|out of stock|insufficient|not available",
            status=tuple(range(400, 429)),
            scope="type",
        ),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    """``{"errors": [{"param", "details"}]}``, and ``{"detail"}`` of what stands before it."""
    if not isinstance(body, dict):
        return "", str(body or "")
    errors = body.get("errors")
    if isinstance(errors, list) and errors:
        words = [f"{each.get('param') or ''}: {each.get('details') or ''}" for each in errors]
        return "", "; ".join(word.removeprefix(": ") for word in words)
    return "", str(body.get("detail") or body.get("message") or body.get("error") or "")
