"""What Vast's errors mean. Source: its API document (vast-ai/docs, 2026-08).

An offer that vanished is a shortage: another machine of the same type will do.
"""

from __future__ import annotations

from typing import Any

from stix.clouds.errors import AuthError, CapacityError, InvalidRequest, QuotaError, Throttled
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule

VANISHED = r"no_such_ask"
_FUNDS = r"insufficient[ _](balance|credit)|missing_billing"
_PAY = "add credit at Vast"

ERRORS = ErrorTable(
    "vast",
    (
        Rule(CapacityError, VANISHED, scope="type"),
        Rule(CapacityError, text=VANISHED, scope="type"),
        Rule(CapacityError, "invalid_price", scope="type"),
        Rule(CapacityError, text=r"bid.*(too low|below)|price.*too low", scope="type"),
        Rule(QuotaError, _FUNDS, scope="cloud", fix=_PAY),
        Rule(QuotaError, text=_FUNDS, scope="cloud", fix=_PAY),
        Rule(NotThere, r"no_such_instance|not_found"),
        Rule(NotThere, text=r"no_such_instance"),
        # A search with a key that is wrong is answered by 404.
        Rule(AuthError, text=r"invalid user key", fix="put a valid key in $VAST_API_KEY"),
        Rule(Throttled, r"rate_limit_exceeded"),
        Rule(InvalidRequest, text=r"is not your own"),
        Rule(InvalidRequest, r"invalid_request|invalid_token|no_ssh_key_for_vm|label_too_long"),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    """``{"success": false, "error": code, "msg": words}``, or ``{"detail": words}``."""
    if not isinstance(body, dict):
        return "", str(body or "")
    words = body.get("msg") or body.get("detail") or ""
    code = body.get("error") or ""
    if isinstance(code, dict):  # of the gateway before it
        return "", str(code.get("message") or words)
    return str(code), str(words or code)
