"""What IBM's errors mean: ``{"errors": [{"code", "message"}]}``, and of its identity service
``{"errorCode", "errorMessage"}``.

Source: the enumerations of its SDK (ibm-vpc 0.36), and codes in reports of users (github
IBM-Cloud/terraform-provider-ibm 919 and 1693).
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
from stix.clouds.rented.tokens import Stale

_KEY = "put a valid key in $IBMCLOUD_API_KEY"

ERRORS = ErrorTable(
    "ibm",
    (
        Rule(
            QuotaError,
            r"over_quota|quota_exceeded|.*_over_quota|.*_quota_exceeded",
            scope="region",
            fix="ask IBM for a higher quota",
        ),
        Rule(QuotaError, text=r"quota", status=(400, 403, 409), scope="region"),
        Rule(
            CapacityError,
            r"insufficient_capacity|cannot_start_(reservation_)?capacity|cannot_start_compute"
            r"|.*_capacity|no_capacity_available",
            scope="zone",
        ),
        Rule(CapacityError, text=r"(insufficient|not enough|no) capacity", scope="zone"),
        Rule(
            CapacityError,
            r"cannot_start|cannot_start_(ip_address|network|placement_group|storage)"
            r"|cannot_start_reservation_expired",
            scope="zone",
        ),
        Rule(AuthError, r"BXNIM\w+", status=(400, 401, 403, 404), fix=_KEY),
        Rule(Stale, r"not_authenticated|unauthorized|invalid_token", status=(401,), fix=_KEY),
        Rule(Stale, status=(401,), fix=_KEY),
        Rule(AuthError, r"not_authorized|forbidden", fix="give the key the role of an editor"),
        Rule(Exists, r"validation_unique_failed|.*_name_duplicate|.*already_exists"),
        Rule(NotThere, r".*not_found"),
        # What is being made, or still holds something, takes the change a little later.
        Rule(
            TransientError,
            r"conflict_\w*|.*_in_use.*|.*_not_available|.*_pending|instance_invalid_state\w*",
            status=(409,),
        ),
        Rule(TransientError, status=(409,)),
        Rule(TransientError, r"internal_error|service_error|service_unavailable"),
        Rule(InvalidRequest, r"validation_\w+|bad_field|bad_request|invalid_\w+"),
    ),
)


def reading(status: int, body: Any) -> tuple[str, str]:
    if not isinstance(body, dict):
        return "", str(body or "")
    if body.get("errorCode"):
        return str(body["errorCode"]), str(body.get("errorMessage") or "")
    first: dict[str, Any] = next(iter(body.get("errors") or ()), {})
    return str(first.get("code") or ""), str(first.get("message") or body.get("error") or "")
