"""What every cloud says of itself now: who we are there, what it offers, which nodes it has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from stix.clouds.base import CanTellQuotas, Cloud, Node, Quota, Selector
from stix.clouds.errors import UnsupportedFeature
from stix.clouds.setup import Setup
from stix.errors import StixError
from stix.plan.offers import Offer
from stix.server.context import Context, log

TIMEOUT_S = 30.0

T = TypeVar("T")

State = Literal["ready", "failed", "off", "unset"]


@dataclass(frozen=True)
class CloudReport:
    """One cloud's answer.

    Attributes:
        state: ``ready``; ``failed``: it was asked and could not be used; ``off``: the user switched
            it off; ``unset``: there are no credentials for it.
        error: Why it is not ready; None where it is.
        credentials: Where credentials were found; empty where none are or none are needed.
    """

    name: str
    account: str = ""
    detail: str = ""
    offers: Sequence[Offer] = field(default_factory=tuple)
    error: StixError | None = None
    state: State = "ready"
    credentials: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As ``GET /check`` shows it."""
        identity = {"account": self.account, "detail": self.detail}
        return {
            "name": self.name,
            "state": self.state,
            "enabled": self.state == "ready",
            "credentials": self.credentials or None,
            "identity": None if self.error else identity,
            "offers": len(self.offers),
            "error": _shown(self.error),
        }


@dataclass(frozen=True)
class CloudNodes:
    """The nodes that one cloud lists as ours."""

    name: str
    nodes: Sequence[Node] = field(default_factory=tuple)
    error: StixError | None = None


async def survey(context: Context, names: Sequence[str] = ()) -> list[CloudReport]:
    """Check clouds side by side; one that fails is reported and costs at most the timeout.

    Args:
        names: Clouds to ask in any case; where not given, those in use are asked, and the others
            are reported as they are.
    """
    if names:
        setups = [context.setup(name) for name in dict.fromkeys(names)]
        return await asyncio.gather(*(_asked(context, setup) for setup in setups))
    setups = [context.setup(name) for name in context.cloud_names]
    return await asyncio.gather(*(_report(context, setup) for setup in setups))


async def list_nodes(context: Context) -> list[CloudNodes]:
    """Nodes of all clouds that are set up, each as its cloud reports it now.

    A cloud on which something of ours may be is asked also where its credentials are gone: then
    it is the error that is told, and not that there is nothing.
    """
    intents, clusters = await asyncio.gather(
        context.ledger.open_intents(), context.ledger.clusters(open_only=True)
    )
    names = {name for name in context.cloud_names if context.asks(context.setup(name))}
    names |= {intent.cloud for intent in intents} | {cluster.cloud for cluster in clusters}
    return await asyncio.gather(*(_nodes(context, name) for name in sorted(names)))


async def list_quotas(context: Context, name: str, region: str) -> Sequence[Quota] | StixError:
    """The limits of the account in a region."""

    async def ask(cloud: Cloud) -> Sequence[Quota]:
        if not isinstance(cloud, CanTellQuotas):
            raise UnsupportedFeature(f"{name} does not tell quotas")
        return await cloud.quotas(region)

    return await _ask(context, name, ask)


async def _report(context: Context, setup: Setup) -> CloudReport:
    name = setup.name
    if context.config.cloud_enabled(name) is False:
        fix = f"remove `enabled: false` from its block `{name}:`"
        off = StixError("switched off in config.yaml", fix=fix)
        return CloudReport(name, error=off, state="off", credentials=setup.found)
    if context.uses(setup):
        return await _asked(context, setup)
    unset = setup.error or StixError("no credentials were found", fix=f"see `stix check {name}`")
    if setup.opt_in and setup.found:
        fix = f"write `{name}: {{enabled: true}}` in config.yaml"
        unset = StixError(f"found by {setup.found}, and not used unless you say so", fix=fix)
    return CloudReport(name, error=unset, state="unset")


async def _asked(context: Context, setup: Setup) -> CloudReport:
    name = setup.name

    async def ask(cloud: Cloud) -> CloudReport:
        who = await cloud.check()
        offers = await cloud.offers()
        return CloudReport(name, who.account, who.detail, offers, credentials=setup.found)

    answer = await _ask(context, name, ask)
    if isinstance(answer, StixError):
        state: State = "unset" if setup.needs and not setup.found else "failed"
        return CloudReport(name, error=answer, state=state, credentials=setup.found)
    return answer


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


def _shown(error: StixError | None) -> dict[str, str] | None:
    return None if error is None else {"message": error.message, "fix": error.fix}
