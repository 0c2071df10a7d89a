"""What RunPod's errors mean. Source: its API document (runpod/docs, API v2 of 2026-08), and the
messages of its GraphQL API. A shortage has no code of its own: only its words tell it from an
order that is wrong."""

from __future__ import annotations

from typing import Any

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    InvalidRequest,
    QuotaError,
    TransientError,
)
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule

ERRORS = ErrorTable(
    "runpod",
    (
        Rule(QuotaError, status=(402,), scope="cloud", fix="add funds at RunPod"),
        Rule(
            QuotaError,
            text=r"insufficient (balance|funds)|not enough (balance|funds|credits)",
            scope="cloud",
            fix="add funds at RunPod",
        ),
        Rule(QuotaError, text=r"spend(ing)? limit", scope="cloud", fix="ask RunPod for more"),
        Rule(CapacityError, text=r"no longer any instances available", scope="type"),
        Rule(CapacityError, text=r"does not have the resources to deploy", scope="type"),
        Rule(CapacityError, text=r"insufficient resources|could not be placed", scope="type"),
        Rule(CapacityError, text=r"bid.*(too low|minimum|at least)", scope="type"),
        Rule(AuthError, text=r"\bunauthori[sz]ed\b|missing bearer token"),
        Rule(NotThere, text=r"pod not found|requested pod does not exist"),
        Rule(TransientError, code="INTERNAL_SERVER_ERROR"),
        Rule(TransientError, text=r"something went wrong"),
        Rule(InvalidRequest, code="GRAPHQL_VALIDATION_FAILED|BAD_USER_INPUT"),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    """``{"title", "status", "detail", "errors": [text]}`` of REST, ``{"errors": [{"message",
    "extensions": {"code"}}]}`` of GraphQL, and ``{"message"}``."""
    if not isinstance(body, dict):
        return "", str(body or "")
    errors = body.get("errors") or []
    if errors and isinstance(errors[0], dict):
        code = (errors[0].get("extensions") or {}).get("code") or ""
        return str(code), str(errors[0].get("message") or "")
    words = body.get("detail") or body.get("message") or body.get("title") or ""
    return "", "; ".join([str(words), *map(str, errors)])
