"""What Hetzner's errors mean: ``{"error": {"code", "message", "details"}}``.

Source: the error codes of its public API document (api-evangelist/hetzner, 2026-08).
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
    "hetzner",
    (
        Rule(CapacityError, r"resource_unavailable|placement_error", scope="region"),
        Rule(CapacityError, text=r"unsupported location for server type", scope="region"),
        Rule(
            QuotaError,
            r"resource_limit_exceeded|server_limit_exceeded",
            scope="cloud",
            fix="ask Hetzner for higher limits of the project",
        ),
        Rule(AuthError, r"unauthorized", fix="put a valid token in $HCLOUD_TOKEN"),
        Rule(AuthError, r"token_readonly|forbidden", fix="use a token that may read and write"),
        Rule(Throttled, r"rate_limit_exceeded"),
        Rule(Exists, r"uniqueness_error|firewall_already_applied|server_already_added"),
        Rule(NotThere, r"not_found|firewall_resource_not_found"),
        Rule(
            TransientError,
            r"locked|conflict|maintenance|service_error|server_error|unavailable|timeout"
            r"|action_failed",
        ),
        Rule(
            InvalidRequest,
            r"invalid_input|json_error|unsupported_error|protected|resource_in_use"
            r"|must_be_unassigned|method_not_allowed|deprecated_api_endpoint"
            r"|primary_ip_version_mismatch|primary_ip_assigned|primary_ip_datacenter_mismatch",
        ),
    ),
)
