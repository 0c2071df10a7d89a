"""Rows of the ledger as JSON: times in ISO 8601, money as numbers of USD."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """``value`` as JSON takes it, with the dataclasses, decimals and times inside."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value


def all_plain(rows: Iterable[Any]) -> list[Any]:
    """Each of ``rows`` as JSON takes it."""
    return [plain(row) for row in rows]
