"""The settings of refreshing: addresses, credentials by reference, rates and bounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from stix.clouds.catalog.refresh.errors import NoAccess
from stix.clouds.catalog.refresh.freshness import STALE_DAYS
from stix.config import Config

RATES: Mapping[str, float] = {"EUR": 1.10}
"""USD for one unit. Round figures to compare by: what they convert is marked as an estimate."""


@dataclass(frozen=True)
class Bounds:
    """How long, how much and how often; and what is believed.

    Attributes:
        attempts: Requests for one page at most.
        first_wait: Seconds before the second of them; twice as long before each further one.
        longest_wait: Seconds at most, also where the provider asks for more.
        connect_seconds: For a connection.
        idle_seconds: Between two pieces of an answer.
        answer_seconds: For a whole answer.
        run_seconds: For all pages of a cloud.
        pages: Of a cloud at most.
        page_bytes: Of an answer at most; None leaves it to the refresher.
        resume_seconds: Pages of a run that was broken off are good for so long.
        least: A list with less than this part of the places of before is not believed.
        move: A price that is more than this part above the last (or below, likewise) is held back.
        market_move: The same for spot prices and offers of a market.
        doubtful: If more than this part of the prices would be held back, the list is refused.
        unpriced: If more than this part of the machines has no price above 0, likewise.
    """

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 120.0
    connect_seconds: float = 15.0
    idle_seconds: float = 60.0
    answer_seconds: float = 900.0
    run_seconds: float = 3600.0
    pages: int = 5000
    page_bytes: int | None = None
    resume_seconds: float = 6 * 3600.0
    least: float = 0.5
    move: float = 0.5
    market_move: float = 2.0
    doubtful: float = 0.5
    unpriced: float = 0.5


@dataclass(frozen=True)
class Clock:
    """Time, as far as refreshing looks at it."""

    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time

    def today(self) -> date:
        return datetime.fromtimestamp(self.now(), UTC).date()


@dataclass(frozen=True)
class Settings:
    """One state folder and what is set for it.

    Attributes:
        home: ``STIX_HOME``.
        urls: Cloud (or ``cloud-host``) to the address of its API, where it is not the provider's.
        references: Name of a secret to where it is: ``env:NAME`` or ``file:PATH``.
        rates: USD for one unit of another currency.
        environment: Where secrets are looked up.
        bounds: Limits.
        clock: Time.
        stale_days: Prices that are older are stale.
    """

    home: Path
    urls: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=lambda: dict(RATES))
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    bounds: Bounds = Bounds()
    clock: Clock = Clock()
    stale_days: float = STALE_DAYS

    @classmethod
    def of(cls, config: Config) -> Settings:
        """From the block ``catalog`` of ``config.yaml``."""
        block = config.settings.get("catalog", {})
        bounds = Bounds(move=float(block["max_move"])) if "max_move" in block else Bounds()
        return cls(
            config.home,
            urls=dict(block.get("urls") or {}),
            references=dict(block.get("secrets") or {}),
            rates={**RATES, **(block.get("rates") or {})},
            bounds=bounds,
            stale_days=float(block.get("stale_days", STALE_DAYS)),
        )

    @property
    def folder(self) -> Path:
        """Where refreshed catalogs are."""
        return self.home / "catalog"

    def secret(self, name: str) -> str | None:
        """The value of a secret; None where there is none.

        Raises:
            NoAccess: its reference leads nowhere.
        """
        kind, _, place = self.references.get(name, f"env:{name}").partition(":")
        if kind == "env":
            return self.environment.get(place) or None
        if kind != "file":
            raise NoAccess(
                f"the reference of the secret {name} begins with neither env: nor file:",
                fix=f"write `{name}: env:NAME` or `{name}: file:/path` below catalog.secrets",
            )
        try:
            return Path(place).expanduser().read_text(encoding="utf-8").strip() or None
        except OSError as error:
            raise NoAccess(f"the secret {name} cannot be read: {error.strerror}: {place}") from None
