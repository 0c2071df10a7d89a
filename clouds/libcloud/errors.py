"""What the errors of clouds behind Libcloud mean: one table for each.

Sources: Vultr's API document for the shape (``{"error", "status"}``), its words from reports of
users (vultr/whmcs-vultr 74); Linode's from linode/linode-api-docs (``openapi.yaml``) and reports
(pulumi/templates 184, pry0cc/axiom 500); OpenStack's from nova (``nova/exception.py``), neutron
and the API references of both.
"""

from __future__ import annotations

from collections.abc import Mapping

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    InvalidRequest,
    QuotaError,
    Throttled,
    TransientError,
)
from stix.clouds.rented.failures import ErrorTable, Exists, NotThere, Rule

VULTR = ErrorTable(
    "vultr",
    (
        Rule(AuthError, text=r"unauthorized ip address", fix="allow this address at Vultr"),
        Rule(AuthError, text=r"invalid api (key|token)", fix="put a valid key in $VULTR_API_KEY"),
        Rule(AuthError, text=r"add a (valid )?(payment|credit)|billing", fix="see Vultr's billing"),
        Rule(
            QuotaError,
            text=r"(maximum|limit).*(instances|servers|monthly|fee)|reached the",
            scope="cloud",
            fix="ask Vultr for a higher limit",
        ),
        Rule(
            CapacityError,
            text=r"out of stock|not available in the selected|sold out|no capacity|unavailable in",
            scope="region",
        ),
        Rule(NotThere, text=r"invalid instance|instance.*not found|subscription.*not found"),
        Rule(Throttled, text=r"rate limit", status=(429, 503)),
    ),
)

LINODE = ErrorTable(
    "linode",
    (
        Rule(QuotaError, text=r"account limit reached", scope="cloud", fix="open a ticket"),
        Rule(
            CapacityError,
            text=r"capacity|(plan|type|region) (is )?(temporarily )?(not available|unavailable)"
            r"|sold out|not available in this region",
            scope="region",
        ),
        Rule(Exists, "label", text=r"unique"),
        Rule(AuthError, text=r"invalid token|not authorized|unauthorized", fix="see $LINODE_TOKEN"),
        Rule(TransientError, text=r"please try again|linode busy", status=(400, 408)),
        Rule(Throttled, text=r"too many requests|rate limit"),
    ),
)


def openstack(cloud: str) -> ErrorTable:
    """The table of a cloud of OpenStack."""
    return ErrorTable(
        cloud,
        (
            Rule(
                CapacityError,
                text=r"no valid host was found|not enough hosts|exhausted all hosts"
                r"|insufficient compute resources|no fixed ip addresses|no more ip addresses"
                r"|IpAddressGenerationFailure",
            ),
            Rule(
                QuotaError,
                text=r"quota exceeded|exceed.* quota|quota.*exceed|maximum number of ports",
                scope="region",
                fix="ask the operator for a higher quota",
            ),
            Rule(Throttled, "overLimit", status=(413, 429)),
            Rule(Throttled, status=(413, 429)),
            Rule(
                InvalidRequest,
                text=r"multiple possible networks",
                fix=f"name one in the setting `{cloud}.network`",
            ),
            Rule(NotThere, "itemNotFound|SecurityGroupNotFound|FloatingIPNotFound"),
            Rule(Exists, "SecurityGroupRuleExists"),
            Rule(InvalidRequest, "SecurityGroupInUse", text="in use"),
            Rule(TransientError, text=r"in task_state|marker .*not found"),
            Rule(AuthError, text=r"policy doesn't allow|not authorized|authentication required"),
            Rule(InvalidRequest, "conflictingRequest"),
        ),
    )


TABLES: Mapping[str, ErrorTable] = {
    "vultr": VULTR,
    "linode": LINODE,
    "openstack": openstack("openstack"),
    "ovh": openstack("ovh"),
}
