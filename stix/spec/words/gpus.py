"""Accelerators by their memory, and names that were meant."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from stix.spec.words import accelerators

_GPU_MAKERS = ("NVIDIA", "AMD")
_LOOKALIKE = str.maketrans("OI", "01")
_NEAR = 0.7


@dataclass(frozen=True)
class Accelerator:
    """One kind of accelerator.

    Attributes:
        name: Its canonical spelling.
        memory_gib: GiB of one; nominal.
        maker: Such as ``NVIDIA``.
    """

    name: str
    memory_gib: float
    maker: str

    @property
    def is_gpu(self) -> bool:
        """Whether it is no chip that needs software of its own."""
        return self.maker in _GPU_MAKERS


@cache
def table() -> tuple[Accelerator, ...]:
    """All that are known, in the order of the table."""
    with accelerators.TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Accelerator(row["name"], float(row["memory_gib"]), row["maker"])
            for row in csv.DictReader(file)
        )


def by_memory(gib: float, *, more: bool, maker: str | None = None) -> list[str]:
    """Names of those with this much memory each.

    Args:
        gib: GiB of one accelerator.
        more: Whether those with more memory serve too.
        maker: Only those of this maker, in any case. Without one, GPUs alone are meant.
    """
    return [
        one.name
        for one in table()
        if (one.memory_gib >= gib if more else one.memory_gib == gib)
        and (one.maker.lower() == maker.lower() if maker else one.is_gpu)
    ]


def makers() -> list[str]:
    """All makers that are known."""
    return sorted({one.maker for one in table()})


def sizes(maker: str | None = None) -> list[float]:
    """All sizes of memory that are known, in GiB; of GPUs, or of what one maker makes."""
    return sorted(
        {
            one.memory_gib
            for one in table()
            if (one.maker.lower() == maker.lower() if maker else one.is_gpu)
        }
    )


@cache
def meant(name: str) -> str | None:
    """The known name that an unknown one was most likely meant to be.

    None where the name is known (in any spelling), or where none is near: hosts of one's own may
    declare accelerators of any name.
    """
    if accelerators.canonical(name) is not None or "tpu" in name.lower():
        return None
    # The letter O for a zero and the letter I for a one look the same in many fonts.
    straight = accelerators.canonical(name.upper().translate(_LOOKALIKE))
    if straight is not None:
        return straight
    from difflib import get_close_matches  # slow to import, and wanted by wrong files alone

    names = {known.lower(): known for known in accelerators.known()}
    found = get_close_matches(name.lower(), list(names), n=1, cutoff=_NEAR)
    return names[found[0]] if found else None
