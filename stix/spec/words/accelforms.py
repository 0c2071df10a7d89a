"""The forms of ``accelerators``: names, counts, memory, maps and lists."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from stix.spec.base import bad
from stix.spec.problems import choose
from stix.spec.values import kind
from stix.spec.words import gpus
from stix.spec.words.accelerators import canonical

_MEMORY = re.compile(r"([0-9]{1,9})([gmt])b(\+?)\Z", re.IGNORECASE)
_WHOLE = re.compile(r"[0-9]+\Z")
_FIX = "write NAME or NAME:COUNT, such as A100:8"
_FORMS = "write NAME, NAME:COUNT, a map of names to counts, or a list of NAME:COUNT"


@dataclass(frozen=True)
class Choice:
    """One accelerator that will do.

    Attributes:
        name: Its name.
        count: How many per node.
        named: The file names it; otherwise its memory does.
    """

    name: str
    count: float
    named: bool = True


class Choices(dict[str, float]):
    """Several accelerators of which one will do; on its way to ``any_of`` or ``ordered``."""

    def __init__(self, entries: list[Choice], *, ordered: bool) -> None:
        super().__init__({one.name: one.count for one in entries})
        self.entries = entries
        self.ordered = ordered


def asked(value: Any) -> dict[str, float]:
    """Name to count; `Choices` where several will do, or one that is named by its memory.

    A map of several, and a memory, mean any of them; a list means this order.
    """
    if type(value) is Choices:
        return value
    texts = _texts(value)
    found: dict[str, Choice] = {}
    for text in texts:
        for key, choice in _parsed(text):
            if key not in found or choice.named:
                found[key] = choice
    entries = list(found.values())
    if len(entries) == 1 and entries[0].named:
        return {entries[0].name: entries[0].count}
    return Choices(entries, ordered=isinstance(value, list)) if entries else {}


def counts(value: Any) -> dict[str, float]:
    """Name to count of accelerators that are all there, such as those of a host."""
    return dict(asked(value))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [_counted(name, count) for name, count in value.items()]
    if not isinstance(value, list | tuple):
        raise bad(f"accelerators cannot be {kind(value)}", _FORMS)
    if not value:
        raise bad("the list of accelerators is empty", "name one, or remove accelerators")
    for entry in value:
        if not isinstance(entry, str):
            raise bad(f"an entry of the list of accelerators cannot be {kind(entry)}", _FORMS)
    return list(value)


def _counted(name: Any, count: Any) -> str:
    if count is None:
        return str(name)
    if isinstance(count, bool) or not isinstance(count, int | float):
        raise bad(f"the count of {name} must be a number", _FORMS)
    return f"{name}:{count}"


def _parsed(text: str) -> list[tuple[str, Choice]]:
    """What one text stands for; each with the key by which doubles are found."""
    parts = text.split(":")
    by_memory = _by_memory(parts)
    if by_memory is not None:
        memory, maker, count = by_memory
        return [
            (f"{name}:{count}", Choice(name, count, named=False))
            for name in _with_memory(memory, maker, text)
        ]
    name, count_text = parts[0], parts[1] if len(parts) > 1 else "1"
    if not name.strip():
        raise bad("the name of the accelerator is empty", _FIX)
    if len(parts) > 2 or name != name.strip():
        raise bad(f"{text!r} is not an accelerator", _FIX)
    return [(text, Choice(name, _count(name, count_text, text)))]


def _by_memory(parts: list[str]) -> tuple[str, str | None, int] | None:
    """Memory, maker and count of ``80GB``, ``80GB+:2``, ``NVIDIA:80GB``, ``NVIDIA:80GB:2``."""
    spots = [i for i, part in enumerate(parts) if _MEMORY.match(part)]
    if not spots or spots[0] > 1 or len(parts) > spots[0] + 2:
        return None
    at = spots[0]
    tail = parts[at + 1 :]
    if tail and not _WHOLE.match(tail[0]):
        raise bad(f"{':'.join(parts)!r} is not an accelerator", "write a whole number behind it")
    return parts[at], parts[0] if at else None, int(tail[0]) if tail else 1


def _with_memory(memory: str, maker: str | None, text: str) -> list[str]:
    found = _MEMORY.match(memory)
    assert found is not None
    unit = {"m": 1 / 1024, "g": 1, "t": 1024}[found[2].lower()]
    gib = int(found[1]) * unit
    names = gpus.by_memory(int(gib), more=bool(found[3]), maker=maker) if gib == int(gib) else []
    if names:
        return names
    if maker is not None and maker.lower() not in (m.lower() for m in gpus.makers()):
        one = canonical(text)
        fix = f"did you mean {one!r}?" if one else choose(maker, gpus.makers())
        raise bad(f"no accelerator of the maker {maker!r} is known", fix)
    known = gpus.sizes(maker)
    near = next((size for size in known if size >= gib), known[-1])
    said = f"no accelerator with the memory of {text!r} is known"
    raise bad(said, f"write {near:g}GB, or {near:g}GB+ for at least that")


def _count(name: str, text: str, whole: str) -> float:
    try:
        count = float(text)
    except ValueError:
        raise bad(f"{whole!r} is not an accelerator", _FIX) from None
    if not count > 0 or math.isinf(count):
        raise bad(f"the count of {name} must be above zero", f"write {name}:1 or more")
    return count
