"""Accelerators: the one spelling of each name, and its memory; read from ``data/accelerators.csv``.

This module imports nothing heavy: commands that only look something up use it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("data") / "accelerators.csv"
_MAKERS = re.compile(r"^(?:nvidia|amd|intel|aws|google|tesla|geforce|quadro|radeon|instinct)+")
_OTHER = re.compile(r"[^a-z0-9]+")
_TPU = re.compile(r"(?:tpu[-_ ]?v?|v)(2|3|4|5e|5litepod|5p|6e)(?:[-_ ]([1-9]\d*))?")
_TPU_KINDS = {"5e": "5litepod"}


def canonical(name: str) -> str | None:
    """The spelling used everywhere for an accelerator, or None where it is not known.

    Case, blanks, ``-``, ``_``, ``:`` and the maker's name do not count: ``a100-80gb``,
    ``A100:80GB``, ``NVIDIA A100 80GB`` and ``A100-80GB`` are one. A form that is sold under a name
    of its own (``H100-SXM``, ``H100-NVL``) stays apart. TPU slices are ``tpu-v5litepod-8``, for
    which ``v5e-8`` will do.
    """
    plain = _MAKERS.sub("", _OTHER.sub("", name.lower()))
    return _spellings().get(plain) or _tpu(name)


def spelled(name: str) -> str:
    """The canonical spelling, or ``name`` as it is where it is not known."""
    return canonical(name) or name


def memory_gib(name: str) -> float | None:
    """Memory of one accelerator, GiB; None where it is not known."""
    return _memories().get(spelled(name))


def known() -> list[str]:
    """All names, in their canonical spelling."""
    return list(_memories())


def family(name: str, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that are ``name`` or a form of it: ``H100`` has ``H100-SXM``."""
    wanted = spelled(name).lower()
    return [n for n in names if n.lower() == wanted or n.lower().startswith(f"{wanted}-")]


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that were most likely meant, the likeliest first; at most three."""
    from difflib import get_close_matches  # costs more to import than the rest of this module

    by_plain = {_OTHER.sub("", n.lower()): n for n in names}
    plain = _MAKERS.sub("", _OTHER.sub("", name.lower()))
    inside = [n for p, n in by_plain.items() if plain and plain in p]
    close = [by_plain[p] for p in get_close_matches(plain, by_plain, n=3, cutoff=0.5)]
    return list(dict.fromkeys([*sorted(inside, key=len), *close]))[:3]


def _tpu(name: str) -> str | None:
    found = _TPU.fullmatch(name.lower())
    if found is None:
        return None
    kind, size = found.groups()
    kind = _TPU_KINDS.get(kind, kind)
    return f"tpu-v{kind}-{size}" if size else f"tpu-v{kind}"


@cache
def _table() -> tuple[tuple[str, float, tuple[str, ...]], ...]:
    """Name, memory and aliases of each accelerator."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(
            (row["name"], float(row["memory_gib"]), tuple(filter(None, row["aliases"].split(";"))))
            for row in csv.DictReader(file)
        )


@cache
def _memories() -> dict[str, float]:
    return {name: memory for name, memory, _ in _table()}


@cache
def _spellings() -> dict[str, str]:
    return {
        _OTHER.sub("", spelling.lower()): name
        for name, _, aliases in _table()
        for spelling in (name, *aliases)
    }
