"""What Oracle's errors mean: ``{"code", "message"}``.

Source: the codes of its pages on API errors (docs.oracle.com, ``API/References/apierrors``). A
shortage of machines is an error of the server there, and no other one is told in that way.
"""

from __future__ import annotations

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    InvalidRequest,
    QuotaError,
    Throttled,
    TransientError,
)
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule


class SpentToken(InvalidRequest):
    """What was made with this retry token is gone: it makes nothing again."""


class WrongState(TransientError):
    """It is being changed, or has ended."""


ERRORS = ErrorTable(
    "oci",
    (
        Rule(CapacityError, r"OutOfHostCapacity|OutOfCapacity", scope="zone"),
        Rule(CapacityError, text=r"out of (host )?capacity", scope="zone"),
        Rule(CapacityError, r"HARDWARE_NOT_SUPPORTED|OUT_OF_HOST_CAPACITY", scope="zone"),
        Rule(
            QuotaError,
            r"LimitExceeded|QuotaExceeded",
            scope="region",
            fix="ask Oracle for a higher service limit",
        ),
        Rule(QuotaError, r"SignUpRequired", scope="cloud", fix="upgrade the account at Oracle"),
        Rule(Throttled, r"TooManyRequests"),
        Rule(AuthError, r"NotAuthenticated", fix="put a valid key in ~/.oci/config"),
        Rule(AuthError, r"NotAuthorized|NotAllowed", fix="ask for a policy that allows it"),
        Rule(
            NotThere,
            r"(Related)?(Resource)?NotAuthorizedOrNotFound|NotFound",
            fix="see whether a policy allows it, and whether the compartment is right",
        ),
        Rule(SpentToken, r"InvalidatedRetryToken"),
        Rule(WrongState, r"IncorrectState"),
        Rule(TransientError, r"Conflict|NoEtagMatch", status=(409, 412)),
        Rule(TransientError, r"InternalError|InternalServerError|ServiceUnavailable"),
        Rule(
            InvalidRequest,
            r"InvalidParameter|CannotParseRequest|MissingParameter|UnprocessableEntity"
            r"|PayloadTooLarge|MethodNotAllowed",
        ),
    ),
)
