"""What surrounds every adapter: audit, retry, circuit breaker, rate limit, dry run.

Adapters hold none of it. ``wrap`` gives the same interface with the same optional abilities, so
that ``isinstance(cloud, CanStop)`` answers for the adapter inside.
"""

from __future__ import annotations

from stix.clouds.wrappers.audit import Audit
from stix.clouds.wrappers.breaker import Breaker, BreakerPolicy, BreakerStore, Circuit
from stix.clouds.wrappers.call import Around, Call
from stix.clouds.wrappers.cloud import ABILITIES, WrappedCloud, standard, wrap
from stix.clouds.wrappers.dryrun import DryRun
from stix.clouds.wrappers.memory import MemoryBreakers
from stix.clouds.wrappers.ratelimit import RateLimit
from stix.clouds.wrappers.retry import Retry

__all__ = [
    "ABILITIES",
    "Around",
    "Audit",
    "Breaker",
    "BreakerPolicy",
    "BreakerStore",
    "Call",
    "Circuit",
    "DryRun",
    "MemoryBreakers",
    "RateLimit",
    "Retry",
    "WrappedCloud",
    "standard",
    "wrap",
]
