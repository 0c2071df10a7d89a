"""What DigitalOcean's errors mean: ``{"id", "message"}``.

Source: its public API document (github digitalocean/openapi) for the ids. Nearly every refusal of
an order is a 422 ``unprocessable_entity``, so that only the words tell them apart; those are from
reports of users (inlets/inlets-operator 111, pry0cc/axiom 422, digitalocean/api-v2 36 and 41), and
for names in use, pending events and sizes that are not permitted from nothing written.
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
from stix.clouds.rented.failures import ErrorTable, Exists, NotThere, Rule

ERRORS = ErrorTable(
    "do",
    (
        Rule(AuthError, r"unauthorized", fix="put a valid token in $DIGITALOCEAN_TOKEN"),
        Rule(AuthError, r"forbidden", fix="give the token the scopes of droplets, tags, keys"),
        Rule(Throttled, r"too_many_requests"),
        Rule(NotThere, r"not_found"),
        Rule(NotThere, text=r"destroy is already in progress"),
        Rule(TransientError, text=r"already has a pending event"),
        Rule(Exists, r"conflict"),
        Rule(Exists, text=r"already in use on your account"),
        Rule(
            QuotaError,
            text=r"exceed your droplet limit",
            scope="cloud",
            fix="ask DigitalOcean for a higher droplet limit",
        ),
        Rule(
            QuotaError,
            text=r"size is currently restricted|not (allowed|permitted) to (use|create).*size",
            scope="type",
            fix="ask DigitalOcean to unlock the size",
        ),
        Rule(InvalidRequest, text=r"image you specified|invalid image"),
        Rule(
            CapacityError,
            text=r"size is (not available|unavailable|not currently available)"
            r"|temporarily unavailable|region is not available|capacity|sold out",
            status=(422, 503),
            scope="region",
        ),
        Rule(InvalidRequest, r"unprocessable_entity|bad_request"),
    ),
)
