"""What Seeweb's errors mean: ``{"status", "error_code", "message"}``, also with HTTP 200.

Seeweb publishes no list of them. Source: github Seeweb/cloudserver-go-client (``error.go``) for the
form, dstackai/dstack (``backends/seeweb``, 2026) for the words of a refused order.
"""

from __future__ import annotations

from typing import Any

from stix.clouds.errors import AuthError, CapacityError, InvalidRequest, QuotaError, TransientError
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule

ERRORS = ErrorTable(
    "seeweb",
    (
        Rule(NotThere, r"not_found", fix="see the name of the server"),
        Rule(AuthError, r"unauthorized|forbidden", fix="put a valid token in $ECSAPI_TOKEN"),
        Rule(QuotaError, text=r"quota|limit (is )?(reached|exceeded)|credit", scope="cloud"),
        Rule(
            CapacityError,
            text=r"no capacity|lack of resources|not activatable|no host|not available",
            scope="region",
        ),
        Rule(InvalidRequest, status=(400, 422)),
        Rule(TransientError, r"error|failed", status=(200,)),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    """The code and the words of an answer."""
    if not isinstance(body, dict):
        return "", str(body or "")
    words = next((body[name] for name in ("message", "error", "detail") if body.get(name)), "")
    return str(body.get("status") or body.get("error_code") or ""), str(words)
