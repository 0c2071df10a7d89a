"""What the doubles of clouds behind Libcloud share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stix.clouds.testing.double import Refused

WORD = re.compile(r"[a-zA-Z0-9_.:-]{3,50}")


def good_tags(tags: Sequence[str], refused: Refused) -> list[str]:
    """Tags that are words of 3 to 50 characters.

    Raises:
        Refused: they are not.
    """
    if not all(isinstance(tag, str) and WORD.fullmatch(tag) for tag in tags):
        raise refused
    return [*tags]


def bearer(key: str, authorization: str | None) -> bool:
    return authorization == f"Bearer {key}"
