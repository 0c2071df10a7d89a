"""Tags where providers limit them: what fits is a tag, and the rest is packed into further ones.

Three tags are always there as they are, to be searched for: ``stix-home``, ``stix-wish`` (a hash
of the token) and ``stix-rank``; their values are of letters, digits and dashes. Any other tag that
the provider takes is attached as it is, so that people and bills see it. What it would not take
goes, all together, as compressed JSON into ``stix-x0``, ``stix-x1``, ...
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stix.clouds.errors import InvalidRequest

WISH_TAG = "stix-wish"
RANK_TAG = "stix-rank"
_PACKED = "stix-x"


@dataclass(frozen=True)
class TagRule:
    """What the tags of a provider may hold.

    Attributes:
        count: Tags per machine.
        key: Regular expression of a whole legal key.
        value: Regular expression of a whole legal value; by default up to 256 characters of any
            kind.
        chunk: Characters of a packed value; within what ``value`` takes. Packed values are of
            ``a-z``, ``2-7``.
    """

    count: int = 50
    key: str = r"(?!aws:).{1,128}"
    value: str = r"(?s:.{0,256})"
    chunk: int = 250

    def takes(self, key: str, value: str) -> bool:
        return bool(re.fullmatch(self.key, key) and re.fullmatch(self.value, value))


def wish_of(token: str) -> str:
    """A short name of the wish; 16 hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def pack(tags: Mapping[str, str], rule: TagRule) -> dict[str, str]:
    """``tags`` as the provider takes them.

    Raises:
        InvalidRequest: they are too many, or too long.
    """
    as_is = {k: v for k, v in tags.items() if rule.takes(k, v) and not k.startswith(_PACKED)}
    rest = {k: v for k, v in tags.items() if k not in as_is}
    packed = _chunks(rest, rule.chunk) if rest else {}
    room = rule.count - len(packed)
    if len(as_is) > room:  # too many single ones: pack all but those that are searched for
        keep = {k: v for k, v in as_is.items() if k in ("stix-home", WISH_TAG, RANK_TAG)}
        packed = _chunks({k: v for k, v in tags.items() if k not in keep}, rule.chunk)
        as_is = keep
    if len(as_is) + len(packed) > rule.count:
        raise InvalidRequest(
            f"the tags of a node are too long for this cloud: {sum(map(len, tags.values()))} "
            f"characters, where {rule.count} tags of {rule.chunk} fit",
            fix="use fewer or shorter `labels`",
        )
    return as_is | packed


def unpack(raw: Mapping[str, str]) -> dict[str, str]:
    """What ``pack`` was given. Tags that are broken are left as they are."""
    plain = {k: v for k, v in raw.items() if not k.startswith(_PACKED)}
    text = "".join(raw.get(f"{_PACKED}{number}", "") for number in range(len(raw)))
    if not text:
        return plain
    try:
        padded = text.upper() + "=" * (-len(text) % 8)
        rest = json.loads(zlib.decompress(base64.b32decode(padded)))
    except (ValueError, zlib.error):
        return dict(raw)
    return plain | {str(k): str(v) for k, v in rest.items()}


def flat(tags: Mapping[str, str], separator: str = ":") -> list[str]:
    """For providers whose tags are words: ``key:value``."""
    return [f"{key}{separator}{value}" for key, value in tags.items()]


def unflat(words: Iterable[str], separator: str = ":") -> dict[str, str]:
    """What ``flat`` was given; words without a separator are keys without a value."""
    pairs = (word.partition(separator) for word in words)
    return {key: value for key, _, value in pairs}


def _chunks(tags: Mapping[str, str], size: int) -> dict[str, str]:
    data = zlib.compress(json.dumps(dict(tags), ensure_ascii=False).encode(), 9)
    text = base64.b32encode(data).decode().rstrip("=").lower()
    parts = [text[i : i + size] for i in range(0, len(text), size)]
    return {f"{_PACKED}{number}": part for number, part in enumerate(parts)}
