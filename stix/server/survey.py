"""What every cloud says of itself now: who we are there, what it offers, which nodes it has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from stix.clouds.base import Cloud, Node, Selector
from stix.errors import StixError
from stix.plan.offers import Offer
from stix.server.context import Context, log

TIMEOUT_S = 30.0

T = TypeVar("T")


@dataclass(frozen=True)
class CloudReport:
    """One cloud's answer. ``error`` is None where all went well."""

    name: str
    account: str = ""
    detail: str = ""
    offers: Sequence[Offer] = field(default_factory=tuple)
    error: StixError | None = None

    def to_dict(self) -> dict[str, Any]:
        """As ``GET /check`` shows it."""
        error = self.error and {"message": self.error.message, "fix": self.error.fix}
        identity = {"account": self.account, "detail": self.detail}
        return {
            "name": self.name,
            "enabled": self.error is None,
            "identity": None if self.error else identity,
            "offers": len(self.offers),
            "error": error,
        }


@dataclass(frozen=True)
class CloudNodes:
    """The nodes that one cloud lists as ours."""

    name: str
    nodes: Sequence[Node] = field(default_factory=tuple)
    error: StixError | None = None


async def survey(context: Context) -> list[CloudReport]:
    """Check all clouds side by side; one that fails is reported and costs at most the timeout."""
    return await asyncio.gather(*(_report(context, name) for name in context.cloud_names))


async def list_nodes(context: Context) -> list[CloudNodes]:
    """Nodes of all clouds, each as its cloud reports it now."""
    return await asyncio.gather(*(_nodes(context, name) for name in context.cloud_names))


async def _report(context: Context, name: str) -> CloudReport:
    async def ask(cloud: Cloud) -> CloudReport:
        identity = await cloud.check()
        return CloudReport(name, identity.account, identity.detail, await cloud.offers())

    if not context.config.cloud_enabled(name):
        fix = f"remove `enabled: false` from its block `{name}:`"
        return CloudReport(name, error=StixError("switched off in config.yaml", fix=fix))
    answer = await _ask(context, name, ask)
    return CloudReport(name, error=answer) if isinstance(answer, StixError) else answer


async def _nodes(context: Context, name: str) -> CloudNodes:
    answer = await _ask(context, name, lambda cloud: cloud.list(Selector()))
    if isinstance(answer, StixError):
        return CloudNodes(name, error=answer)
    return CloudNodes(name, answer)


async def _ask(context: Context, name: str, call: Callable[[Cloud], Awaitable[T]]) -> T | StixError:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await call(context.cloud(name))
    except StixError as error:
        return error
    except TimeoutError:
        return StixError(f"{name} did not answer within {TIMEOUT_S:g} s", fix="try again")
    except Exception as error:  # noqa: BLE001  an adapter's fault must not hide the other clouds
        log.exception("the adapter of %s failed", name)
        return StixError(f"the adapter of {name} failed: {type(error).__name__}: {error}")
