"""Whether a cloud can be used, told without asking its provider."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from stix.clouds.base import Cloud, HasCredentials
from stix.clouds.errors import CloudError

log = logging.getLogger("stix.clouds")


@dataclass(frozen=True)
class Setup:
    """What was found of a cloud on this machine.

    Attributes:
        needs: It needs credentials.
        found: Where they were found; empty where there are none. Never a value.
        opt_in: What is found there by chance (an engine of containers, a cluster of the company)
            is free, and would be taken before all else: it is used only where the user says so.
        error: It cannot even be opened: a library is missing, or its settings are wrong.
    """

    name: str
    needs: bool = False
    found: str = ""
    opt_in: bool = False
    error: CloudError | None = None

    @property
    def ready(self) -> bool:
        """Whether it is worth to ask the provider."""
        return self.error is None and (bool(self.found) or not self.needs)

    def asked(self, *, configured: bool) -> bool:
        """Whether to ask it what it has of ours. Not where nobody set it up; where it cannot be
        opened, that is to be told."""
        return self.error is not None or (self.ready and (configured or not self.opt_in))

    def used(self, said: bool | None, *, configured: bool = False) -> bool:
        """Whether new nodes may be made there.

        Args:
            said: What ``enabled`` in ``config.yaml`` says; None where nothing is said.
            configured: There is a block for it: whoever wrote that wants to hear of errors.
        """
        if said is not None:
            return said
        if self.opt_in and not configured:
            return False
        return self.ready or (self.error is not None and configured)


def setup_of(name: str, opened: Callable[[str], Cloud]) -> Setup:
    """How far ``name`` is set up; ``opened`` gives the cloud."""
    try:
        cloud = opened(name)
        if not isinstance(cloud, HasCredentials):
            return Setup(name)
        inner = getattr(cloud, "inner", cloud)
        opt_in = bool(getattr(inner, "opt_in", False))
        return Setup(name, needs=True, found=cloud.credentials(), opt_in=opt_in)
    except CloudError as error:
        return Setup(name, error=error)
    except Exception as error:  # an adapter's fault must not hide the other clouds
        log.exception("the adapter of %s failed", name)
        words = f"the adapter of {name} failed: {type(error).__name__}: {error}"
        return Setup(name, error=CloudError(words))
