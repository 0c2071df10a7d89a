"""What Shadeform's errors mean: ``{"error_code", "error"}``, many with status 409.

Source: its API document (api-evangelist/shadeform, 2026-08) has no codes; these two are quoted in
public projects that use it (SkyPilot's tests among them)."""

from __future__ import annotations

from typing import Any

from stix.clouds.errors import AuthError, CapacityError, InvalidRequest, QuotaError, TransientError
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule

_PAY = "add funds at Shadeform"

ERRORS = ErrorTable(
    "shadeform",
    (
        Rule(CapacityError, "OUT_OF_STOCK", scope="type"),
        Rule(QuotaError, "INSUFFICIENT_FUNDS", scope="cloud", fix=_PAY),
        Rule(QuotaError, status=(402,), scope="cloud", fix=_PAY),
        Rule(QuotaError, text=r"insufficient (funds|balance)", scope="cloud", fix=_PAY),
        Rule(QuotaError, text=r"balance must be", scope="cloud", fix=_PAY),
        Rule(QuotaError, text=r"(quota|limit) (exceeded|reached)", scope="cloud"),
        Rule(CapacityError, text=r"out of stock|no capacity", scope="type"),
        Rule(CapacityError, text=r"not available in the region", scope="type"),
        Rule(AuthError, text=r"unauthori[sz]ed|invalid api key"),
        Rule(NotThere, text=r"instance not found|ssh key not found"),
        # Of a machine that is still being made, or already being removed.
        Rule(TransientError, text=r"try again", status=(409,)),
        Rule(InvalidRequest, status=(409,)),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    """``{"error_code": code, "error": words}``."""
    if not isinstance(body, dict):
        return "", str(body or "")
    words = body.get("error") or body.get("message") or ""
    if isinstance(words, dict):
        words = words.get("message") or ""
    return str(body.get("error_code") or ""), str(words)
