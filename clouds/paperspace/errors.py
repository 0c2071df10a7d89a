"""What Paperspace's errors mean: ``{"code", "message"}``.

There is no list of them. Source: SkyPilot 0.14.1 for the form; Paperspace/gradient-cli 327 for the
words about capacity.
"""

from __future__ import annotations

from stix.clouds.errors import AuthError, CapacityError, InvalidRequest, QuotaError, Throttled
from stix.clouds.rented.failures import ErrorTable, NotThere, Rule

ERRORS = ErrorTable(
    "paperspace",
    (
        Rule(CapacityError, text=r"out of capacity|no capacity", scope="type"),
        Rule(CapacityError, text=r"(not |un)available in (this|the) region", scope="region"),
        Rule(
            QuotaError,
            text=r"quota|limit (reached|exceeded)|exceeds? .*limit",
            scope="type",
            fix="ask Paperspace to approve the machine type for the team",
        ),
        Rule(Throttled, text=r"rate limit"),
        Rule(NotThere, r"(?i)not_?found", status=(400, 404)),
        Rule(AuthError, r"(?i)unauthori[sz]ed|forbidden", fix="see $PAPERSPACE_API_KEY"),
        Rule(InvalidRequest, status=(400, 422)),
    ),
)
