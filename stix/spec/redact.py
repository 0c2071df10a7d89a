"""Problems without the values of secrets.

Where SkyPilot's form is made, values of secrets stand in fields, and what refuses a field may
quote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from stix.spec.problems import Problem, dotted

STARS = "***"
_LONG = 4
"""Shorter values are looked for as whole words only: they are parts of many words."""


def values_of(data: Mapping[str, Any]) -> list[str]:
    """The values of secrets of a stage as plain data; the longest first."""
    own = data.get("secrets")
    found = set()
    for value in own.values() if isinstance(own, dict) else ():
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is not None and str(text):
            found.add(str(text))
    return sorted(found, key=len, reverse=True)


def redacted(problems: Iterable[Problem], secrets: Iterable[str]) -> list[Problem]:
    """The problems with stars instead of secrets."""
    # A message shows a text as Python writes it, with quotation marks and line ends escaped.
    texts = {form for value in secrets for form in (value, repr(value)[1:-1])}
    if not texts:
        return list(problems)
    words = [
        re.escape(text) if len(text) >= _LONG else rf"(?<!\w){re.escape(text)}(?!\w)"
        for text in sorted(texts, key=len, reverse=True)
    ]
    pattern = re.compile("|".join(words))
    return [_redacted(problem, pattern) for problem in problems]


def _redacted(problem: Problem, pattern: re.Pattern[str]) -> Problem:
    # The first two name the stage, which no variable changes.
    below = (p if isinstance(p, int) else pattern.sub(STARS, p) for p in problem.parts[2:])
    parts = (*problem.parts[:2], *below)
    return replace(
        problem,
        path=dotted(parts),
        message=pattern.sub(STARS, problem.message),
        fix=pattern.sub(STARS, problem.fix),
        parts=parts,
    )
