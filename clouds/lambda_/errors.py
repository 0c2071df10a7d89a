"""What Lambda's errors mean. Source: the error codes in its public API document."""

from __future__ import annotations

from stix.clouds.errors import AuthError, CapacityError, InvalidRequest, QuotaError, Throttled
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule

ERRORS = ErrorTable(
    "lambda",
    (
        Rule(CapacityError, r"instance-operations/launch/insufficient-capacity", scope="region"),
        Rule(QuotaError, r"global/quota-exceeded", scope="cloud", fix="ask Lambda for more"),
        Rule(AuthError, r"global/invalid-api-key", fix="put a valid key in $LAMBDA_API_KEY"),
        Rule(AuthError, r"global/account-inactive", fix="see the account at Lambda"),
        Rule(InvalidRequest, r"instance-operations/launch/file-system-in-wrong-region"),
        Rule(NotThere, r"global/object-does-not-exist"),
        Rule(InvalidRequest, r"global/(invalid-parameters|duplicate)"),
        Rule(Throttled, r"global/rate-limited"),
    ),
)
