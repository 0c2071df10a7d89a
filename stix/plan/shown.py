"""Money, time and data of a plan as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_BROAD = 1.005


def money(usd: float) -> str:
    """``$12.35``; more digits where cents would show nothing."""
    if usd == 0 or abs(usd) >= 0.01:
        return f"${usd:,.2f}"
    return f"${usd:.6f}"


def time(seconds: float) -> str:
    """``45s``, ``3m05s``, ``2h07m``, ``3d04h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{max(whole, 0)}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02}m"
    return f"{hours // 24}d{hours % 24:02}h"


def at_least(seconds: float) -> str:
    """A duration to write, not shorter: ``2h7m``."""
    minutes = math.ceil(seconds / 60 - 1e-9)
    hours, minutes = divmod(minutes, 60)
    return "".join([f"{hours}h" if hours else "", f"{minutes}m" if minutes or not hours else ""])


def data(gb: float) -> str:
    """``500 GB``, ``1.5 TB``, ``20 MB``."""
    if gb >= 1024:
        return f"{gb / 1024:.3g} TB"
    return f"{gb:.3g} GB" if gb >= 1 or gb == 0 else f"{gb * 1024:.3g} MB"


def bar(amount: Mapping[str, float], text: Any) -> str:
    """``$10.00 ($8.00 to $15.00)``; without the bar where it says nothing."""
    value, low, high = amount["value"], amount["low"], amount["high"]
    said = str(text(value))
    if high <= low * _BROAD:
        return said
    return f"{said} ({text(low)} to {text(high)})"


def offer(about: Mapping[str, Any]) -> str:
    """``cloud/region/zone machine``, and whether it is spot."""
    parts = (about["cloud"], about["region"], about["zone"])
    place = "/".join(part for part in parts if part and part not in ("-", "*"))
    return f"{place} {about['instance_type']}".rstrip() + (" spot" if about["spot"] else "")


def price(about: Mapping[str, Any], nodes: int = 1) -> str:
    """``$1.20/h``, ``~$1.20/h`` where it is an estimate."""
    return ("~" if about["price_is_estimate"] else "") + money(about["price"] * nodes) + "/h"
