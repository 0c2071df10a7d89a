"""A pipeline of 12 stages that proves from its own files how often and when each stage ran.

Shape: 1-4-1-4-1-1. Each stage takes a lock (a directory) for its time, appends what it does to a
journal outside the node, and makes an output from its inputs, so that the last output is right
only if every stage ran on the right data.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

LEVELS = [1, 4, 1, 4, 1, 1]
STAGES = sum(LEVELS)

SCRIPT = r"""
set -eu
name="$STIX_STAGE"
if ! mkdir "$JOURNAL/lock-$name" 2>/dev/null; then
  echo "$name" >> "$JOURNAL/overlaps"
  exit 99
fi
echo "begin $name" >> "$JOURNAL/events"
sleep "$SECONDS_EACH"
mkdir -p out
{ cat inputs/*/value 2>/dev/null || true; echo "$name"; } | sort -u > out/value
rmdir "$JOURNAL/lock-$name"
echo "end $name" >> "$JOURNAL/events"
"""


def spec(journal: Path, seconds: float) -> dict[str, Any]:
    """The pipeline as the server takes it."""
    stages: dict[str, Any] = {}
    above: list[str] = []
    for level, width in enumerate(LEVELS):
        names = [f"s{level}{chr(97 + i)}" for i in range(width)]
        for name in names:
            stages[name] = {
                "run": SCRIPT,
                "inputs": {up: f"{up}.value" for up in above},
                "outputs": {"value": "out"},
                "cache": False,
            }
        above = names
    envs = {"JOURNAL": str(journal), "SECONDS_EACH": str(seconds)}
    return {"version": 1, "name": "crash", "envs": envs, "stages": stages}


def expected() -> list[str]:
    """What the last stage's output holds: the name of every stage."""
    return sorted(
        f"s{level}{chr(97 + i)}" for level, width in enumerate(LEVELS) for i in range(width)
    )


def journal_faults(journal: Path) -> list[str]:
    """Everything that the journal has against the run."""
    events = (journal / "events").read_text().split("\n")[:-1]
    begins = Counter(line.split()[1] for line in events if line.startswith("begin"))
    ends = Counter(line.split()[1] for line in events if line.startswith("end"))
    faults = [f"{name} finished {n} times" for name, n in ends.items() if n != 1]
    faults += [f"{name} never finished" for name in expected() if name not in ends]
    overlaps = journal / "overlaps"
    if overlaps.exists():
        faults.append(f"ran twice at the same time: {overlaps.read_text().split()}")
    seen: set[str] = set()
    for line in events:
        verb, name = line.split()
        if verb == "end":
            seen.add(name)
        elif name in seen:
            faults.append(f"{name} ran again after it had finished")
    faults += [f"{name} began {n} times" for name, n in begins.items() if n > 1]
    return faults
