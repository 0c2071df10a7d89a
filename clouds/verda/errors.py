"""What Verda's errors mean: ``{"code", "message"}``.

Source: the error codes of its SDK and API pages (github DataCrunch-io/datacrunch-python). The words
about shortages are those that other orchestrators look for.
"""

from __future__ import annotations

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    InvalidRequest,
    QuotaError,
    TransientError,
)
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule
from stix.clouds.rented.tokens import Stale

_REFUSED = tuple(s for s in range(400, 600) if s not in (401, 402, 408, 429))

ERRORS = ErrorTable(
    "verda",
    (
        Rule(
            QuotaError,
            r"insufficient_funds",
            scope="cloud",
            fix="add funds to the project at Verda",
        ),
        Rule(QuotaError, status=(402,), scope="cloud", fix="add funds to the project at Verda"),
        Rule(
            Stale,
            r"unauthorized_request|invalid_client|invalid_grant",
            fix="put valid credentials in $VERDA_CLIENT_ID and $VERDA_CLIENT_SECRET",
        ),
        Rule(NotThere, r"not_found"),
        Rule(InvalidRequest, text=r"image.*(not (available|found)|invalid)|invalid image"),
        Rule(
            QuotaError,
            text=r"(quota|limit) exceeded",
            status=_REFUSED,
            scope="region",
            fix="ask Verda for a higher quota",
        ),
        Rule(
            CapacityError,
            text=r"no capacity|capacity|out of stock|insufficient|not available",
            status=_REFUSED,
            scope="region",
        ),
        # Of the service, by its code, this word says something else than of a machine.
        Rule(TransientError, r"service_unavailable|server_error"),
        Rule(CapacityError, text=r"unavailable", status=_REFUSED, scope="region"),
        # A machine that is being made or changed takes no other action until that is over.
        Rule(
            TransientError,
            r"forbidden_action",
            text=r"provisioning|validating|ordered|in progress|current (state|status)",
        ),
        Rule(AuthError, r"forbidden_action", fix="give the credentials the right to do this"),
        Rule(InvalidRequest, r"invalid_request"),
    ),
)
