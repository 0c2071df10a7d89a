"""Names of machines: the same for the same machine of a wish, and enough to find it by.

Where a provider has no tags the name is all there is: it tells the home, the wish and the rank.
The rest of the tags is then kept in a file of the home, written before the machine is ordered.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from stix.clouds.config import HOME_TAG
from stix.clouds.rented.tags import RANK_TAG, WISH_TAG
from stix.files import write_private

KEPT_S = 90 * 86_400.0
"""No machine of ours lives so long."""
_NAME = re.compile(r"stix-([0-9a-z]{1,12})-([0-9a-f]{16})-(\d{1,4})")


def home_word(home: str) -> str:
    """The home's id, where it can stand in a name; else a hash of it."""
    if re.fullmatch(r"[0-9a-z]{1,12}", home):
        return home
    return hashlib.sha256(home.encode()).hexdigest()[:12]


def name_of(home: str, wish: str, rank: int) -> str:
    """``stix-<home>-<wish>-<rank>``, of at most 39 characters."""
    return f"stix-{home_word(home)}-{wish}-{rank}"


def tags_in(name: str, home: str) -> dict[str, str]:
    """The tags that a name tells; empty where it is not of our making, for this home."""
    found = _NAME.fullmatch(name)
    if found is None or found[1] != home_word(home):
        return {}
    return {HOME_TAG: home, WISH_TAG: found[2], RANK_TAG: found[3]}


class TagFiles:
    """Tags of wishes, for providers that keep none.

    Args:
        folder: In the cache of the home.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, wish: str, tags: Mapping[str, str]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file in self._folder.glob("*.json"):
            if time.time() - file.stat().st_mtime > KEPT_S:
                file.unlink(missing_ok=True)
        write_private(self._folder / f"{wish}.json", json.dumps(dict(tags)))

    def read(self, wish: str) -> dict[str, str]:
        """Empty where the file is not there: the machine was made by another computer."""
        try:
            found: dict[str, str] = json.loads((self._folder / f"{wish}.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found
